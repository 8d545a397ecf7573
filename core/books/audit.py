"""The three-way check: record, ledger and payment provider agree, on demand and every hour.

The hourly check looks at what changed since the one before, at what was wrong before, and at a
slice of all the others: within a day it has come to every escrow. How far it has come is a row of
the database, leased, so that several cores share the work and a restart goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass

from core.books.check import check
from core.errors import Refusal
from core.heartbeat import beat
from core.law.escrow import Escrow
from core.settlement.compare import Finding
from core.storage import audit
from core.storage.row import AuditRow, Book, FindingRow
from core.storage.store import Store
from core.storage.trip.step import Steps

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# Escrows whose books are read at once.
PAGE = 50
# Accounts with a wrong balance that one check names.
MAX_DRIFTS = 100
# How often the books are checked, also against the provider.
EVERY_S = 3_600.0
# How often a core asks whether the next check is due and nobody else's.
LOOK_EVERY_S = 60.0
# How much of EVERY_S passes before a check that failed is tried again.
RETRY = 1 / 6
# The walk over all escrows takes so long, a little less than a day: what is planted just behind
# it is met by the next one, and no check is on time to the second.
WALK_S = 22 * 3_600.0
# How far each check looks back behind the one before. A change is stamped before it is committed:
# a batch ends within half a minute, and the clocks of cores should be seconds apart at most
# (core.clock says so in health where one is not). What is later still is met by the walk.
OVERLAP_S = 600.0
# How long a core that says nothing keeps the check to itself: a page with a slow provider.
LEASE_S = 1_800.0
# Escrows with findings that each check looks at again; more wait for the walk.
MAX_SUSPECTS = 1_000
# Escrows that one check remembers to have looked at; of more, some are looked at twice.
MAX_SEEN = 100_000
# Findings that are told at once.
MAX_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What a check has found."""

    check_time_us: int
    escrows_checked: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class AuditState:
    """How far the checks of all cores together have come, and what they know to be wrong."""

    progress: AuditRow
    findings: tuple[Finding, ...]
    findings_count: int


class _LeaseLost(Exception):
    """Another core has taken the check over."""


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
        self.now_us = now_us

    async def run(self, every_s: float = EVERY_S) -> None:
        """Check the books, also against the provider, every `every_s`. Log one line each time."""
        while True:
            beat()
            await asyncio.sleep(min(every_s, LOOK_EVERY_S))
            try:
                result = await self.look_due(every_s)
            except Refusal as refusal:
                why = refusal.__cause__ or refusal
                log.warning("the books could not be checked: %s", why)
                continue
            except _LeaseLost:
                log.warning("another core has taken the check of the books over")
                continue
            except Exception:  # One bad record must not stop the checks.
                log.exception("the books could not be checked")
                continue
            if result is not None:
                _tell(result)

    async def look_due(self, every_s: float = EVERY_S) -> Result | None:
        """Make the hourly check if it is due; None where it is not, or is another core's.

        Raises Refusal.
        """
        now_us = self.now_us()
        state = await self._store.audit.state()
        if state is not None and state.due_us > now_us:
            return None  # Asked first, for an idle core must not write.
        lease_id = uuid.uuid4().hex
        taken = await self._store.transact(
            audit.lease(
                lease_id=lease_id,
                now_us=now_us,
                until_us=now_us + _us(LEASE_S),
                changes_us=now_us - _us(every_s + OVERLAP_S),
            )
        )
        if taken is None:
            return None
        try:
            return await _Round(self, self._store, taken, lease_id, now_us, every_s).make()
        except (Exception, asyncio.CancelledError):
            with contextlib.suppress(Refusal):
                await self._give_back(lease_id, due_us=now_us + _us(every_s * RETRY))
            raise

    async def _give_back(self, lease_id: str, *, due_us: int) -> None:
        await self._store.transact(audit.give_back(lease_id, due_us=due_us))

    async def state(self) -> AuditState | None:
        """Answer what all cores together have done and found; None before the first check."""
        stored = self._store.audit
        progress = await stored.state()
        if progress is None:
            return None
        found = await stored.findings(MAX_FINDINGS)
        findings = tuple(Finding(one.escrow_id, one.check_name, one.message) for one in found)
        count = await stored.count_findings()
        return AuditState(progress, findings, count)

    async def check(self, *, escrow_id: str = "", with_razorpay: bool = False) -> Result:
        """Check one escrow, or all. Raises Refusal."""
        findings: list[Finding] = []
        checked = 0
        after_id = ""
        only = [escrow_id] if escrow_id else None
        while page := await self._store.books(after_id=after_id, limit=PAGE, escrow_ids=only):
            findings += await self.check_page(page, with_razorpay=with_razorpay)
            checked += len(page)
            after_id = page[-1].escrow.escrow_id
            if escrow_id:
                break
        if not escrow_id:
            findings += await self.compare_balances()
        return Result(self.now_us(), checked, tuple(findings))

    async def check_some(
        self, *, after_id: str, limit: int, with_razorpay: bool
    ) -> tuple[Result, str]:
        """Check some escrows after an id, in the order of ids; the last page the balances too.

        Answers the id to go on after, too; empty after the last. Raises Refusal.
        """
        books = await self._store.books(after_id=after_id, limit=limit)
        findings = await self.check_page(books, with_razorpay=with_razorpay)
        is_last = len(books) < limit
        if is_last:
            findings += await self.compare_balances()
        next_id = "" if is_last else books[-1].escrow.escrow_id
        return Result(self.now_us(), len(books), tuple(findings)), next_id

    async def check_page(self, page: Collection[Book], *, with_razorpay: bool) -> list[Finding]:
        """Check the books of some escrows. Raises Refusal."""
        beat()
        findings: list[Finding] = []
        for book in page:
            findings += check(book)
            await asyncio.sleep(0)  # Let other calls run between two escrows.
        if with_razorpay:
            for found in await asyncio.gather(*(self._compare(book) for book in page)):
                findings += found
        return findings

    async def compare_balances(self) -> list[Finding]:
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


class _Round:
    """One hourly check, in pages; after each, what it found and how far it came is written down."""

    def __init__(
        self,
        auditor: Auditor,
        store: Store,
        state: AuditRow,
        lease_id: str,
        begin_us: int,
        every_s: float,
    ) -> None:
        self._auditor = auditor
        self._store = store
        self._state = state
        self._lease_id = lease_id
        self._begin_us = begin_us
        self._every_s = every_s
        self._checked = 0
        self._seen: set[str] = set()
        self._findings: list[Finding] = []

    async def make(self) -> Result:
        suspects = await self._store.audit.suspects("", MAX_SUSPECTS)
        for first in range(0, len(suspects), PAGE):
            await self._visit(suspects[first : first + PAGE])
        async for changed in self._changed():
            await self._visit(changed)
        is_whole = await self._walk()
        if is_whole or await self._store.audit.has_loose_findings():
            await self._balance()
        return await self._end()

    async def _changed(self) -> AsyncIterator[list[str]]:
        after = (self._state.changes_us, "")
        while page := await self._store.audit.changed(after, self._begin_us, PAGE):
            yield [escrow_id for _, escrow_id in page]
            after = page[-1]

    async def _visit(self, escrow_ids: Collection[str], **progress: int | str) -> None:
        """Check these escrows, and write down what is wrong with them now."""
        ids = sorted(one for one in escrow_ids if one and one not in self._seen)
        if len(self._seen) < MAX_SEEN:
            self._seen.update(ids)
        page = await self._store.books(limit=PAGE, escrow_ids=ids) if ids else []
        findings = await self._auditor.check_page(page, with_razorpay=True)
        self._checked += len(page)
        await self._keep(ids, findings, **progress)

    async def _keep(
        self, ids: Collection[str], findings: list[Finding], **progress: int | str
    ) -> None:
        self._findings += findings
        rows = [FindingRow(one.escrow_id, one.check, one.message) for one in findings]
        until_us = self._auditor.now_us() + _us(LEASE_S)

        def keep() -> Steps[None]:
            if not (yield from audit.renew(self._lease_id, until_us, **progress)):
                raise _LeaseLost
            if ids:
                yield from audit.replace(ids, rows)

        await self._store.transact(keep())

    async def _walk(self) -> bool:
        """Go on with the walk as far as the time asks for; answers whether it came to its end."""
        state = await self._begun()
        if state is None:
            return False
        walked, after_id = state.walk_checked, state.walk_after_id
        goal = goal_of(state, self._begin_us + _us(self._every_s))
        while goal is None or walked < goal:
            most = PAGE if goal is None else min(PAGE, goal - walked)
            page = await self._store.audit.page(after_id, most)
            if page:
                walked, after_id = walked + len(page), page[-1]
                await self._visit(page, walk_checked=walked, walk_after_id=after_id)
            if len(page) < most:
                whole = {"whole_begin_us": state.walk_begin_us or 0}
                await self._keep([], [], whole_end_us=self._auditor.now_us(), **whole)
                return True
        return False

    async def _begun(self) -> AuditRow | None:
        """Answer the walk to go on with; None while the last one came to its end early."""
        state = self._state
        if state.walk_begin_us is not None and state.walk_begin_us != state.whole_begin_us:
            return state
        if state.walk_begin_us is not None:
            # Nearly due counts as due: checks are never on time to the second.
            next_us = state.walk_begin_us + _us(WALK_S - self._every_s / 2)
            if self._begin_us < next_us:
                return None
        total = await self._store.audit.count_escrows()
        progress: dict[str, int | str] = {
            "walk_begin_us": self._begin_us,
            "walk_after_id": "",
            "walk_checked": 0,
            "walk_total": total,
        }
        await self._keep([], [], **progress)
        return await self._store.audit.state()

    async def _balance(self) -> None:
        await self._keep([""], await self._auditor.compare_balances())

    async def _end(self) -> Result:
        now_us = self._auditor.now_us()
        await self._store.transact(
            audit.give_back(
                self._lease_id,
                check_time_us=now_us,
                escrows_checked=self._checked,
                changes_us=self._begin_us - _us(OVERLAP_S),
                due_us=self._begin_us + _us(self._every_s),
            )
        )
        return Result(now_us, self._checked, tuple(self._findings))


def goal_of(state: AuditRow, until_us: int) -> int | None:
    """Answer how many escrows the walk must have passed to be in time; None for all."""
    assert state.walk_begin_us is not None, "a walk has begun"
    share = (until_us - state.walk_begin_us) / _us(WALK_S)
    # Ids that were made since stand at the end, and are among what has changed.
    return None if share >= 1 else math.ceil(state.walk_total * share)


def _tell(result: Result) -> None:
    level = logging.ERROR if result.findings else logging.INFO
    text = "books: %d escrows checked, %d findings"
    log.log(level, text, result.escrows_checked, len(result.findings))


def _us(span_s: float) -> int:
    return round(span_s * US_PER_S)
