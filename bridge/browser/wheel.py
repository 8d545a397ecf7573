"""One timer for all connections: each is looked at when something of it is due, and not before.

A timer for each would cost more than its socket. Must never call a connection that was removed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from bridge.browser.slices import in_slices
from bridge.limits import Limits

_log = logging.getLogger(__name__)

# The slot of what is not on the wheel.
NOWHERE = -1


class Timed(Protocol):
    """Something that has to be looked at from time to time."""

    slot: int

    def check(self, now: float, /) -> float | None:
        """Do what is due, and answer when to look again; None for never. Times are the loop's."""


class Wheel:
    """What is due, by slots of `tick_s`. A look comes at most one tick after its time."""

    def __init__(self, limits: Limits) -> None:
        self._tick_s = limits.tick_s
        self._slice_s = limits.slice_s
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, dict[Timed, None]] = {}
        # The newest slot that was turned to.
        self._turned = self._slot(self._loop.time())

    def put(self, timed: Timed, due: float) -> None:
        """Look at it at `due`, and no longer at the time that was meant before."""
        self.remove(timed)
        # A slot that was turned to is not looked at again.
        slot = timed.slot = max(self._slot(due), self._turned) + 1
        self._slots.setdefault(slot, {})[timed] = None

    def remove(self, timed: Timed) -> None:
        """Look at it no more."""
        slot, timed.slot = timed.slot, NOWHERE
        others = self._slots.get(slot)
        if others is not None:
            others.pop(timed, None)
            if not others:
                del self._slots[slot]

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            await asyncio.sleep(self._tick_s)
            now_slot = self._slot(self._loop.time())
            while self._turned < now_slot:
                self._turned += 1
                await self._look(self._turned)

    async def _look(self, slot: int) -> None:
        due = self._slots.pop(slot, {})
        async for timed in in_slices(tuple(due), self._slice_s):
            # Others had their turn meanwhile, and may have moved or removed it.
            if timed.slot == slot:
                self._check(timed, slot)

    def _check(self, timed: Timed, slot: int) -> None:
        try:
            again = timed.check(self._loop.time())
        except Exception:  # One connection must not stop the time of all others.
            _log.exception("a connection could not be looked at")
            again = None
        if again is None:
            self.remove(timed)
        elif timed.slot == slot:
            self.put(timed, again)

    def _slot(self, time_s: float) -> int:
        return int(time_s / self._tick_s)
