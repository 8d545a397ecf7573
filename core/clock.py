"""The time of core: it never jumps, and it decides nothing while it cannot be believed.

A wall clock that jumps would cancel what waits for payment and pay out what is being inspected. So
core's time follows the monotonic clock from its start on, and the wall clock only where the two
agree. Deadlines wait while they do not, while a database of its own clock disagrees, and after a
start whose time nobody can vouch for; an operator can confirm the time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from core.errors import Refusal
from core.heartbeat import beat, until_pulse_s
from core.storage.store import Store
from core.storage.vital import Vitals

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# The most that two clocks may differ, and the wall clock may be corrected at once, in seconds.
TOLERANCE_S = 5.0
# How often the clock is compared with the others, in seconds.
CHECK_EVERY_S = 5.0
# How often it is written down how far time has come.
MARK_EVERY_S = 60.0
# After a longer silence of core, SQLite alone cannot tell a pause from a clock that is ahead.
MAX_PAUSE_S = 2 * 86_400.0


def wall_us() -> int:
    """The wall clock, whole microseconds since the epoch."""
    return time.time_ns() // 1000


class SteadyClock:
    """Answers the time in whole microseconds since the epoch; never an earlier one than before."""

    def __init__(
        self,
        wall: Callable[[], int] = wall_us,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic_s = monotonic_s
        self._latest_us = 0
        self.trust_the_wall()

    def __call__(self) -> int:
        steady_us = self._steady_us()
        wall = self._wall()
        if abs(wall - steady_us) <= TOLERANCE_S * US_PER_S:
            # The wall clock is corrected a little now and then: follow it.
            self._anchor(wall)
            steady_us = wall
        self._latest_us = max(self._latest_us, steady_us)
        return self._latest_us

    @property
    def jump_s(self) -> float:
        """How far the wall clock is ahead of this one, where that is more than the tolerance."""
        off_s = (self._wall() - self._steady_us()) / US_PER_S
        return off_s if abs(off_s) > TOLERANCE_S else 0.0

    def trust_the_wall(self) -> None:
        """Go on from the wall clock, whatever was believed before; never backwards."""
        self._anchor(self._wall())

    def start_from(self, time_us: int) -> None:
        """Go on from this time where it is later: what has happened is not in the future."""
        if time_us > self():
            self._anchor(time_us)

    def _anchor(self, time_us: int) -> None:
        self._anchor_us, self._anchor_s = time_us, self._monotonic_s()

    def _steady_us(self) -> int:
        passed_s = self._monotonic_s() - self._anchor_s
        return self._anchor_us + round(passed_s * US_PER_S)


class Timekeeper:
    """Compares the clock, and says why it is not believed."""

    def __init__(
        self,
        store: Store,
        vitals: Vitals,
        clock: SteadyClock,
        wall: Callable[[], int] = wall_us,
    ) -> None:
        self._store = store
        self._vitals = vitals
        self._clock = clock
        self._wall = wall
        self._pause_s = 0.0
        self._confirmed_us = 0
        self._marked_s = 0.0
        # Why deadlines wait; empty while the clock is believed.
        self.problem = "the clock has not been compared yet"

    async def start(self) -> None:
        """Compare with what the database has lived through. Raises Refusal."""
        newest_us, self._confirmed_us = await self._vitals.times()
        self._clock.start_from(newest_us)
        if newest_us and not self._vitals.is_postgres:
            self._pause_s = (self._wall() - newest_us) / US_PER_S
        await self.check()

    async def run(self) -> None:
        """Compare now and then, until cancelled."""
        while True:
            beat()
            await asyncio.sleep(until_pulse_s(CHECK_EVERY_S))
            try:
                await self.check()
            except Refusal:
                continue  # The database is away: nothing is decided meanwhile either.

    async def check(self) -> None:
        """Find out whether the clock may be believed now. Raises Refusal STORAGE_UNAVAILABLE."""
        _, confirmed_us = await self._vitals.times()
        if confirmed_us != self._confirmed_us:
            self._confirmed_us = confirmed_us
            if abs(self._wall() - confirmed_us) < 2 * MARK_EVERY_S * US_PER_S:
                self._clock.trust_the_wall()
                self._pause_s = 0.0
        problem = self._drift() or await self._disagreement()
        if problem and problem != self.problem:
            log.error("deadlines wait, for the clock cannot be believed: %s", problem)
        elif self.problem and not problem:
            log.info("the clock is believed, and deadlines pass")
        self.problem = problem
        if not problem:
            await self._mark()

    def _drift(self) -> str:
        jump_s = self._clock.jump_s
        if jump_s:
            where = "ahead of" if jump_s > 0 else "behind"
            return (
                f"it is {abs(jump_s):.0f} s {where} what has passed by the monotonic clock and the"
                " newest event; correct it, or confirm it with `python -m core confirm-time`"
            )
        if self._pause_s > MAX_PAUSE_S:
            return (
                f"the last that was written is {self._pause_s / 86_400:.1f} days old: core was"
                " away for long, or the clock is ahead; confirm it with"
                " `python -m core confirm-time`"
            )
        return ""

    async def _disagreement(self) -> str:
        before_us = self._clock()
        theirs_us = await self._vitals.clock_us()
        if theirs_us is None:
            return ""
        ours_us = (before_us + self._clock()) // 2
        off_s = (ours_us - theirs_us) / US_PER_S
        if abs(off_s) <= TOLERANCE_S:
            return ""
        where = "ahead of" if off_s > 0 else "behind"
        return f"it is {abs(off_s):.0f} s {where} the database's; correct the one that is wrong"

    async def _mark(self) -> None:
        now_s = time.monotonic()
        if now_s - self._marked_s >= MARK_EVERY_S:
            self._marked_s = now_s
            async with self._store.write() as transaction:
                await transaction.beat(self._clock())
