"""A month of generated business: its reports are explained, and what is planted is found."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.books.match import ADJUSTMENTS, BANK
from core.books.recon import INDIA, DayResult, Recon
from core.law.ledger import BALANCE
from core.settlement.compare import Finding
from core.settlement.recon import SettlementReports
from scripts.sandbox import Sandbox
from scripts.sandbox.statement import OPENING_BALANCE_MINOR
from tests.core.books.month import DAYS, DEALS, Calendar, Month
from tests.core.till import Till, open_till

SEED = 11
TYPES = {"payment", "refund", "transfer", "reversal", "adjustment"}

Line = dict[str, Any]


@pytest.fixture
def calendar() -> Calendar:
    """The month ends yesterday."""
    return Calendar(datetime.now(UTC).astimezone(INDIA).date() - timedelta(days=DAYS))


@pytest.fixture
async def till(database_url: str, calendar: Calendar) -> AsyncIterator[Till]:
    async with (
        Sandbox(process_delay_s=0.01, seed=SEED, clock_s=calendar) as sandbox,
        open_till(database_url, sandbox) as opened,
    ):
        yield opened


@pytest.fixture
def recon(till: Till) -> Recon:
    return Recon(till.room.store, SettlementReports(till.gateway), now_us=till.room.time)


@pytest.fixture
async def month(till: Till, calendar: Calendar) -> Month:
    """A month in which everything has happened at least once."""
    made = Month(till, calendar, SEED)
    await made.do_business()
    assert {deal.__name__ for deal in DEALS} | {"_lose", "_win", "_return_at_onset"} <= set(
        made.done
    )
    return made


async def held_against(recon: Recon, month: Month) -> list[DayResult]:
    return [await recon.look(day) for day in month.days]


def findings_of(results: Sequence[DayResult]) -> list[Finding]:
    return [finding for one in results for finding in one.findings]


async def balance(till: Till, account: str) -> int:
    return dict(await till.room.store.ledger.balance(account)).get("INR", 0)


async def lines_of(till: Till, month: Month) -> list[Line]:
    found: list[Line] = []
    for day in month.days:
        _, told = await till.buyer.door("GET", f"/recon?day={day.isoformat()}")
        found += told["items"]
    return found


async def plant(till: Till, **what: Any) -> None:
    status, told = await till.buyer.door("POST", "/recon/plant", what)
    assert status == 200, told


@pytest.mark.timeout(240)
async def test_every_line_of_a_month_is_explained_and_each_planted_difference_is_found(
    till: Till, month: Month, recon: Recon
) -> None:
    lines = await lines_of(till, month)
    assert {line["type"] for line in lines} == TYPES
    settled = [line for line in lines if line["settlement_id"]]
    assert month.done["settlements"] >= 4
    for _ in range(2):
        results = await held_against(recon, month)
        assert findings_of(results) == []
        assert sum(one.counts["MATCHED"] for one in results) == len(lines)
        assert sum(one.counts["POSTED"] for one in results) == month.done["settlements"]
    await _agrees_with_the_dashboard(till, settled)
    await _is_brought_by(till, settled)
    await _is_found_when_planted(till, month, recon, settled)


async def _agrees_with_the_dashboard(till: Till, settled: list[Line]) -> None:
    _, told = await till.buyer.door("GET", "/balance")
    assert await balance(till, BALANCE) == told["balance"] - OPENING_BALANCE_MINOR
    assert await balance(till, BANK) == sum(line["credit"] - line["debit"] for line in settled)
    assert await till.room.store.ledger.drifts(10) == []


async def _is_brought_by(till: Till, settled: list[Line]) -> None:
    """Each line's entries say which settlement brought it, and each settlement has its lines."""
    ledger = till.room.store.ledger
    rows = await ledger.entries(account=BALANCE, after=None, limit=5_000)
    brought = {(row.entity_id, row.settlement_id) for row in rows if row.settlement_id}
    for line in settled:
        assert (line["dispute_id"] or line["entity_id"], line["settlement_id"]) in brought
    one = settled[0]
    of_one = await ledger.entries(settlement_id=one["settlement_id"], after=None, limit=5_000)
    wanted = {
        line["dispute_id"] or line["entity_id"]
        for line in settled
        if line["settlement_id"] == one["settlement_id"]
    }
    assert {row.entity_id for row in of_one} == wanted | {one["settlement_id"]}


async def _is_found_when_planted(
    till: Till, month: Month, recon: Recon, settled: list[Line]
) -> None:
    paid, other = [line for line in settled if line["type"] == "payment"][:2]
    moved = next(line for line in settled if line["type"] == "transfer")
    back = next(line for line in settled if line["type"] == "refund")
    await plant(till, alter=paid["entity_id"], by=-1)
    await plant(till, alter=moved["entity_id"], by=500)
    await plant(till, drop=other["entity_id"])
    await plant(till, alter=back["entity_id"], by=-100)
    await plant(till, add={"type": "payment", "id": "pay_foreign", "amount": 976_400})
    await plant(
        till, add={"type": "refund", "id": "rfnd_foreign", "amount": 1_200, "credit": False}
    )
    await plant(till, add={"type": "adjustment", "id": "adj_1", "amount": 700, "credit": False})
    expected = [
        ("RECON_DIFFERENT", f"Razorpay: {paid['entity_id']} credit"),
        ("RECON_DIFFERENT", f"Razorpay: {moved['entity_id']} debit"),
        ("RECON_DIFFERENT", f"Razorpay: {other['settlement_id']} pays"),
        ("RECON_DIFFERENT", f"Razorpay: {back['entity_id']} debit"),
        ("RECON_MISSING", "Razorpay: pay_foreign credit ₹9,764; the books: nothing"),
        ("RECON_MISSING", "Razorpay: rfnd_foreign debit ₹12; the books: nothing"),
    ]
    for _ in range(2):
        findings = findings_of(await held_against(recon, month))
        for check, said in expected:
            alike = [one for one in findings if one.check == check and said in one.message]
            assert len(alike) == 1, (check, said, findings)
        assert len(findings) == len(expected)
        assert await balance(till, ADJUSTMENTS) == 700
