"""The sandbox's balance and settlement reports: fees, disputes, payouts, planted differences."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scripts.sandbox import Sandbox
from scripts.sandbox.statement import OPENING_BALANCE_MINOR
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until
from tests.scripts.test_sandbox import ACCOUNT, refused, transfer

DAY = dt.date(2026, 3, 5)
# Six in the morning in India.
NOW_S = int(dt.datetime(2026, 3, 5, 0, 30, tzinfo=dt.UTC).timestamp())


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    opened = Sandbox(seed=1, process_delay_s=0, clock_s=lambda: NOW_S)
    async with opened as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def report(visitor: Visitor, day: dt.date = DAY) -> list[dict[str, Any]]:
    query = {"year": day.year, "month": day.month, "day": day.day, "count": 1_000}
    status, answer = await visitor.api("GET", "/settlements/recon/combined", params=query)
    assert status == 200, answer
    _, shown = await visitor.door("GET", f"/recon?day={day}")
    assert shown == answer
    return list(answer["items"])


async def balance(visitor: Visitor) -> int:
    _, told = await visitor.door("GET", "/balance")
    return int(told["balance"]) - OPENING_BALANCE_MINOR


async def nets(visitor: Visitor, count: int) -> list[tuple[str, int]]:
    """What each line did to the balance, as soon as there are so many."""
    statement = visitor.sandbox.books.statement
    await until(lambda: len(statement.lines) >= count)
    return [(line["type"], line["credit"] - line["debit"]) for line in await report(visitor)]


async def test_every_movement_has_its_line_and_they_make_the_balance(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    _, made = await visitor.api(
        "POST", f"/payments/{payment_id}/transfers", transfer(97_500, on_hold=True)
    )
    await nets(visitor, 2)
    transfer_id = made["items"][0]["id"]
    await visitor.api("POST", f"/transfers/{transfer_id}/reversals", {"amount": 40_000})
    await visitor.api("POST", f"/payments/{payment_id}/refund", {"amount": 41_000})
    assert await nets(visitor, 4) == [
        ("payment", 100_000 - 2_360),
        ("transfer", -97_500 - 288),
        ("reversal", 40_000),
        ("refund", -41_000),
    ]
    assert await balance(visitor) == 97_640 - 97_788 + 40_000 - 41_000
    line = (await report(visitor))[1]
    assert (line["fee"], line["tax"], line["payment_id"]) == (288, 44, payment_id)


async def test_a_dispute_takes_the_amount_and_gives_it_back(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    path = f"/payments/{payment_id}/dispute"
    body = {"event": "created", "deduct_at_onset": True, "amount": 30_000}
    _, dispute = await visitor.door("POST", path, body)
    assert dispute["amount_deducted"] == 30_000
    _, dispute = await visitor.door("POST", path, {"event": "won"})
    assert dispute["amount_deducted"] == 0
    await visitor.door("POST", path, {"event": "created"})
    _, lost = await visitor.door("POST", path, {"event": "lost"})
    lines = (await report(visitor))[1:]
    assert [(x["type"], x["credit"] - x["debit"]) for x in lines] == [
        ("adjustment", -30_000),
        ("adjustment", 30_000),
        ("adjustment", -100_000),
    ]
    assert [x["dispute_id"] for x in lines] == [dispute["id"], dispute["id"], lost["id"]]
    await refused_at_the_door(visitor, path, {"event": "created", "amount": 100_001})


async def refused_at_the_door(visitor: Visitor, path: str, body: object) -> None:
    status, told = await visitor.door("POST", path, body)
    assert (status, told["error"]["code"]) == (400, "BAD_REQUEST_ERROR")


async def test_a_dispute_that_has_ended_is_not_decided_again(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/dispute"
    for event in ("created", "lost"):
        await visitor.door("POST", path, {"event": event})
    for event in ("won", "closed", "lost", "under_review"):
        await refused_at_the_door(visitor, path, {"event": event})
    assert await balance(visitor) == 97_640 - 100_000


async def test_money_that_is_on_its_way_out_is_not_given_twice(visitor: Visitor) -> None:
    ids = [await visitor.pay(await visitor.order()) for _ in range(2)]
    visitor.sandbox.books.statement.balance_minor = 150_000
    visitor.sandbox.books.later = lambda call: None
    status, first = await visitor.api("POST", f"/payments/{ids[0]}/refund", {})
    assert (status, first["status"]) == (200, "pending")
    error = await refused(visitor, f"/payments/{ids[1]}/refund", {})
    assert error["reason"] == "insufficient_balance"
    assert (await balance(visitor)) + OPENING_BALANCE_MINOR == 50_000


async def test_a_transfer_that_fails_costs_nothing(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await visitor.misbehave(api={"insufficient_balance": 1.0})
    before = await balance(visitor)
    _, made = await visitor.api("POST", f"/payments/{payment_id}/transfers", transfer(50_000))
    entity = visitor.sandbox.books.find("transfer", made["items"][0]["id"])
    await until(lambda: entity["status"] == "failed")
    assert (entity["fees"], entity["tax"], await balance(visitor)) == (0, 0, before)


async def test_a_customer_who_bears_the_fee_pays_it_on_top_and_does_not_get_it_back(
    visitor: Visitor,
) -> None:
    order_id = await visitor.order()
    payment_id = await visitor.pay(order_id, customer_fee=2_500)
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert (payment["amount"], payment["fee"], payment["fee_bearer"]) == (
        102_500,
        2_500,
        "customer",
    )
    _, order = await visitor.api("GET", f"/orders/{order_id}")
    assert (order["status"], order["amount_paid"]) == ("paid", 100_000)
    path = f"/payments/{payment_id}/refund"
    await refused(visitor, path, {"amount": 100_001})
    await visitor.api("POST", path, {"amount": 40_000})
    await refused(visitor, path, {"amount": 60_001})
    _, refund = await visitor.api("POST", path, {})
    assert refund["amount"] == 60_000
    error = await refused(visitor, path, {})
    assert error["description"] == "The payment has been fully refunded already"
    assert len((await visitor.state())["refunds"]) == 2
    # All of the fee is Razorpay's, and none of the order's amount.
    assert (payment["fee"], payment["tax"]) == (2_500, 381)
    assert [line["credit"] for line in await report(visitor)] == [100_000, 0, 0]


async def test_such_a_payment_is_captured_whole_or_not_at_all(visitor: Visitor) -> None:
    order_id = await visitor.order(payment={"capture": "manual"})
    payment_id = await visitor.pay(order_id, "authorized", customer_fee=2_500)
    path = f"/payments/{payment_id}/capture"
    await refused(visitor, path, {"amount": 100_000, "currency": "INR"})
    status, _ = await visitor.api("POST", path, {"amount": 102_500, "currency": "INR"})
    assert status == 200


async def test_an_offer_makes_the_payment_smaller_and_the_order_paid(visitor: Visitor) -> None:
    order_id = await visitor.order()
    payment_id = await visitor.pay(order_id, discount=5_000)
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    _, order = await visitor.api("GET", f"/orders/{order_id}")
    assert (payment["amount"], order["status"]) == (95_000, "paid")
    assert payment["offer_id"].startswith("offer_")
    other = await visitor.order()
    for wrong in (
        {"customer_fee": -1},
        {"discount": "5"},
        {"discount": 99_950},
        {"customer_fee": 5, "discount": 5},
        {"customer_fee": 5, "amount": 100_000},
        {"discount": 5, "amount": 100_000},
        {"customer_fee": 5, "currency": "USD"},
    ):
        path = f"/orders/{other}/pay"
        await refused_at_the_door(visitor, path, {"outcome": "captured", **wrong})


async def test_a_part_of_the_amount_leaves_the_order_unpaid(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.pay(order_id, amount=40_000)
    _, order = await visitor.api("GET", f"/orders/{order_id}")
    assert (order["status"], order["amount_paid"], order["amount_due"]) == (
        "attempted",
        40_000,
        60_000,
    )
    # Paid in full at last, in one payment, although Razorpay would take no more than the rest.
    await visitor.pay(order_id, customer_fee=5, force=True)
    _, order = await visitor.api("GET", f"/orders/{order_id}")
    assert (order["status"], order["amount_paid"], order["amount_due"]) == ("paid", 100_000, 0)


async def test_an_account_is_paid_as_long_as_its_kyc_stands(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    path = f"/payments/{payment_id}/transfers"
    for status in ("under_review", "rejected"):
        await set_account(visitor, status)
        error = await refused(visitor, path, transfer(50_000))
        assert error["reason"] == "account_not_activated"
    await set_account(visitor, "activated")
    status, _ = await visitor.api("POST", path, transfer(50_000))
    assert status == 200
    status, _ = await visitor.door("PUT", f"/accounts/{ACCOUNT}", {"status": "melted"})
    assert status == 400
    status, _ = await visitor.door("PUT", "/accounts/acc_short", {"status": "activated"})
    assert status == 400


async def set_account(visitor: Visitor, status: str) -> None:
    code, told = await visitor.door("PUT", f"/accounts/{ACCOUNT}", {"status": status})
    assert (code, told["status"]) == (200, status)


async def test_without_money_nothing_is_refunded_or_transferred(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    statement = visitor.sandbox.books.statement
    statement.balance_minor = 49_999
    error = await refused(visitor, f"/payments/{payment_id}/refund", {})
    assert error["reason"] == "insufficient_balance"
    _, made = await visitor.api("POST", f"/payments/{payment_id}/transfers", transfer(50_000))
    books = visitor.sandbox.books
    await until(lambda: books.find("transfer", made["items"][0]["id"])["status"] == "failed")
    assert [line["type"] for line in await report(visitor)] == ["payment"]
