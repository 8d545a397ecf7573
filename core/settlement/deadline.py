"""The clock: reminds, cancels what was not paid, releases what was not inspected, in time.

It also lets a seller's new account count when its wait is over.

Deadlines are a column of the escrows' rows, so a restart forgets none. The cause names the version
that was seen: it counts once, however many replicas look, and an escrow that has changed since is
looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.errors import Refusal
from core.execute import Executor
from core.heartbeat import beat, until_pulse_s
from core.law.command import CLOCK, PassDeadline
from core.law.payee import pass_time
from core.storage.row import PayeeRow
from core.storage.store import Store
from core.storage.trip import owed
from core.storage.trip import payee as payees
from core.storage.trip.step import Steps

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
        ring_settlement: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a clock; while `is_believed` answers False, nothing passes."""
        self._store = store
        self._executor = executor
        self._now_us = now_us
        self._is_believed = is_believed
        self._ring_settlement = ring_settlement

    async def run(self) -> None:
        """Pass every deadline that is over, until cancelled."""
        while True:
            beat()
            await asyncio.gather(self._all(self.look), self._all(self.look_at_payees))
            await asyncio.sleep(until_pulse_s(LOOK_EVERY_S))

    async def _all(self, look: Callable[[], Awaitable[int]]) -> None:
        try:
            while await look() == BATCH:
                beat()
        except Refusal as refusal:
            log.warning("the deadlines could not be read: %s", refusal)
        except Exception:  # One bad escrow must not stop what else is due.
            log.exception("a deadline could not be passed")

    async def look(self) -> int:
        """Pass the deadlines that are over now; answers how many there were, at most BATCH."""
        if not self._is_believed():
            return 0
        overdue = await self._store.overdue(self._now_us(), BATCH)
        await asyncio.gather(*(self._pass(*one) for one in overdue))
        return len(overdue)

    async def look_at_payees(self) -> int:
        """Let the accounts count whose wait is over; answers how many do now, at most BATCH."""
        if not self._is_believed():
            return 0
        changed = 0
        for user_id in await self._store.due_payees(self._now_us(), BATCH):
            try:
                changed += await self._change_payee(user_id)
            except Refusal:
                raise
            except Exception:  # One bad payee must not stop the others' changes.
                log.exception("a seller's account could not be changed")
        if changed:
            self._ring_settlement()
        return changed

    async def _change_payee(self, user_id: str) -> bool:
        """Once, however many replicas look: the lock and the version see to it."""
        now_us = self._now_us()

        def change() -> Steps[bool]:
            yield from payees.lock(user_id)
            before = yield from payees.latest(user_id)
            after = pass_time(before, CLOCK.user_id, now_us) if before else None
            if after is None:
                return False
            cause = f"clock:payee:{user_id}:v{after.version}"
            is_added = yield from payees.add(PayeeRow(after, cause, b""))
            if is_added:
                yield from owed.make_due(now_us=now_us, seller_id=user_id)
            return is_added

        return await self._store.transact(change())

    async def _pass(self, escrow_id: str, version: int) -> None:
        await self._executor.execute(
            PassDeadline(),
            escrow_id=escrow_id,
            caller=CLOCK,
            # Not the deadline: a part whose dispute was withdrawn still has its old deadline.
            cause=f"clock:{escrow_id}:v{version}",
        )
