"""docs/reference/limits.md: every size, wait and rate, from the constants that hold them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.reference import table
from scripts.reference.source import Named, constants, fields

TOPS = ("core", "bridge", "holdfast")
# Numbers that are not limits: factors of conversion, exit codes, modes, and the bounds of a type.
NOT_LIMITS = frozenset(
    {
        "BPS",
        "DAY_S",
        "DAY_US",
        "END_OF_TIME_S",
        "EXIT_CONFIG",
        "EXIT_PORT",
        "FRAME_ID_MAX",
        "MAX_PORT",
        "MINOR_PER_RUPEE",
        "MODE",
        "US_PER_S",
        "VERSION_MAX",
    }
)
# Classes whose fields are limits, so that a test may shorten them.
CLASSES = (
    ("core.settlement.patience", "Patience"),
    ("core.settlement.reconcile", "Schedule"),
    ("bridge.limits", "Limits"),
)
_INTRODUCTION = """\
Every size, wait and rate of Holdfast has a name, at the place that uses it. This page lists them
all. A limit that you can set is in [settings.md](settings.md); what a caller or a browser is told
when one is reached is in [errors.md](errors.md)."""
_HEAD = ("where", "limit", "value", "what it limits")


@dataclass(frozen=True, slots=True)
class Limit:
    """One number with a name. `where` is a module, or a module and a class."""

    where: str
    name: str
    value: float
    meaning: str
    heading: str


def every(root: Path) -> list[Limit]:
    """List all limits, by module; those of a class after the module's own."""
    found = [
        limit
        for path in _files(root)
        for limit in _of_module(path, ".".join(path.relative_to(root).with_suffix("").parts))
    ]
    for module, name in CLASSES:
        found += _of_class(root, module, name)
    return found


def page(root: Path) -> str:
    found = every(root)
    blocks = [_INTRODUCTION]
    for top in TOPS:
        rows = [one for one in found if one.where.partition(".")[0] == top and not one.heading]
        blocks += [f"## {top.capitalize()}", table.table(_HEAD, map(_row, rows))]
        headed = [one for one in found if one.where.partition(".")[0] == top and one.heading]
        for heading in dict.fromkeys(one.heading for one in headed):
            rows = [one for one in headed if one.heading == heading]
            blocks += [f"### {heading.rstrip('.')}", table.table(_HEAD, map(_row, rows))]
    return table.page("Limits", *blocks)


def _row(limit: Limit) -> tuple[str, str, str, str]:
    return (
        table.code(limit.where),
        table.code(limit.name),
        written(limit.name, limit.value),
        table.sentence(limit.meaning),
    )


def _files(root: Path) -> Iterator[Path]:
    for top in TOPS:
        files = (root / top).rglob("*.py")
        yield from sorted(one for one in files if not {"node_modules", "versions"} & {*one.parts})


def _of_module(path: Path, name: str) -> Iterator[Limit]:
    named = [one for one in constants(path) if one.name not in NOT_LIMITS]
    if named and not name.endswith("__main__"):
        yield from _limits(name, named, importlib.import_module(name))


def _of_class(root: Path, module: str, name: str) -> Iterator[Limit]:
    named = fields(root.joinpath(*module.split(".")).with_suffix(".py"), name)
    holder = getattr(importlib.import_module(module), name)()
    yield from _limits(f"{module}.{name}", named, holder)


def _limits(where: str, named: Iterable[Named], holder: Any) -> Iterator[Limit]:
    for one in named:
        value = getattr(holder, one.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Limit(where, one.name, value, one.comment, one.heading)


def written(name: str, value: float) -> str:
    """Write a limit with the unit that its name ends with."""
    name = name.lower()
    if name.endswith("_per_s"):
        return f"{_number(value)} a second"
    if name.endswith("_us"):
        return _span(value / 1e6)
    if name.endswith("_ms"):
        return _span(value / 1000)
    if name.endswith("_s"):
        return _span(value)
    if name.endswith("_minor"):
        return f"{_number(value)} minor units"
    if name.endswith("_bytes"):
        return _bytes(int(value))
    return _number(value)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        is_round = seconds % size == 0 and seconds >= size
        if is_round and (unit == "h" or seconds > size):
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds * 1000)} ms" if seconds < 1 else f"{_number(seconds)} s"


def _bytes(value: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size and value % size == 0:
            return f"{_number(value / size)} {unit}"
    return f"{_number(value)} bytes"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,g}"
