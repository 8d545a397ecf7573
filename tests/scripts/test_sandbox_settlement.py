"""The sandbox's settlement reports: their lines, payouts to the bank, planted differences."""

import datetime as dt
import json
from collections.abc import AsyncIterator

import pytest

from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor
from tests.scripts.test_sandbox_statement import (
    DAY,
    NOW_S,
    balance,
    refused_at_the_door,
    report,
)

# As in the sample of RZP/api/settlements/fetch-recon.
FIELDS = (
    *("entity_id", "type", "debit", "credit", "amount", "currency", "fee", "tax", "on_hold"),
    *("settled", "created_at", "settled_at", "settlement_id", "posted_at", "credit_type"),
    *("description", "notes", "payment_id", "settlement_utr", "order_id", "order_receipt"),
    *("method", "card_network", "card_issuer", "card_type", "dispute_id"),
)


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    opened = Sandbox(seed=1, process_delay_s=0, clock_s=lambda: NOW_S)
    async with opened as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def test_what_is_settled_leaves_the_balance_and_is_named_by_its_lines(
    visitor: Visitor,
) -> None:
    await visitor.pay(await visitor.order())
    _, told = await visitor.door("POST", "/settle", {"day": str(DAY)})
    settlement = told["settlement"]
    assert settlement["amount"] == 97_640
    assert await balance(visitor) == 0
    (line,) = await report(visitor)
    assert (line["settled"], line["settlement_id"], line["settlement_utr"]) == (
        True,
        settlement["id"],
        settlement["utr"],
    )
    _, fetched = await visitor.api("GET", f"/settlements/{settlement['id']}")
    assert fetched == settlement
    _, again = await visitor.door("POST", "/settle", {})
    assert again == {"settlement": None}
    assert await report(visitor, DAY + dt.timedelta(days=1)) == []


async def test_planted_differences_are_in_the_report_and_nowhere_else(visitor: Visitor) -> None:
    ids = [await visitor.pay(await visitor.order()) for _ in range(3)]
    await visitor.door("POST", "/recon/plant", {"drop": ids[0]})
    await visitor.door("POST", "/recon/plant", {"alter": ids[1], "by": -40})
    foreign = {"type": "payment", "id": "pay_Foreign000000", "amount": 500}
    await visitor.door("POST", "/recon/plant", {"add": foreign})
    assert [(x["entity_id"], x["credit"]) for x in await report(visitor)] == [
        (ids[1], 97_600),
        (ids[2], 97_640),
        ("pay_Foreign000000", 500),
    ]
    assert await balance(visitor) == 3 * 97_640
    wrong: list[object] = [
        {},
        {"drop": "pay_x"},
        {"alter": ids[2]},
        {"alter": ids[2], "by": 0},
        {"add": {"amount": "much"}},
        {"add": {"amount": 500, "type": "gift"}},
        {"add": {"amount": 500, "id": 7}},
        {"add": {"amount": 500, "credit": "no"}},
    ]
    for body in wrong:
        await refused_at_the_door(visitor, "/recon/plant", body)
    assert len(await report(visitor)) == 3


async def test_an_altered_debit_may_become_a_credit(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    _, refund = await visitor.api("POST", f"/payments/{payment_id}/refund", {"amount": 300})
    for by, sides in ((-40, (340, 0)), (500, (0, 200))):
        body = {"alter": refund["id"], "by": by}
        _, line = await visitor.door("POST", "/recon/plant", body)
        assert (line["debit"], line["credit"]) == sides
        assert (await report(visitor))[1] == line


async def test_lines_that_nobody_knows_have_ids_of_their_own(visitor: Visitor) -> None:
    for credit in (True, False):
        body = {"add": {"amount": 500, "credit": credit}}
        status, line = await visitor.door("POST", "/recon/plant", body)
        assert (status, line["type"], line["credit"] - line["debit"]) == (
            200,
            "adjustment",
            500 if credit else -500,
        )
    assert len({line["entity_id"] for line in await report(visitor)}) == 2


async def test_a_line_has_the_fields_of_razorpays_report(visitor: Visitor) -> None:
    await visitor.pay(await visitor.order(receipt="r1"))
    (line,) = await report(visitor)
    assert sorted(line) == sorted(FIELDS)
    assert (line["notes"], line["payment_id"], line["order_receipt"]) == ("{}", None, "r1")


async def test_a_day_that_comes_to_less_than_nothing_waits_for_the_next(visitor: Visitor) -> None:
    now_s = NOW_S
    visitor.sandbox.books.now_s = lambda: now_s
    path = f"/payments/{await visitor.pay(await visitor.order())}/dispute"
    for event in ("created", "lost"):
        await visitor.door("POST", path, {"event": event})
    assert (await visitor.door("POST", "/settle", {"day": str(DAY)}))[1] == {"settlement": None}
    assert [line["settled"] for line in await report(visitor)] == [False, False]
    now_s += 24 * 3600
    await visitor.pay(await visitor.order())
    next_day = DAY + dt.timedelta(days=1)
    assert (await visitor.door("POST", "/settle", {"day": str(DAY)}))[1] == {"settlement": None}
    _, told = await visitor.door("POST", "/settle", {"day": str(next_day)})
    assert told["settlement"]["amount"] == 2 * 97_640 - 100_000
    assert await report(visitor) == []
    assert len(await report(visitor, next_day)) == 3
    assert await balance(visitor) == 0


async def test_only_rupees_are_in_the_balance_and_settled(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order(), currency="USD")
    assert await balance(visitor) == 0
    assert (await visitor.door("POST", "/settle", {}))[1] == {"settlement": None}
    status, _ = await visitor.api("POST", f"/payments/{payment_id}/refund", {"amount": 40_000})
    assert status == 200
    assert [line["currency"] for line in await report(visitor)] == ["USD", "USD"]
    assert await balance(visitor) == 0


async def test_a_webhook_tells_of_a_settlement_at_the_sandboxs_time(visitor: Visitor) -> None:
    told: list[bytes] = []
    courier = visitor.sandbox._courier
    courier.url = "http://127.0.0.1:9/"
    courier._spawn = lambda body, *_: told.append(body)  # type: ignore[method-assign]
    await visitor.pay(await visitor.order())
    _, answer = await visitor.door("POST", "/settle", {})
    event = json.loads(told[-1])
    assert (event["event"], event["created_at"]) == ("settlement.processed", NOW_S)
    assert event["payload"]["settlement"]["entity"] == answer["settlement"]


@pytest.mark.parametrize("query", ["", "?year=2026", "?year=2026&month=13", "?year=1&month=1"])
async def test_a_report_needs_its_month(visitor: Visitor, query: str) -> None:
    status, told = await visitor.api("GET", f"/settlements/recon/combined{query}")
    assert (status, told["error"]["code"]) == (400, "BAD_REQUEST_ERROR")
