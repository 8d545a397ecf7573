"""The sandbox's refunds and transfers, as Razorpay makes and refuses them."""

from collections.abc import AsyncIterator

import pytest

from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until
from tests.scripts.test_sandbox import ACCOUNT, refused, transfer


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with Sandbox(seed=1, process_delay_s=0) as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def test_refunds_never_exceed_what_was_paid(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    path = f"/payments/{payment_id}/refund"
    await refused(visitor, path, {"amount": 99})
    await refused(visitor, path, {"amount": 100_001})
    await visitor.api("POST", path, {"amount": 60_000})
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert (payment["status"], payment["refund_status"]) == ("captured", "partial")
    await refused(visitor, path, {"amount": 40_001})
    _, rest = await visitor.api("POST", path, {})
    assert rest["amount"] == 40_000
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert (payment["status"], payment["refund_status"]) == ("refunded", "full")
    error = await refused(visitor, path, {})
    assert error["description"] == "The payment has been fully refunded already"


async def test_only_a_captured_payment_is_refunded_or_transferred(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order(), "authorized")
    await refused(visitor, f"/payments/{payment_id}/refund", {})
    await refused(visitor, f"/payments/{payment_id}/transfers", transfer(100))


async def test_a_refund_is_pending_first_and_processed_a_moment_later(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    _, refund = await visitor.api("POST", f"/payments/{payment_id}/refund", {})
    assert (refund["status"], refund["speed_processed"]) == ("pending", None)
    entity = visitor.sandbox.books.find("refund", refund["id"])
    await until(lambda: entity["status"] == "processed")
    _, refund = await visitor.api("GET", f"/refunds/{refund['id']}")
    assert refund["speed_processed"] == "normal"


async def test_a_refund_key_gives_the_same_refund_only_for_the_same_body(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/refund"
    key = {"X-Refund-Idempotency": "escrow-1-refund"}
    _, first = await visitor.api("POST", path, {"amount": 100}, headers=key)
    _, again = await visitor.api("POST", path, {"amount": 100}, headers=key)
    assert again["id"] == first["id"]
    status, told = await visitor.api("POST", path, {"amount": 101}, headers=key)
    assert status == 409
    assert "Different request" in told["error"]["description"]
    status, _ = await visitor.api(
        "POST", path, {"amount": 100}, headers={"X-Refund-Idempotency": "short"}
    )
    assert status == 400


async def test_a_refused_refund_does_not_use_up_its_key(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/refund"
    key = {"X-Refund-Idempotency": "escrow-1-refund"}
    status, _ = await visitor.api("POST", path, {"amount": 10**9}, headers=key)
    assert status == 400
    status, _ = await visitor.api("POST", path, {"amount": 100}, headers=key)
    assert status == 200


async def test_transfers_may_take_the_whole_payment_and_no_more(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/transfers"
    await refused(visitor, path, transfer(100_001))
    _, made = await visitor.api("POST", path, transfer(60_000))
    await refused(visitor, path, transfer(40_001))
    # What is reversed can be transferred again.
    await visitor.api("POST", f"/transfers/{made['items'][0]['id']}/reversals", {"amount": 10_000})
    await refused(visitor, path, transfer(50_001))
    status, _ = await visitor.api("POST", path, transfer(50_000))
    assert status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (transfer(100, "acc_inactive123456"), "account_not_activated"),
        (transfer(100, "acc_short"), "input_validation_failed"),
        (transfer(100, ACCOUNT + "5"), "input_validation_failed"),
        (transfer(99), "amount_less_than_minimum_amount"),
        (transfer(100, currency="USD"), "input_validation_failed"),
        (transfer(100, on_hold="yes"), "input_validation_failed"),
        ({"transfers": []}, "input_validation_failed"),
        ({"transfers": ["x"]}, "input_validation_failed"),
        ({}, "input_validation_failed"),
    ],
)
async def test_a_wrong_transfer_is_refused_and_not_made(
    visitor: Visitor, body: object, reason: str
) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/transfers"
    assert (await refused(visitor, path, body))["reason"] == reason
    assert (await visitor.state())["transfers"] == []


async def test_one_wrong_part_undoes_the_whole_transfer_call(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/transfers"
    parts = [*transfer(100)["transfers"], *transfer(100, "acc_inactive123456")["transfers"]]  # type: ignore[misc]
    await refused(visitor, path, {"transfers": parts})
    assert (await visitor.state())["transfers"] == []


async def test_no_transfer_follows_a_refund(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await visitor.api("POST", f"/payments/{payment_id}/refund", {"amount": 100})
    await refused(visitor, f"/payments/{payment_id}/transfers", transfer(100))


async def test_a_transfer_waits_on_hold_and_is_released(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/transfers"
    _, made = await visitor.api("POST", path, transfer(100, on_hold=True))
    (item,) = made["items"]
    assert (item["status"], item["settlement_status"]) == ("pending", None)
    entity = visitor.sandbox.books.find("transfer", item["id"])
    await until(lambda: entity["status"] == "processed")
    assert entity["settlement_status"] == "on_hold"
    for on_hold, settlement in ((False, "pending"), (False, "pending"), (True, "on_hold")):
        _, item = await visitor.api("PATCH", f"/transfers/{item['id']}", {"on_hold": on_hold})
        assert (item["on_hold"], item["settlement_status"]) == (on_hold, settlement)
    await refused(visitor, f"/transfers/{item['id']}", {"on_hold": "no"}, "PATCH")


async def test_a_refund_with_reverse_all_takes_the_transfers_back(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await visitor.api("POST", f"/payments/{payment_id}/transfers", transfer(60_000))
    path = f"/payments/{payment_id}/refund"
    await refused(visitor, path, {"amount": 100, "reverse_all": True})
    await visitor.api("POST", path, {"reverse_all": True})
    state = await visitor.state()
    assert [r["amount"] for r in state["reversals"]] == [60_000]
    assert state["transfers"][0]["status"] == "reversed"
