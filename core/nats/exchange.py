"""All that core does on NATS, as one: what it is made of, what is wrong with it, its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from core.feed.tail import Tail
from core.live.feed import Feed
from core.live.need import Need
from core.nats.bell import Bells
from core.nats.line import Line


@dataclass(frozen=True, slots=True)
class Vitals:
    """NATS at this moment: whether it is connected, and bells by what became of them."""

    is_up: bool
    bells: Counter[str]


class Exchange:
    """The connection, and everybody who uses it."""

    def __init__(self, url: str, *, need: Need, feed: Feed, tail: Tail) -> None:
        self.line = Line(url)
        self.bells = Bells(
            self.line, need, ring=feed.ring, ring_feed=tail.ring, compare=feed.compare
        )
        # What says what is wrong with each part; empty while nothing is.
        self.problems: dict[str, Callable[[], str]] = {"nats": lambda: self.line.problem}

    def loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Make what runs as long as core serves, by name."""
        return {"nats": self.line.run(), "bell": self.bells.run()}

    def vitals(self) -> Vitals:
        return Vitals(self.line.is_up, self.bells.outcomes)
