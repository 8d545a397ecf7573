"""A month of generated business: its reports are explained, and what is planted is found."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from core.books.match import ADJUSTMENTS, BANK
from core.books.recon import INDIA, DayResult, Recon
from core.law.ledger import BALANCE
from core.razorpay import Gateway
from core.settlement.compare import Finding
from core.settlement.recon import SettlementReports
from scripts.sandbox import Sandbox
from tests.core.books.month import DAYS, DEALS, Month, do_business, lines_of
from tests.core.till import Till, open_till
from tests.fakes.reports import Line, ReportServer, line_of

SEED = 11
ROUNDS = 3
# What Razorpay took for its services, and what the platform added so that refunds never wait.
CHARGED = [line_of(f"adj_charged{number}", "adjustment", -1_180) for number in range(3)]
ADDED = [line_of(f"adj_added{number}", "adjustment", 1_500_000) for number in range(DAYS)]
ADJUSTED = [*CHARGED, *ADDED]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=SEED) as running:
        yield running


@pytest.fixture
async def till(database_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(database_url, sandbox) as opened:
        await do_business(opened, SEED, ROUNDS)
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[ReportServer]:
    async with ReportServer() as opened:
        yield opened


@pytest.fixture
async def recon(till: Till, server: ReportServer) -> AsyncIterator[Recon]:
    gateway = Gateway(key_id="rzp_test_1", key_secret="x", base_url=server.url, timeout_s=5.0)
    yield Recon(till.room.store, SettlementReports(gateway), now_us=till.room.time)
    await gateway.close()


@pytest.fixture
def first() -> date:
    """The month ends yesterday."""
    return datetime.now(UTC).astimezone(INDIA).date() - timedelta(days=DAYS)


async def held_against(recon: Recon, month: Month) -> list[DayResult]:
    return [await recon.look(day) for day in month.dates]


async def balance(till: Till, account: str) -> int:
    return dict(await till.room.store.ledger.balance(account)).get("INR", 0)


async def settled(till: Till) -> set[str]:
    """The ids whose entries say which settlement brought them."""
    rows = await till.room.store.ledger.entries(account=BALANCE, after=None, limit=5_000)
    assert all(row.utr == f"utr{row.settlement_id}" for row in rows if row.settlement_id)
    return {row.entity_id for row in rows if row.settlement_id}


@pytest.mark.timeout(180)
async def test_every_line_of_a_month_is_explained_and_again_when_it_is_looked_at_again(
    till: Till, server: ReportServer, recon: Recon, first: date
) -> None:
    lines = await lines_of(till)
    kinds = {line["type"] for line in lines}
    assert kinds == {"payment", "refund", "transfer", "reversal", "adjustment"}
    assert len(lines) > 2 * ROUNDS * len(DEALS)
    month = Month(first)
    month.spread([*lines, *ADJUSTED], random.Random(SEED))
    at_bank = month.report(server)
    for _ in range(2):
        results = await held_against(recon, month)
        assert [finding for one in results for finding in one.findings] == []
        assert sum(one.counts["MATCHED"] for one in results) == len(lines)
        settlements = len(server.settlements)
        assert settlements > DAYS // 2
        assert sum(one.counts["POSTED"] for one in results) == len(ADJUSTED) + settlements
        assert await balance(till, BANK) == at_bank
        assert await balance(till, ADJUSTMENTS) == len(CHARGED) * 1_180 - DAYS * 1_500_000
        # What Razorpay still has is what no settlement has brought yet.
        waiting = [x for day in server.days.values() for x in day if not x["settlement_id"]]
        rest = sum(line["credit"] - line["debit"] for line in waiting)
        assert await balance(till, BALANCE) == rest
        assert await till.room.store.ledger.drifts(10) == []
    brought = {line["entity_id"] for line in lines} - {line["entity_id"] for line in waiting}
    by_id = {line["entity_id"]: line["dispute_id"] or line["entity_id"] for line in lines}
    assert {by_id[one] for one in brought} <= await settled(till)


def foreign_payment(_: list[Line]) -> tuple[list[Line], str, str]:
    said = "Razorpay: pay_foreign credit ₹9,764; the books: nothing"
    return [line_of("pay_foreign", "payment", 976_400)], "RECON_MISSING", said


def foreign_refund(_: list[Line]) -> tuple[list[Line], str, str]:
    said = "Razorpay: rfnd_foreign debit ₹12; the books: nothing"
    return [line_of("rfnd_foreign", "refund", -1_200)], "RECON_MISSING", said


def refund_again(lines: list[Line]) -> tuple[list[Line], str, str]:
    again = next(line for line in lines if line["type"] == "refund")
    return [dict(again)], "RECON_DOUBLE", f"Razorpay: {again['entity_id']} debit"


def dearer_payment(lines: list[Line]) -> tuple[list[Line], str, str]:
    paid = next(line for line in lines if line["type"] == "payment")
    paid["credit"] -= 1
    return [], "RECON_DIFFERENT", f"Razorpay: {paid['entity_id']} credit"


def larger_transfer(lines: list[Line]) -> tuple[list[Line], str, str]:
    moved = next(line for line in lines if line["type"] == "transfer")
    moved["debit"] += 500
    return [], "RECON_DIFFERENT", f"Razorpay: {moved['entity_id']} debit"


def unreadable(_: list[Line]) -> tuple[list[Line], str, str]:
    odd = line_of("pay_odd", "payment", 100) | {"currency": None}
    return [odd], "RECON_UNREADABLE", "pay_odd"


def foreign_chargeback(lines: list[Line]) -> tuple[list[Line], str, str]:
    paid = next(line["payment_id"] for line in lines if line["type"] == "transfer")
    of = {"dispute_id": "disp_unheard", "payment_id": paid}
    said = "Razorpay: adj_x of disp_unheard debit ₹7; the books: nothing"
    return [line_of("adj_x", "adjustment", -700, **of)], "RECON_MISSING", said


@pytest.mark.timeout(180)
async def test_each_planted_difference_of_a_month_is_found_and_nothing_else(
    till: Till, server: ReportServer, recon: Recon, first: date
) -> None:
    lines = await lines_of(till)
    planted = [
        plant(lines)
        for plant in (
            foreign_payment,
            foreign_refund,
            refund_again,
            dearer_payment,
            larger_transfer,
            unreadable,
            foreign_chargeback,
        )
    ]
    month = Month(first)
    extra = [line for more, _, _ in planted for line in more]
    month.spread([*lines, *extra, *ADJUSTED], random.Random(SEED))
    month.report(server)
    short = await _make_short(server)
    expected = [(check, said) for _, check, said in planted]
    expected.append(("RECON_DIFFERENT", f"Razorpay: {short} pays"))
    for _ in range(2):
        results = await held_against(recon, month)
        findings = [finding for one in results for finding in one.findings]
        assert _unexpected(findings, expected) == []
        assert len(findings) == len(expected)


async def _make_short(server: ReportServer) -> str:
    """Let Razorpay pay a rupee less than the lines of a settlement, all of them readable."""
    for settlement_id, settlement in server.settlements.items():
        brought = [x for day in server.days.values() for x in day]
        mine = [line for line in brought if line["settlement_id"] == settlement_id]
        if all(line["currency"] for line in mine):
            settlement["amount"] -= 100
            return settlement_id
    raise AssertionError("every settlement has a line that cannot be read")


def _unexpected(findings: list[Finding], expected: list[tuple[str, str]]) -> list[Finding]:
    """The findings that are not the one that each planted difference makes."""
    left = list(findings)
    for check, said in expected:
        match = [one for one in left if one.check == check and said in one.message]
        assert len(match) == 1, (check, said, [one.message for one in findings])
        left.remove(match[0])
    return left
