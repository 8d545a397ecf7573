"""PaymentService through a channel: Checkout's callback, webhooks beside it, payees."""

import asyncio
import hashlib
import hmac
import json

import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as payments

from tests.core.counter import WEBHOOK_SECRET, Counter, Failed, pay


async def test_the_callback_is_believed_only_with_its_signature(lite: Counter) -> None:
    escrow = await lite.create()
    right = await pay(lite, escrow.escrow_id)
    wrong = payments.ConfirmPaymentRequest()
    wrong.CopyFrom(right)
    wrong.signature = "0" * 64
    with pytest.raises(Failed) as failed:
        await lite.call(wrong)
    assert failed.value.reason == "SIGNATURE_INVALID"
    other = await lite.create()
    right.escrow_id = other.escrow_id
    with pytest.raises(Failed) as failed:
        await lite.call(right)
    assert failed.value.reason == "ORDER_MISMATCH"
    right.escrow_id = escrow.escrow_id
    answer = await lite.call(right)
    assert answer.escrow.status == pb.ESCROW_STATUS_HELD
    assert (await lite.call(right)).escrow.version == answer.escrow.version


async def test_a_webhook_beside_the_callback_makes_one_event(counter: Counter) -> None:
    escrow = await counter.create()
    callback = await pay(counter, escrow.escrow_id)
    await counter.call(callback)
    entity = await counter.core.rooms.gateway.fetch_payment(callback.payment_id)
    payment = {
        "id": entity.payment_id,
        "order_id": entity.order_id,
        "status": "captured",
        "amount": entity.amount_minor,
        "currency": "INR",
        "fee": entity.fee_minor,
        "tax": entity.tax_minor,
        "created_at": 1,
    }
    for number, event in enumerate(("payment.captured", "order.paid", "payment.captured")):
        body = json.dumps({"event": event, "payload": {"payment": {"entity": payment}}}).encode()
        request = payments.IngestWebhookRequest(
            body=body,
            signature=hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest(),
            event_id=f"evt_{number}",
        )
        answer = await counter.call(request, "bridge", "service")
        assert answer.outcome == payments.WEBHOOK_OUTCOME_DUPLICATE
    listed = await counter.call(escrows.ListEventsRequest(escrow_id=escrow.escrow_id))
    captured = [e for e in listed.events if e.type == pb.EVENT_TYPE_PAYMENT_CAPTURED]
    assert len(captured) == 1


async def test_many_registrations_of_one_payee_at_once_all_answer(counter: Counter) -> None:
    requests = [
        payments.RegisterPayeeRequest(user_id="seller-1", account_id=f"acc_{n:014}")
        for n in range(8)
    ]
    answers = await asyncio.gather(*(counter.call(r, "seller-1") for r in requests * 2))
    assert len(answers) == 16
    read = await counter.call(payments.GetPayeeRequest(user_id="seller-1"), "seller-1")
    assert read.payee.account_id in {r.account_id for r in requests}
