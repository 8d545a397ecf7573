"""Whether anybody watches here. A process without a watcher need not hear of others' commits."""

from __future__ import annotations

import asyncio


class Need:
    """Counts what is watched; `there` is set while there is any."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self._count = 0

    def add(self) -> None:
        self._count += 1
        self.there.set()

    def remove(self) -> None:
        self._count -= 1
        if not self._count:
            self.there.clear()
