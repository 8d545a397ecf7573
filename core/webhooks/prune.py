"""Forgets deliveries that ended long ago, and what is left of deleted endpoints, in slices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.heartbeat import beat, in_rounds
from core.storage.outgoing import DELIVERED, FAILED, PENDING
from core.storage.store import Store
from core.webhooks.pace import US_PER_S

log = logging.getLogger(__name__)

# When it is first looked for what is old: soon after the start, for a core may be restarted often.
FIRST_S = 10.0
# How often from then on.
EVERY_S = 3_600.0
# Deliveries that one transaction forgets.
SLICE = 200
# How long the database is left to others between two slices.
PAUSE_S = 0.1


class Pruner:
    """Keeps the deliveries as few as the settings want them."""

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
            failed="deliveries were not pruned",
        )

    async def prune(self) -> int:
        """Forget what is old; answer how many deliveries. May end between any two slices.

        Raises Refusal.
        """
        before_us = self._now_us() - round(self._keep_s * US_PER_S)
        pruned = 0
        for endpoint in await self._store.webhooks.endpoints():
            for state in (DELIVERED, FAILED):
                pruned += await self._forget(endpoint.endpoint_id, state, before_us)
        for endpoint_id in await self._store.webhooks.deleted():
            for state in (DELIVERED, FAILED, PENDING):
                pruned += await self._forget(endpoint_id, state, None)
            async with self._store.write() as transaction:
                await transaction.webhooks.drop(endpoint_id)
        async with self._store.write() as transaction:
            await transaction.webhooks.forget_previous(self._now_us())
        if pruned:
            log.info("webhooks: %d old deliveries are pruned", pruned)
        return pruned

    async def _forget(self, endpoint_id: str, state: str, before_us: int | None) -> int:
        """Forget an endpoint's deliveries in a state: the old ones, or all."""
        pruned = 0
        while True:
            beat()
            # In the order of their positions, which is that of their times.
            found = await self._store.webhooks.first(endpoint_id, state, SLICE)
            old = [one for one, made_us in found if before_us is None or made_us < before_us]
            if old:
                async with self._store.write() as transaction:
                    await transaction.webhooks.forget(old, state)
            pruned += len(old)
            if len(old) < SLICE:
                return pruned
            await asyncio.sleep(PAUSE_S)
