"""Folds what commands have posted into the kept balances, so that reading one stays cheap.

Commands only append; this loop is the one writer of the balances, and no command waits for it.
`recount` is for a person whom the check has told of a balance that is wrong.
"""

from __future__ import annotations

import asyncio
import logging

from core.errors import Refusal
from core.heartbeat import beat, until_pulse_s
from core.storage.row import Drift
from core.storage.store import Store

log = logging.getLogger(__name__)

# How often changes are folded in: what GetBalance adds up itself is not older than that.
FOLD_EVERY_S = 5.0
# Balances that are corrected at once.
MAX_CORRECTED = 10_000
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
            await asyncio.sleep(until_pulse_s(every_s))
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


async def recount(store: Store) -> list[Drift]:
    """Correct the kept balances that are not the sums of their postings; answer what was wrong.

    Only one may run at a time: two would both correct. Commands may go on. Raises Refusal.
    """
    corrected: list[Drift] = []
    while drifts := await store.ledger.drifts(MAX_CORRECTED):
        async with store.write() as transaction:
            await transaction.correct(drifts)
        corrected += drifts
    return corrected
