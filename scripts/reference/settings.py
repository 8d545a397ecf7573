"""docs/reference/settings.md: every environment variable, from the classes that read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

import bridge.config
import core.config
from holdfast.settings import SharedSettings
from scripts.reference import table
from scripts.run.endpoint import OWN_SETTINGS

_INTRODUCTION = """\
Settings are environment variables, read once when a process starts. Core and bridge may share one
environment. A setting that is missing, unknown or contradictory stops the process with exit code 2
and one message that names all of them. An empty variable counts as one that is not set.

`make run` makes or fills in what a stack on one machine needs: `JWT_SECRET`, `BRIDGE_TOKEN` and,
without keys of Razorpay, the sandbox with keys of its own and `DEMO_LOGIN=1`."""


def page() -> str:
    shared = set(SharedSettings.model_fields)
    blocks = [_INTRODUCTION]
    for title, kind, names in (
        ("Core and bridge", SharedSettings, shared),
        ("Core", core.config.Settings, set(core.config.Settings.model_fields) - shared),
        ("Bridge", bridge.config.Settings, set(bridge.config.Settings.model_fields) - shared),
    ):
        blocks += [f"## {title}", _table(_rows(kind, names))]
    own = ((name, table.code(default), text) for name, (default, text) in OWN_SETTINGS.items())
    return table.page("Settings", *blocks, "## `make run`", _table(own))


def names() -> list[str]:
    """List all variables."""
    kinds = (core.config.Settings, bridge.config.Settings)
    fields = dict.fromkeys(name.upper() for kind in kinds for name in kind.model_fields)
    return [*fields, *OWN_SETTINGS]


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    return table.table(
        ("variable", "default", "meaning"),
        ((table.code(name), default, table.sentence(text)) for name, default, text in rows),
    )


def _rows(kind: type[SharedSettings], names: set[str]) -> Iterator[tuple[str, str, str]]:
    for name, field in kind.model_fields.items():
        if name in names:
            yield name.upper(), _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value: Any = field.default
    if value in (None, ()):
        return "none"
    if isinstance(value, bool):
        return table.code(int(value))
    if isinstance(value, tuple):
        return table.code(",".join(value))
    return table.code(value)
