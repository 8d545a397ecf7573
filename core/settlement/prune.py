"""Forgets webhooks that were worked off long ago, in slices so small that no command waits.

What is not worked off stays, however old. A delivery that comes again after its row is gone is
taken for a new one, and harmless: its cause is in the record, which is never pruned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.heartbeat import beat, in_rounds
from core.settlement.webhook import APPLIED, DUPLICATE, IGNORED
from core.storage.store import Store
from core.storage.trip import inbox

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# When it is first looked for what is old: soon after the start, or a core that is restarted every
# now and then would never come to it.
FIRST_S = 5.0
# How often from then on.
EVERY_S = 3_600.0
# Webhooks that one transaction forgets.
SLICE = 200
# How long the database is left to others between two slices.
PAUSE_S = 0.1
# Slices after which the log tells how far it is.
TELL_EVERY = 50


class Pruner:
    """Keeps the inbox as small as the settings want it."""

    def __init__(self, store: Store, *, keep_s: float, now_us: Callable[[], int]) -> None:
        self._store = store
        self._keep_s = keep_s
        self._now_us = now_us

    async def run(self, *, first_s: float = FIRST_S, every_s: float = EVERY_S) -> None:
        """Prune after `first_s` and then every `every_s`, until cancelled."""
        await in_rounds(
            self.prune,
            first_s=first_s,
            every_s=every_s,
            log=log,
            failed="the inbox was not pruned",
        )

    async def prune(self) -> int:
        """Forget what is old; answer how many webhooks. May end between any two slices.

        Raises Refusal.
        """
        before_us = self._now_us() - round(self._keep_s * US_PER_S)
        pruned = slices = 0
        for outcome in (APPLIED, DUPLICATE, IGNORED):
            while old := await self._store.old_webhooks(outcome, before_us, SLICE):
                beat()
                pruned += await self._store.transact(inbox.forget(old))
                slices += 1
                if slices % TELL_EVERY == 0:
                    log.info("inbox: %d old webhooks are pruned, and there are more", pruned)
                await asyncio.sleep(PAUSE_S)
        if pruned:
            log.info("inbox: %d old webhooks are pruned", pruned)
        return pruned
