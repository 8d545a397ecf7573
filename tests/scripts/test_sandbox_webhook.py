"""The sandbox's webhooks: signed, in order, repeated until accepted, and with faults on request."""

import json
from collections.abc import AsyncIterator

import pytest

from core.razorpay import parse_order, parse_payment, parse_refund, parse_transfer, verify_webhook
from scripts.sandbox import Sandbox, webhook
from tests.fakes.hook import Hook
from tests.fakes.visitor import Visitor

CAPTURED = ["payment.authorized", "payment.captured", "order.paid"]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook() as opened:
        yield opened


@pytest.fixture
async def visitor(hook: Hook) -> AsyncIterator[Visitor]:
    async with (
        Sandbox(seed=1, process_delay_s=0, webhook_url=hook.url) as sandbox,
        Visitor(sandbox) as visitor,
    ):
        yield visitor


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "FIRST_RETRY_S", 0.01)


async def test_every_webhook_is_signed_and_has_an_id_of_its_own(
    hook: Hook, visitor: Visitor
) -> None:
    await visitor.pay(await visitor.order())
    deliveries = await hook.wait(3)
    secret = visitor.sandbox.webhook_secret
    assert all(verify_webhook(d.body, d.signature, [secret]) for d in deliveries)
    assert not any(verify_webhook(d.body, d.signature, ["other"]) for d in deliveries)
    assert len({d.event_id for d in deliveries}) == 3


async def test_a_captured_payment_sends_three_webhooks_with_the_state_of_their_moment(
    hook: Hook, visitor: Visitor
) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await hook.wait(3)
    assert hook.events == CAPTURED
    told = [delivery.json for delivery in hook.deliveries]
    assert [list(t["payload"]) for t in told] == [["payment"], ["payment"], ["payment", "order"]]
    assert [t["contains"] for t in told] == [list(t["payload"]) for t in told]
    payments = [parse_payment(t["payload"]["payment"]["entity"]) for t in told]
    assert [p.status for p in payments] == ["authorized", "captured", "captured"]
    assert {p.payment_id for p in payments} == {payment_id}
    assert parse_order(told[2]["payload"]["order"]["entity"]).status == "paid"
    assert {t["entity"] for t in told} == {"event"}


async def test_a_failed_and_then_authorized_payment_sends_both_webhooks(
    hook: Hook, visitor: Visitor
) -> None:
    payment_id = await visitor.pay(await visitor.order(), "failed")
    await visitor.door("POST", f"/payments/{payment_id}/authorize", {"capture": True})
    await hook.wait(4)
    assert hook.events == ["payment.failed", *CAPTURED]


async def test_transfers_and_refunds_send_webhooks_when_processed(
    hook: Hook, visitor: Visitor
) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await hook.wait(3)
    part = {"account": "acc_12345678901234", "amount": 60_000, "currency": "INR", "on_hold": True}
    await visitor.api("POST", f"/payments/{payment_id}/transfers", {"transfers": [part]})
    (moved,) = (await hook.wait(4))[3:]
    assert moved.event == "transfer.processed"
    transfer = parse_transfer(moved.json["payload"]["transfer"]["entity"])
    assert (transfer.status, transfer.settlement_status) == ("processed", "on_hold")
    await visitor.api("POST", f"/payments/{payment_id}/refund", {"amount": 40_000})
    made, done = (await hook.wait(6))[4:]
    assert (made.event, done.event) == ("refund.created", "refund.processed")
    refunds = [parse_refund(d.json["payload"]["refund"]["entity"]) for d in (made, done)]
    assert [r.status for r in refunds] == ["pending", "processed"]
    assert parse_payment(done.json["payload"]["payment"]["entity"]).refunded_minor == 40_000


async def test_the_webhook_of_a_dispute_has_the_payment_and_the_dispute(
    hook: Hook, visitor: Visitor
) -> None:
    payment_id = await visitor.pay(await visitor.order())
    await visitor.door("POST", f"/payments/{payment_id}/dispute", {"event": "created"})
    delivery = (await hook.wait(4))[3]
    assert delivery.event == "payment.dispute.created"
    assert list(delivery.json["payload"]) == ["payment", "dispute"]
    assert delivery.json["payload"]["dispute"]["entity"]["payment_id"] == payment_id


@pytest.mark.usefixtures("impatient")
async def test_a_webhook_that_is_not_accepted_is_repeated_with_the_same_id_and_bytes(
    hook: Hook, visitor: Visitor
) -> None:
    hook.answers = [500, 404, 302]
    await visitor.pay(await visitor.order(), "failed")
    deliveries = await hook.wait(4)
    assert len({(d.body, d.signature, d.event_id) for d in deliveries}) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_receiver_that_starts_later_still_gets_everything(
    hook: Hook, visitor: Visitor
) -> None:
    visitor.sandbox.webhook_url = "http://127.0.0.1:9/closed"
    await visitor.pay(await visitor.order())
    visitor.sandbox.webhook_url = hook.url
    await hook.wait(3)
    assert sorted(hook.events) == sorted(CAPTURED)


@pytest.mark.usefixtures("impatient")
async def test_a_webhook_that_keeps_failing_does_not_delay_the_next(
    hook: Hook, visitor: Visitor
) -> None:
    hook.answers = [500]
    await visitor.pay(await visitor.order())
    await hook.wait(4)
    assert sorted(hook.events) == sorted([*CAPTURED, "payment.authorized"])


async def test_dropped_webhooks_never_come(hook: Hook, visitor: Visitor) -> None:
    await visitor.misbehave(webhooks={"drop": 1})
    await visitor.pay(await visitor.order())
    await visitor.misbehave()
    await visitor.pay(await visitor.order(), "failed")
    await hook.wait(1)
    assert hook.events == ["payment.failed"]


async def test_duplicated_webhooks_come_twice_with_the_same_id(
    hook: Hook, visitor: Visitor
) -> None:
    await visitor.misbehave(webhooks={"duplicate": 1})
    await visitor.pay(await visitor.order())
    deliveries = await hook.wait(6)
    assert sorted(hook.events) == sorted([*CAPTURED, *CAPTURED])
    assert len({d.event_id for d in deliveries}) == 3
    assert len({d.body for d in deliveries}) == 3


async def test_reordered_webhooks_come_in_another_order(hook: Hook, visitor: Visitor) -> None:
    await visitor.misbehave(webhooks={"reorder": 1})
    for _ in range(4):
        await visitor.pay(await visitor.order())
    await hook.wait(12)
    assert sorted(hook.events) == sorted(CAPTURED * 4)
    assert hook.events != CAPTURED * 4


async def test_a_delayed_webhook_is_overtaken(hook: Hook, visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.misbehave(webhooks={"delay_s": 0.2})
    await visitor.pay(order_id, "failed")
    await visitor.misbehave()
    late = await visitor.pay(await visitor.order(), "failed")
    first, _ = await hook.wait(2)
    assert first.json["payload"]["payment"]["entity"]["id"] == late


async def test_stopping_drops_undelivered_webhooks() -> None:
    async with Sandbox(webhook_url="http://127.0.0.1:9/") as sandbox, Visitor(sandbox) as visitor:
        await visitor.pay(await visitor.order())


async def test_a_webhook_is_the_json_that_was_signed(hook: Hook, visitor: Visitor) -> None:
    await visitor.order(notes={"who": "Zoë \U0001f600"})
    await visitor.pay((await visitor.state())["orders"][0]["id"])
    last = (await hook.wait(3))[2]
    order = json.loads(last.body)["payload"]["order"]["entity"]
    assert order["notes"] == {"who": "Zoë \U0001f600"}
