"""All that core does on NATS, as one: what it is made of, what is wrong with it, its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from core.execute import Committed
from core.feed.tail import Tail
from core.live.feed import Feed
from core.live.need import Need
from core.nats.bell import Bells
from core.nats.line import Line
from core.nats.publish import Publisher
from core.storage.store import Store


@dataclass(frozen=True, slots=True)
class Vitals:
    """NATS at this moment: whether it is connected, and bells by what became of them."""

    is_up: bool
    bells: Counter[str]
    # Events by what became of them on their way to the stream.
    events: Counter[str]
    # How far the stream is; None where another core publishes.
    position: int | None


class Exchange:
    """The connection, and everybody who uses it."""

    def __init__(
        self,
        url: str,
        store: Store,
        *,
        now_us: Callable[[], int],
        need: Need,
        feed: Feed,
        tail: Tail,
    ) -> None:
        def ring_feed() -> None:
            tail.ring()
            self.publisher.ring()

        self.line = Line(url)
        self.publisher = Publisher(self.line, store, need, now_us=now_us)
        self.bells = Bells(
            self.line, need, ring=feed.ring, ring_feed=ring_feed, compare=feed.compare
        )
        # What says what is wrong with each part; empty while nothing is.
        self.problems: dict[str, Callable[[], str]] = {
            "nats": lambda: self.line.problem,
            "nats_stream": lambda: self.publisher.problem,
        }

    def placed(self, committed: Sequence[Committed]) -> None:
        """Take over that there are new positions, and which of this core's events have them."""
        self.bells.placed(committed)
        self.publisher.ring()

    def loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Make what runs as long as core serves, by name."""
        users = {"bell": self.bells.run(), "publisher": self.publisher.run()}
        return {"nats": self.line.run(), **users}

    def vitals(self) -> Vitals:
        publisher = self.publisher
        return Vitals(self.line.is_up, self.bells.outcomes, publisher.outcomes, publisher.position)
