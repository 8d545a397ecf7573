"""Folds what commands have posted into the kept balances, so that reading one stays cheap.

Commands only append; this loop is the one writer of the balances, and no command waits for it.
"""

from __future__ import annotations

import asyncio
import logging

from core.errors import Refusal
from core.heartbeat import beat
from core.storage.store import Store

log = logging.getLogger(__name__)

# How often changes are folded in: what GetBalance adds up itself is not older than that.
FOLD_EVERY_S = 5.0
# Changes that are folded in one transaction, during which SQLite takes no command.
FOLD_ROWS = 2_000


class Folder:
    """Keeps the balances near to the postings."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, every_s: float = FOLD_EVERY_S) -> None:
        """Fold every `every_s` until cancelled."""
        while True:
            beat()
            await asyncio.sleep(every_s)
            try:
                await self.fold()
            except Refusal as refusal:
                log.warning("balances were not folded: %s", refusal.__cause__ or refusal)
            except Exception:  # Balances stay exact without; the next round tries again.
                log.exception("balances were not folded")

    async def fold(self, limit: int = FOLD_ROWS) -> int:
        """Fold all that waits, `limit` changes at a time; answer how many there were.

        Raises Refusal.
        """
        folded = 0
        # Asked first, for an idle core must not write.
        while await self._store.ledger.is_unfolded():
            async with self._store.write() as transaction:
                rows = await transaction.fold(limit)
            folded += rows
            if rows < limit:
                break
            beat()
        return folded
