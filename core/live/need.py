"""What is watched here. A process need not hear of what nobody watches there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

# What is watched: one escrow, everything of one user, or everything, under the empty name.
Kind = Literal["escrow", "user", "feed"]


class Need:
    """Counts who watches what; `there` is set while anything is watched."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self._counts: dict[Kind, Counter[str]] = {
            "escrow": Counter(),
            "user": Counter(),
            "feed": Counter(),
        }
        # Told when the first watcher of something comes, and when the last one goes.
        self.changed: Callable[[Kind, str], None] = lambda _kind, _name: None

    def add(self, kind: Kind, name: str) -> None:
        self._counts[kind][name] += 1
        if self._counts[kind][name] == 1:
            self.there.set()
            self.changed(kind, name)

    def remove(self, kind: Kind, name: str) -> None:
        self._counts[kind][name] -= 1
        if not self._counts[kind][name]:
            del self._counts[kind][name]
            if not any(self._counts.values()):
                self.there.clear()
            self.changed(kind, name)

    def wants(self, kind: Kind, name: str) -> bool:
        """Whether anybody here watches it."""
        return name in self._counts[kind]

    def __iter__(self) -> Iterator[tuple[Kind, str]]:
        """All that is watched."""
        for kind, counts in self._counts.items():
            for name in counts:
                yield kind, name
