"""Revoked tokens: brings what is in the table to this process, within half a second.

Must never forget one: a restart reads them all again.
"""

from __future__ import annotations

import asyncio
import logging

from core.errors import Refusal
from core.heartbeat import beat, until_pulse_s
from core.storage.store import Store
from holdfast.revocation import Revocations

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# How often the table is read. The promise is that every process refuses within a second.
LOOK_EVERY_S = 0.4
# The same on SQLite, where only this process writes them, and reads them at once.
ALONE_EVERY_S = 1.0
# How far replicas' clocks may differ without one of them missing what another has written.
SKEW_S = 60.0


class Revoker:
    """Reads the table again and again."""

    def __init__(self, store: Store, revocations: Revocations) -> None:
        self._store = store
        self._revocations = revocations
        self._newest_us = 0

    async def start(self) -> None:
        """Read all that was ever revoked. Raises Refusal STORAGE_UNAVAILABLE."""
        await self.look()

    async def run(self) -> None:
        """Read what is new, until cancelled."""
        while True:
            beat()
            await asyncio.sleep(
                LOOK_EVERY_S if self._store.is_postgres else until_pulse_s(ALONE_EVERY_S)
            )
            try:
                await self.look()
            except Refusal:
                continue  # The database is away, as the store's condition says.

    async def look(self) -> None:
        """Read what is new now. Raises Refusal STORAGE_UNAVAILABLE."""
        since_us = self._newest_us - round(SKEW_S * US_PER_S)
        for user_id, issued_before_us, revoke_time_us in await self._store.revocations(since_us):
            self._newest_us = max(self._newest_us, revoke_time_us)
            self._revocations.add(user_id, issued_before_us / US_PER_S)
