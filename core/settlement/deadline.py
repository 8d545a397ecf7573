"""The clock: cancels what was not paid and releases what was not inspected, in time.

Deadlines are a column of the escrows' rows, so a restart forgets none. The cause names the version
that was seen: it counts once, however many replicas look, and an escrow that has changed since is
looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.errors import Refusal
from core.execute import Executor
from core.heartbeat import beat
from core.law.command import CLOCK, PassDeadline
from core.storage.store import Store

log = logging.getLogger(__name__)

# How often the deadlines are looked at, and so the most that one is late.
LOOK_EVERY_S = 1.0
# Deadlines that are passed at once.
BATCH = 200


class Clock:
    """Looks at the deadlines, for ever."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        now_us: Callable[[], int],
        is_believed: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make a clock; while `is_believed` answers False, no deadline passes."""
        self._store = store
        self._executor = executor
        self._now_us = now_us
        self._is_believed = is_believed

    async def run(self) -> None:
        """Pass every deadline that is over, until cancelled."""
        while True:
            beat()
            try:
                while await self.look() == BATCH:
                    beat()
            except Refusal as refusal:
                log.warning("the deadlines could not be read: %s", refusal)
            except Exception:  # One bad escrow must not stop the others' deadlines.
                log.exception("a deadline could not be passed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Pass the deadlines that are over now; answers how many there were, at most BATCH."""
        if not self._is_believed():
            return 0
        overdue = await self._store.overdue(self._now_us(), BATCH)
        await asyncio.gather(*(self._pass(*one) for one in overdue))
        return len(overdue)

    async def _pass(self, escrow_id: str, version: int) -> None:
        await self._executor.execute(
            PassDeadline(),
            escrow_id=escrow_id,
            caller=CLOCK,
            # Not the deadline: a part whose dispute was withdrawn still has its old deadline.
            cause=f"clock:{escrow_id}:v{version}",
        )
