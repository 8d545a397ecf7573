"""Webhooks and callbacks come twice, late and in any order: each fact makes one event or none."""

import asyncio
import itertools
import json
import secrets
import time
from typing import Any

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.stack import PREVIOUS_SECRET, Client, sign

pytestmark = on_both("whole", is_long=True)

SILENT = {"drop": 1}
MEBIBYTE = 1 << 20
NEWS = ("payment.authorized", "payment.captured", "order.paid")
STATUS = {"payment.authorized": "authorized", "payment.failed": "failed"}


def envelope(event: str, **entities: Any) -> bytes:
    """Make a webhook's body, as Razorpay's documentation shows it."""
    return json.dumps(
        {
            "entity": "event",
            "account_id": "acc_ThisIsThePlace",
            "event": event,
            "contains": list(entities),
            "payload": {name: {"entity": entity} for name, entity in entities.items()},
            "created_at": int(time.time()),
        }
    ).encode()


async def news(deal: Deal, event: str, **changed: Any) -> bytes:
    """Make the webhook about the payment of a deal; `changed` replaces some of its fields."""
    state = await deal.client.state()
    payment = next(p for p in state["payments"] if p["order_id"] == deal.order_id)
    order = next(o for o in state["orders"] if o["id"] == deal.order_id)
    entity = {**payment, "status": STATUS.get(event, "captured"), **changed}
    entities = {"payment": entity, **({"order": order} if event == "order.paid" else {})}
    return envelope(event, **entities)


async def paid_in_silence(deal: Deal) -> dict[str, str]:
    """Pay without any webhook; answer what Checkout returns."""
    await deal.agree()
    await deal.client.faults(webhooks=SILENT)
    return await deal.pay()


async def count(deal: Deal, event_type: str) -> int:
    return (await deal.types()).count(event_type)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "in turn"])
@pytest.mark.parametrize("same_id", [True, False], ids=["one event id", "an id each"])
async def test_the_same_webhook_ten_times_makes_one_event(
    client: Client, deal: Deal, at_once: bool, same_id: bool
) -> None:
    await paid_in_silence(deal)
    body = await news(deal, "payment.captured")
    ids = [secrets.token_hex(8)] * 10 if same_id else [secrets.token_hex(8) for _ in range(10)]
    if at_once:
        answers = await asyncio.gather(*(client.webhook(body, event_id=one) for one in ids))
    else:
        answers = [await client.webhook(body, event_id=one) for one in ids]
    assert {status for status, _ in answers} == {200}
    outcomes = [told["outcome"] for _, told in answers]
    assert (outcomes.count("applied"), outcomes.count("duplicate")) == (1, 9)
    assert await count(deal, "PAYMENT_CAPTURED") == 1
    assert (await deal.get()).held.amount_minor == AMOUNT_MINOR


async def test_a_webhook_without_an_event_id_is_known_by_its_bytes(
    client: Client, deal: Deal
) -> None:
    await paid_in_silence(deal)
    body = await news(deal, "payment.captured")
    outcomes = [(await client.webhook(body))[1]["outcome"] for _ in range(3)]
    assert outcomes == ["applied", "duplicate", "duplicate"]


@pytest.mark.parametrize("first", ["webhook", "callback", "both"])
async def test_webhook_and_callback_of_one_payment_make_one_event(
    client: Client, deal: Deal, first: str
) -> None:
    paid = await paid_in_silence(deal)
    body = await news(deal, "payment.captured")

    async def call_back() -> None:
        confirmed = await deal.act(
            deal.buyer,
            "ConfirmPayment",
            order_id=paid["razorpay_order_id"],
            payment_id=paid["razorpay_payment_id"],
            signature=paid["razorpay_signature"],
        )
        assert confirmed.held.amount_minor == AMOUNT_MINOR

    async def deliver() -> None:
        status, _ = await client.webhook(body, event_id=secrets.token_hex(8))
        assert status == 200

    if first == "both":
        await asyncio.gather(*(way() for way in (call_back, deliver) * 4))
    elif first == "webhook":
        await deliver()
        await call_back()
    else:
        await call_back()
        await deliver()
    assert await count(deal, "PAYMENT_CAPTURED") == 1


async def test_the_callback_alone_is_enough(client: Client, deal: Deal) -> None:
    paid = await paid_in_silence(deal)
    held = await deal.act(
        deal.buyer,
        "ConfirmPayment",
        order_id=paid["razorpay_order_id"],
        payment_id=paid["razorpay_payment_id"],
        signature=paid["razorpay_signature"],
    )
    assert (held.status, held.payment.payment_id) == (
        deal.status("HELD"),
        paid["razorpay_payment_id"],
    )


async def test_a_callback_with_ids_that_do_not_belong_together_changes_nothing(
    client: Client, deal: Deal
) -> None:
    paid = await paid_in_silence(deal)
    other = Deal(client)
    other_paid = await paid_in_silence(other)
    order, payment = paid["razorpay_order_id"], paid["razorpay_payment_id"]
    attempts = [
        (order, payment, other_paid["razorpay_signature"], "SIGNATURE_INVALID"),
        (order, other_paid["razorpay_payment_id"], paid["razorpay_signature"], "SIGNATURE_INVALID"),
        (
            other_paid["razorpay_order_id"],
            other_paid["razorpay_payment_id"],
            other_paid["razorpay_signature"],
            "ORDER_MISMATCH",
        ),
        ("order_doesnotexist", payment, paid["razorpay_signature"], "ORDER_MISMATCH"),
        (order, payment, "", "FIELD_INVALID"),
        (order, payment, "ä" * 64, "SIGNATURE_INVALID"),
        (order, "", paid["razorpay_signature"], "FIELD_INVALID"),
        ("", payment, paid["razorpay_signature"], "FIELD_INVALID"),
    ]
    for order_id, payment_id, signature, reason in attempts:
        refusal = await deal.buyer.refusal(
            "ConfirmPayment",
            escrow_id=deal.escrow_id,
            order_id=order_id,
            payment_id=payment_id,
            signature=signature,
        )
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)
    assert await deal.types() == ["ESCROW_CREATED", "PAYMENT_STARTED"]


async def test_order_paid_beside_payment_captured_makes_one_event(
    client: Client, deal: Deal
) -> None:
    await paid_in_silence(deal)
    bodies = [await news(deal, event) for event in ("payment.captured", "order.paid")]
    answers = await asyncio.gather(
        *(client.webhook(body, event_id=secrets.token_hex(8)) for body in bodies)
    )
    assert sorted(told["outcome"] for _, told in answers) == ["applied", "duplicate"]
    assert await count(deal, "PAYMENT_CAPTURED") == 1


@pytest.mark.parametrize("order", list(itertools.permutations(NEWS)), ids=" ".join)
async def test_news_in_any_order_end_in_held(
    client: Client, deal: Deal, order: tuple[str, ...]
) -> None:
    await paid_in_silence(deal)
    for event in order:
        status, _ = await client.webhook(await news(deal, event), event_id=secrets.token_hex(8))
        assert status == 200
    after = await deal.get()
    assert (after.status, after.held.amount_minor) == (deal.status("HELD"), AMOUNT_MINOR)
    assert await count(deal, "PAYMENT_CAPTURED") == 1


async def test_a_late_failure_does_not_take_back_a_capture(client: Client, deal: Deal) -> None:
    await paid_in_silence(deal)
    for event in ("payment.captured", "payment.failed", "payment.authorized"):
        await client.webhook(await news(deal, event), event_id=secrets.token_hex(8))
    assert (await deal.get()).status == deal.status("HELD")
    assert (await deal.types())[2:3] == ["PAYMENT_CAPTURED"]
    assert await count(deal, "PAYMENT_FAILED") == 0


async def test_a_razorpay_that_tells_everything_twice_and_out_of_order_makes_each_event_once(
    client: Client, deal: Deal
) -> None:
    await client.faults(webhooks={"duplicate": 1, "reorder": 1})
    await deal.hold()
    await deal.act(deal.seller, "RefundEscrow")
    await deal.until_status("REFUNDED")
    types = await deal.types()
    for event in ("PAYMENT_CAPTURED", "FUNDS_HELD", "PAYMENT_REFUNDED", "SETTLEMENT_COMPLETED"):
        assert types.count(event) == 1, types


async def test_both_webhook_secrets_are_good_and_no_other(client: Client, deal: Deal) -> None:
    await paid_in_silence(deal)
    body = await news(deal, "payment.captured")
    for signature in ("", "00", "ä", sign(body, "another secret"), sign(body + b" ")):
        status, told = await client.webhook(body, signature=signature)
        assert (status, told["error"]["reason"]) == (400, "SIGNATURE_INVALID")
    assert await deal.types() == ["ESCROW_CREATED", "PAYMENT_STARTED"]
    status, told = await client.webhook(body, signature=sign(body, PREVIOUS_SECRET))
    assert (status, told["outcome"]) == (200, "applied")


async def test_news_of_an_unknown_order_are_taken_and_kept(client: Client, deal: Deal) -> None:
    await paid_in_silence(deal)
    body = await news(deal, "payment.captured", order_id="order_unknown0000000")
    status, told = await client.webhook(body, event_id="evt_" + secrets.token_hex(6))
    assert (status, told["outcome"]) == (200, "ignored")
    assert (await deal.get()).status == deal.status("INITIATED")


async def test_a_webhook_of_a_mebibyte_is_read_and_a_larger_one_refused(client: Client) -> None:
    body = envelope("payment.downtime.started")
    status, _ = await client.webhook(body + b" " * (MEBIBYTE - len(body)))
    assert status == 200
    status, _ = await client.webhook(body + b" " * (MEBIBYTE + 1 - len(body)))
    assert status == 413
