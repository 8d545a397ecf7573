"""One line of the answer: a figure, what it is compared with, and whether it is good enough."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SIGNS = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


class Skip(Exception):
    """Why a line cannot be measured here, as a sentence; nothing is broken."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a figure must reach: `Mark("ratio", 0.65, ">=", 0.71)`."""

    what: str
    found: float
    sign: str
    wanted: float

    @property
    def is_met(self) -> bool:
        return bool(_SIGNS[self.sign](self.found, self.wanted))

    def told(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "found": rounded(self.found),
            "wanted": f"{self.sign} {self.wanted:g}",
            "met": self.is_met,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """`value` and `baseline` have the same unit, unless detail["baseline"] says otherwise.

    `ratio` is the one that the line's mark is about; docs/benchmark.md says which way round.
    """

    name: str
    value: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    marks: tuple[Mark, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Write the line as JSON."""
        detail = {**self.detail, "marks": [mark.told() for mark in self.marks]}
        return json.dumps(
            {
                "name": self.name,
                "value": rounded(self.value),
                "unit": self.unit,
                "baseline": rounded(self.baseline),
                "ratio": rounded(self.ratio),
                "detail": rounded(detail if self.marks else dict(self.detail)),
            },
            ensure_ascii=False,
        )


def missing(name: str, reason: str) -> Line:
    """The line of what was not measured."""
    return Line(name, None, "", detail={"reason": reason})


def rounded(value: Any) -> Any:
    """Cut figures to four significant digits: no run repeats more of them."""
    match value:
        case bool() | int() | None | str():
            return value
        case float():
            return float(f"{value:.4g}")
        case Mapping():
            return {key: rounded(one) for key, one in value.items()}
        case _:
            return [rounded(one) for one in value]
