"""Limits what core is asked for at the same time, and serves users in turn.

A user with many calls waits for those, and does not delay the calls of others. The same holds for
watches that are to be opened.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Queue(Generic[_Item]):
    """A queue that is served round-robin, one item of each key."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[_Item]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, key: str, item: _Item) -> None:
        self._waiting.setdefault(key, deque()).append(item)

    def take(self) -> _Item:
        """Take the first item of the key whose turn it is. The queue must not be empty."""
        key, items = self._waiting.popitem(last=False)
        item = items.popleft()
        if items:
            self._waiting[key] = items  # To the end of the queue.
        return item


class Turns:
    """A semaphore that serves its waiters round-robin, one of each key."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the block runs."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._hand_on()

    async def _wait(self, key: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on()  # The turn came just before the cancellation.
            raise

    def _hand_on(self) -> None:
        while self._waiting:
            key, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[key] = turns  # To the end of the queue.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
