"""Every webhook that Razorpay documents, one row an event type, through the inbox."""

import json
from typing import Any

import pytest

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.status import Status
from core.razorpay import GatewayUnavailable, Order
from core.settlement.webhook import (
    APPLIED,
    IGNORED,
    MAX_FAILED_QUESTIONS,
    NOT_UNDERSTOOD,
    WAIT_FOR_ORDER_S,
    Inbox,
)
from core.storage.trip import inbox, question
from tests.core.law.story import BUYER, payment
from tests.core.room import Room
from tests.core.settlement.samples import (
    AMOUNT,
    IGNORED_ALL,
    LOOKS,
    ODD,
    ORDER_ID,
    OURS,
    PAYMENT_ID,
    event,
)
from tests.core.settlement.test_webhook import SECRETS, sign


async def no_order(*_: Any) -> Order | None:
    return None


def opened(room: Room, order_of: Any = no_order) -> Inbox:
    return Inbox(
        room.store,
        room.executor,
        secrets=SECRETS,
        now_us=room.time,
        ring_settlement=lambda: None,
        order_of=order_of,
    )


async def agreed(room: Room, *, is_paid: bool = False) -> str:
    escrow_id = await room.create(amount_minor=AMOUNT)
    await room.tell(escrow_id, c.RecordOrder(ORDER_ID), BUYER)
    if is_paid:
        paid = payment(payment_id=PAYMENT_ID, order_id=ORDER_ID, amount_minor=AMOUNT)
        await room.tell(escrow_id, paid, RAZORPAY, cause=f"razorpay:{PAYMENT_ID}:captured")
    return escrow_id


async def deliver(inbox: Inbox, sample: dict[str, Any]) -> str:
    raw = json.dumps(sample).encode()
    return await inbox.ingest(raw, sign(raw), "")


@pytest.mark.parametrize("name", OURS)
async def test_what_concerns_an_escrow_is_applied(room: Room, name: str) -> None:
    is_first = name in ("payment.authorized", "payment.captured", "payment.failed", "order.paid")
    escrow_id = await agreed(room, is_paid=not is_first)
    inbox = opened(room)
    if name in ("payment.dispute.won", "payment.dispute.closed"):
        await deliver(inbox, OURS["payment.dispute.created"])
    before = (await room.escrow(escrow_id)).version
    assert await deliver(inbox, OURS[name]) == APPLIED
    escrow = await room.escrow(escrow_id)
    assert escrow.version == before + 1
    assert inbox.outcomes[NOT_UNDERSTOOD] == 0
    if name.startswith("payment.dispute"):
        assert escrow.chargebacks[0].is_over == (
            name.rsplit(".", 1)[1] in ("lost", "won", "closed")
        )


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_spelling_is_read_all_the_same(room: Room, name: str) -> None:
    escrow_id = await agreed(room)
    assert await deliver(opened(room), ODD[name]) == APPLIED
    wanted = Status.INITIATED if name == "the old shape" else Status.HELD
    escrow = await room.escrow(escrow_id)
    assert (escrow.status, escrow.payment.payment_id) == (wanted, PAYMENT_ID)


@pytest.mark.parametrize("name", [*LOOKS, *IGNORED_ALL])
async def test_what_concerns_no_escrow_is_ignored_and_answered(room: Room, name: str) -> None:
    escrow_id = await agreed(room, is_paid=True)
    inbox = opened(room)
    before = await room.escrow(escrow_id)
    assert await deliver(inbox, (LOOKS | IGNORED_ALL)[name]) == IGNORED
    assert await room.escrow(escrow_id) == before
    assert inbox.outcomes[NOT_UNDERSTOOD] == 0
    assert await room.store.waiting_webhooks(2**60, 10) == []


def test_every_documented_event_has_a_row() -> None:
    families = {name.split(".")[0] for name in (*OURS, *LOOKS, *IGNORED_ALL)}
    assert len({*OURS, *LOOKS, *IGNORED_ALL}) >= 80
    assert families >= {"payment", "order", "refund", "transfer", "settlement", "product", "payout"}


async def test_a_dispute_without_its_payment_is_told_by_the_payments_id(room: Room) -> None:
    escrow_id = await agreed(room, is_paid=True)
    sample = OURS["payment.dispute.created"]
    bare = event("payment.dispute.created", dispute=sample["payload"]["dispute"]["entity"])
    assert await deliver(opened(room), bare) == APPLIED
    assert len((await room.escrow(escrow_id)).bank_disputes) == 1


async def test_the_order_of_another_payment_says_nothing_about_this_one(room: Room) -> None:
    escrow_id = await agreed(room)
    paid = WITH_FEE["payload"]["payment"]["entity"]
    order = OURS["order.paid"]["payload"]["order"]["entity"] | {"id": "order_Another0000001"}
    assert await deliver(opened(room), event("order.paid", payment=paid, order=order)) != APPLIED
    assert (await room.escrow(escrow_id)).status is Status.INITIATED


WITH_FEE = event(
    "payment.captured",
    payment=OURS["payment.captured"]["payload"]["payment"]["entity"] | {"amount": AMOUNT + 2_360},
)


async def test_a_fee_that_the_customer_bore_needs_the_orders_word(room: Room) -> None:
    escrow_id = await agreed(room)
    order = Order(ORDER_ID, escrow_id, AMOUNT, "INR", "paid", AMOUNT)

    async def asked(*_: Any) -> Order:
        return order

    assert await deliver(opened(room, asked), WITH_FEE) == APPLIED
    escrow = await room.escrow(escrow_id)
    assert (escrow.status, escrow.held_minor, escrow.payment.customer_fee_minor) == (
        Status.HELD,
        AMOUNT,
        2_360,
    )


async def test_while_razorpay_cannot_be_asked_the_delivery_waits(room: Room) -> None:
    escrow_id = await agreed(room)
    away = True

    async def asked(*_: Any) -> Order:
        if away:
            raise GatewayUnavailable("Razorpay does not answer.")
        return Order(ORDER_ID, escrow_id, AMOUNT, "INR", "paid", AMOUNT)

    inbox = opened(room, asked)
    assert await deliver(inbox, WITH_FEE) == APPLIED
    assert (await room.escrow(escrow_id)).status is Status.INITIATED
    room.time.pass_s(60)
    await inbox._catch_up()
    assert len(await room.store.waiting_webhooks(2**60, 10)) == 1
    away = False
    await inbox._catch_up()
    assert (await room.escrow(escrow_id)).status is Status.HELD
    assert await room.store.waiting_webhooks(2**60, 10) == []


ODD_REFUND = {"id": "rfnd_1", "amount": "a lot", "payment_id": PAYMENT_ID}


async def test_a_razorpay_that_is_away_is_not_asked_for_each_and_holds_up_no_other(
    room: Room,
) -> None:
    escrow_id = await agreed(room)
    asked = 0

    async def away(*_: Any) -> Order | None:
        nonlocal asked
        asked += 1
        raise GatewayUnavailable("Razorpay does not answer.")

    async with room.store.write() as transaction:
        for number in range(10):
            raw = json.dumps(WITH_FEE | {"created_at": number}).encode()
            await transaction.run(inbox.keep(event_id=f"evt_{number}", body=raw, now_us=number))
        clear = json.dumps(OURS["payment.captured"]).encode()
        await transaction.run(inbox.keep(event_id="evt_clear", body=clear, now_us=99))
    await opened(room, away)._catch_up()
    assert asked == MAX_FAILED_QUESTIONS
    assert (await room.escrow(escrow_id)).status is Status.HELD


async def due(room: Room) -> list[tuple[str, int]]:
    """What Razorpay is to be asked about now."""
    now_us = room.time()
    return await room.store.transact(question.claim(now_us=now_us, until_us=now_us, limit=10))


async def test_after_a_day_without_the_orders_word_reconciliation_is_left_to_it(
    room: Room,
) -> None:
    escrow_id = await agreed(room)

    async def away(*_: Any) -> Order | None:
        raise GatewayUnavailable("Razorpay does not answer.")

    inbox = opened(room, away)
    assert await deliver(inbox, WITH_FEE) == APPLIED
    room.time.pass_s(WAIT_FOR_ORDER_S - 60)
    await inbox._catch_up()
    assert len(await room.store.waiting_webhooks(2**60, 10)) == 1
    room.time.pass_s(61)
    await inbox._catch_up()
    assert await room.store.waiting_webhooks(2**60, 10) == []
    assert await due(room) == [(escrow_id, 0)]


@pytest.mark.parametrize(
    ("name", "entities", "is_paid"),
    [
        ("payment.captured", {"payment": {"id": PAYMENT_ID, "order_id": ORDER_ID}}, False),
        ("order.paid", {"order": {"id": ORDER_ID}, "payment": []}, False),
        ("payment.captured", {"payment": {"notes": {"escrow_id": "%"}}}, False),
        ("refund.processed", {"refund": ODD_REFUND | {"notes": {"escrow_id": "%"}}}, False),
        ("refund.processed", {"refund": ODD_REFUND}, True),
        ("payment.captured", {"payment": {"id": PAYMENT_ID, "status": "melted"}}, True),
        ("payment.dispute.lost", {"dispute": {"payment_id": PAYMENT_ID, "amount": 1.5}}, True),
    ],
)
async def test_what_is_not_understood_makes_razorpay_be_asked_about_it(
    room: Room, name: str, entities: dict[str, Any], *, is_paid: bool
) -> None:
    escrow_id = await agreed(room, is_paid=is_paid)
    sample = json.loads(json.dumps(event(name, **entities)).replace("%", escrow_id))
    inbox = opened(room)
    far_us = room.time() + 10**12
    await room.store.transact(question.ask_at(escrow_id, due_us=far_us, attempts=7))
    assert await deliver(inbox, sample) == IGNORED
    assert inbox.outcomes == {NOT_UNDERSTOOD: 1, IGNORED: 1}
    assert await due(room) == [(escrow_id, 0)]
