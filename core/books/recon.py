"""Fetches Razorpay's settlement reports and holds them against the books, day by day.

Every line is kept with what the books say to it. The days are rows of the database, leased, so that
several cores look once. A day is looked at until nothing more is expected of it, for lines and our
own postings may come late. It changes no escrow: a difference is for a person.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

from core.books.match import SETTLEMENT, Matcher, Outcome, Verdict, by_settlement
from core.errors import Refusal
from core.heartbeat import beat, in_rounds
from core.settlement.compare import Finding
from core.settlement.recon import ReconLine, SettlementReports
from core.storage import recon
from core.storage.row import ReconFinding, ReconRow
from core.storage.store import Store

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
DAY_S = 86_400.0
# The days of the reports are those of India.
INDIA = timezone(timedelta(hours=5, minutes=30))

# When a core looks for the first time after its start.
FIRST_S = 15.0
# How often the table is asked which days are due.
LOOK_EVERY_S = 600.0
# How long after its end a day is looked at first.
READY_AFTER_S = 7_200.0
# How long after a look an open day is looked at again.
AGAIN_S = 43_200.0
# How long after a look that failed.
RETRY_S = 1_200.0
# How long a day stays open for lines that come late, though all are explained.
OPEN_S = 3 * DAY_S
# How long a day with findings is looked at, and its findings are told of.
TELL_S = 14 * DAY_S
# How long a core has a day for itself.
LEASE_S = 1_800.0
# Days that are caught up on when no core has run for long; for more there is the command.
MAX_CATCH_UP_DAYS = 14
# Lines that are written in one transaction.
PAGE = 500
# Characters of a finding; what Razorpay says may be long.
MAX_MESSAGE = 500
# Findings of the reports that are told at once.
MAX_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class DayResult:
    """What the report of a day has come to."""

    day: str
    lines: int
    counts: Counter[str]
    findings: tuple[Finding, ...]

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to come or to be explained."""
        return bool(self.findings) or self.counts[Outcome.WAITING] > 0


@dataclass(frozen=True, slots=True)
class ReconState:
    """The last look at any day, by any core, and what is not explained of the latest days."""

    day: str
    look_time_us: int
    lines: int
    findings: tuple[Finding, ...]


class Recon:
    """Holds Razorpay's reports against the books."""

    def __init__(
        self, store: Store, reports: SettlementReports, *, now_us: Callable[[], int]
    ) -> None:
        self._store = store
        self._reports = reports
        self._now_us = now_us

    async def run(self, *, first_s: float = FIRST_S, every_s: float = LOOK_EVERY_S) -> None:
        """Look at each day that is due, until cancelled."""
        await in_rounds(
            self.look_due,
            first_s=first_s,
            every_s=every_s,
            log=log,
            failed="a settlement report could not be looked at",
        )

    async def look_due(self) -> list[DayResult]:
        """Look at all days that are due and that nobody else has. Raises Refusal."""
        await self._expect()
        results: list[DayResult] = []
        lease_id = uuid.uuid4().hex
        while (day := await self._lease(lease_id)) is not None:
            beat()
            try:
                result = await self.look(date.fromisoformat(day))
            except Refusal:
                await self._give_back(day, lease_id)
                raise
            results.append(result)
            _tell(result)
        return results

    async def look(self, day: date, progress: Callable[[str], None] = lambda _: None) -> DayResult:
        """Fetch a day's report, hold it against the books and keep it; safe to repeat.

        Raises Refusal.
        """
        lines = await self._reports.lines(day)
        progress(f"{day}: {len(lines)} lines fetched")
        verdicts = await self._judge(day, sorted(lines, key=_order))
        await self._keep(day, verdicts)
        result = _result(day, verdicts)
        async with self._store.write() as transaction:
            now_us = self._now_us()
            await transaction.recon.cut(day.isoformat(), len(verdicts))
            due_us = _next_us(day, result, now_us)
            await transaction.recon.looked(day.isoformat(), now_us=now_us, due_us=due_us)
        progress(f"{day}: {result.lines} lines held against the books")
        return result

    async def state(self) -> ReconState | None:
        """Answer what all cores together have found last; None before the first look."""
        last = await self._store.recon.last_look()
        if last is None:
            return None
        since = _india(self._now_us()) - timedelta(seconds=TELL_S)
        found = await self._store.recon.findings(since.isoformat(), MAX_FINDINGS)
        return ReconState(*last, tuple(_finding(one) for one in found))

    async def _expect(self) -> None:
        """Write down the days that have ended since the last known one."""
        yesterday = _india(self._now_us()) - timedelta(days=1)
        last = await self._store.recon.last_day()
        after = date.fromisoformat(last) if last else yesterday - timedelta(days=1)
        first = max(after + timedelta(days=1), yesterday - timedelta(days=MAX_CATCH_UP_DAYS - 1))
        days = [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]
        if days:
            due = {day.isoformat(): _end_us(day) + round(READY_AFTER_S * US_PER_S) for day in days}
            async with self._store.write() as transaction:
                await transaction.recon.expect(due)

    async def _lease(self, lease_id: str) -> str | None:
        now_us = self._now_us()
        if not await self._store.recon.is_due(now_us):
            return None
        until_us = now_us + round(LEASE_S * US_PER_S)
        return await self._store.transact(
            recon.lease(lease_id=lease_id, now_us=now_us, until_us=until_us)
        )

    async def _give_back(self, day: str, lease_id: str) -> None:
        due_us = self._now_us() + round(RETRY_S * US_PER_S)
        await self._store.transact(recon.give_back(day, lease_id=lease_id, due_us=due_us))

    async def _judge(self, day: date, lines: Sequence[ReconLine]) -> list[Verdict]:
        ids = {
            one
            for line in lines
            for one in (line.entity_id, line.payment_id, line.dispute_id, line.settlement_id)
            if one
        }
        stored = self._store.recon
        matcher = Matcher(
            await stored.movements(ids), await stored.explained(ids, but_day=day.isoformat())
        )
        verdicts: list[Verdict] = []
        for number, line in enumerate(lines):
            verdicts.append(matcher.judge(line))
            if number % PAGE == 0:
                await asyncio.sleep(0)  # Let calls run between two pages.
        is_complete = not any(line.problem for line in lines)
        for settlement_id, brought in sorted(by_settlement(verdicts).items()):
            beat()
            verdicts.append(await self._settlement(matcher, settlement_id, brought, is_complete))
        return verdicts

    async def _settlement(
        self, matcher: Matcher, settlement_id: str, brought: Sequence[Verdict], is_complete: bool
    ) -> Verdict:
        settlement = await self._reports.settlement(settlement_id)
        if settlement is None:
            line = ReconLine(settlement_id, SETTLEMENT, settlement_id=settlement_id)
            text = f"Razorpay: {settlement_id} is in a report, and unknown"
            return Verdict(line, settlement_id, Outcome.UNREADABLE, text)
        currency = brought[0].line.currency
        return matcher.judge_settlement(settlement, currency, brought if is_complete else None)

    async def _keep(self, day: date, verdicts: Sequence[Verdict]) -> None:
        """Write verdicts and what is posted from the report, a page in each transaction."""
        for first in range(0, len(verdicts), PAGE):
            beat()
            page = verdicts[first : first + PAGE]
            outside = [posting for verdict in page for posting in verdict.postings]
            async with self._store.write() as transaction:
                await transaction.recon.post(outside, now_us=self._now_us())
                await transaction.recon.save(day.isoformat(), first, [_row(v) for v in page])


def _tell(result: DayResult) -> None:
    for finding in result.findings:
        log.error("settlement report: %s", finding.message)
    level = logging.ERROR if result.findings else logging.INFO
    text = "settlement report of %s: %d lines, %d findings"
    log.log(level, text, result.day, result.lines, len(result.findings))


def _result(day: date, verdicts: Sequence[Verdict]) -> DayResult:
    name = day.isoformat()
    findings = [ReconFinding(name, v.escrow_id, v.outcome, v.message) for v in verdicts]
    told = tuple(_finding(one) for one in findings if one.message)
    return DayResult(name, len(verdicts), Counter(v.outcome for v in verdicts), told)


def _finding(one: ReconFinding) -> Finding:
    return Finding(one.escrow_id, f"RECON_{one.outcome}", f"{one.day}: {one.message}")


def _next_us(day: date, result: DayResult, now_us: int) -> int | None:
    """Answer when a day is to be looked at again; None when nothing more is expected."""
    age_s = (now_us - _end_us(day)) / US_PER_S
    if age_s > (TELL_S if result.is_open else OPEN_S):
        return None
    return now_us + round(AGAIN_S * US_PER_S)


def _order(line: ReconLine) -> tuple[str, ...]:
    """Keep the lines of a report at their places, whatever order Razorpay lists them in."""
    return (line.settlement_id, line.type, line.entity_id, str(line.net_minor))


def _row(verdict: Verdict) -> ReconRow:
    line = verdict.line
    return ReconRow(
        entity_id=line.entity_id,
        type=line.type,
        subject_id=verdict.subject_id,
        debit_minor=line.debit_minor,
        credit_minor=line.credit_minor,
        amount_minor=line.amount_minor,
        fee_minor=line.fee_minor,
        tax_minor=line.tax_minor,
        currency=line.currency,
        settlement_id=line.settlement_id,
        utr=line.utr,
        settle_time_us=line.settle_time_s * US_PER_S,
        outcome=verdict.outcome,
        message=verdict.message[:MAX_MESSAGE],
        escrow_id=verdict.escrow_id,
        version=verdict.version,
    )


def _india(time_us: int) -> date:
    return datetime.fromtimestamp(time_us / US_PER_S, UTC).astimezone(INDIA).date()


def _end_us(day: date) -> int:
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), INDIA)
    return round(end.timestamp()) * US_PER_S
