"""Deletes files that nobody has sent, and what is left of uploads that broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from core.attachments.archive import Archive
from core.errors import Refusal
from core.heartbeat import beat, in_rounds
from core.storage.attachment import DROPPED, READY, UPLOADING, Stored
from core.storage.store import Store

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# How long a file may wait to be sent in a message.
KEEP_UNSENT_S = 86_400.0
# How long an upload may be under way until it counts as broken off.
KEEP_UPLOADING_S = 3_600.0
# When it is first looked for what is old: soon after the start, for a core may be restarted often.
FIRST_S = 15.0
# How often from then on.
EVERY_S = 3_600.0
# Files that are dropped at once.
SLICE = 50
# How long the database is left to others between two slices.
PAUSE_S = 0.1


class Pruner:
    """Keeps only what was sent or may still be."""

    def __init__(self, store: Store, archive: Archive, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._archive = archive
        self._now_us = now_us

    async def run(self, *, first_s: float = FIRST_S, every_s: float = EVERY_S) -> None:
        """Prune after `first_s` and then every `every_s`, until cancelled."""
        await in_rounds(
            self.prune,
            first_s=first_s,
            every_s=every_s,
            log=log,
            failed="unsent attachments were not pruned",
        )

    async def prune(self) -> int:
        """Delete what is old; answer how many files. May end between any two.

        A file is dropped first, so that no message can show it any more; then its bytes go, then
        its row. Raises Refusal.
        """
        now_us = self._now_us()
        await self._drop(READY, now_us - round(KEEP_UNSENT_S * US_PER_S))
        await self._drop(UPLOADING, now_us - round(KEEP_UPLOADING_S * US_PER_S))
        pruned = 0
        while dropped := await self._store.attachments.waiting(DROPPED, now_us + 1, SLICE):
            erased = sum([await self._erase(one) for one in dropped])
            pruned += erased
            if erased < len(dropped):
                break
            await asyncio.sleep(PAUSE_S)
        if pruned:
            log.info("attachments: %d files that were not sent are pruned", pruned)
        return pruned

    async def _erase(self, dropped: Stored) -> bool:
        """Erase one file; one that cannot be erased now must not keep the others."""
        beat()
        try:
            await self._archive.erase(dropped)
        except Refusal as refusal:
            log.warning("the file %s was not pruned: %s", dropped.file.file_id, refusal)
            return False
        return True

    async def _drop(self, state: str, before_us: int) -> None:
        while old := await self._store.attachments.waiting(state, before_us, SLICE):
            beat()
            async with self._store.write() as transaction:
                ids = [one.file.file_id for one in old]
                dropped = await transaction.attachments.drop(ids, [state])
            if not dropped:  # Others are sending them at this moment.
                return
            await asyncio.sleep(PAUSE_S)
