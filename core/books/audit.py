"""The three-way check: record, ledger and payment provider agree, on demand and every hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.books.check import check
from core.errors import Refusal
from core.heartbeat import beat
from core.law.escrow import Escrow
from core.settlement.compare import Finding
from core.storage.row import Book
from core.storage.store import Store

log = logging.getLogger(__name__)

# Escrows whose books are read at once.
PAGE = 50
# Accounts with a wrong balance that one check names.
MAX_DRIFTS = 100
# How often all books are checked, also against the provider.
EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a check has found."""

    check_time_us: int
    escrows_checked: int
    findings: tuple[Finding, ...]


class Auditor:
    """Checks the books."""

    def __init__(
        self,
        store: Store,
        differences: Callable[[Escrow], Awaitable[list[Finding]]],
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._differences = differences
        self._now_us = now_us
        self.last: Result | None = None

    async def run(self, every_s: float = EVERY_S) -> None:
        """Check all books, also against the provider, every `every_s`. Log one line each time."""
        while True:
            beat()
            await asyncio.sleep(every_s)
            try:
                self.last = await self.check(with_razorpay=True)
            except Refusal as refusal:
                why = refusal.__cause__ or refusal
                log.warning("the books could not be checked: %s", why)
                continue
            except Exception:  # One bad record must not stop the checks.
                log.exception("the books could not be checked")
                continue
            level = logging.ERROR if self.last.findings else logging.INFO
            log.log(
                level,
                "books: %d escrows checked, %d findings",
                self.last.escrows_checked,
                len(self.last.findings),
            )

    async def check(self, *, escrow_id: str = "", with_razorpay: bool = False) -> Result:
        """Check one escrow, or all. Raises Refusal."""
        findings: list[Finding] = []
        checked = 0
        after_id = ""
        while page := await self._store.books(after_id=after_id, limit=PAGE, escrow_id=escrow_id):
            beat()
            for book in page:
                findings += check(book)
                await asyncio.sleep(0)  # Let other calls run between two escrows.
            if with_razorpay:
                for found in await asyncio.gather(*(self._compare(book) for book in page)):
                    findings += found
            checked += len(page)
            after_id = page[-1].escrow.escrow_id
            if escrow_id:
                break
        if not escrow_id:
            findings += await self._compare_balances()
        return Result(self._now_us(), checked, tuple(findings))

    async def _compare_balances(self) -> list[Finding]:
        """Check the kept balances against their postings, and what belongs to no escrow."""
        ledger = self._store.ledger
        lopsided = [
            Finding("", "POSTINGS", f"those of {entity_id} sum to {total} {currency}, not to zero")
            for entity_id, currency, total in await ledger.lopsided(MAX_DRIFTS)
        ]
        return lopsided + [
            Finding(
                "",
                "BALANCES",
                f"{drift.account} is kept as {drift.kept_minor} {drift.currency}, "
                f"its postings come to {drift.posted_minor}",
            )
            for drift in await ledger.drifts(MAX_DRIFTS)
        ]

    async def _compare(self, book: Book) -> list[Finding]:
        escrow = book.escrow
        findings = await self._differences(escrow)
        if not findings:
            return []
        now = await self._store.escrow(escrow.escrow_id)
        if now is None or now.version != escrow.version:
            return []  # It changed meanwhile: the next check sees it at rest.
        return findings
