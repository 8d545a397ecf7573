"""Webhooks: what each body means, each kept once, none that stops another."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.status import Status
from core.razorpay import Order, Payment
from core.settlement.delivery import MAX_BODY_BYTES, read
from core.settlement.webhook import APPLIED, DUPLICATE, IGNORED, NOT_UNDERSTOOD, Inbox
from core.storage.trip import inbox as stored
from tests.core.law.story import BUYER
from tests.core.room import Room

SECRETS = ("whsec_new", "whsec_old")
PAYMENT: dict[str, Any] = {
    "id": "pay_1",
    "entity": "payment",
    "order_id": "order_1",
    "status": "captured",
    "amount": 100_000,
    "currency": "INR",
    "fee": 2_360,
    "tax": 360,
    "created_at": 1_700_000_000,
    "notes": [],
}
REFUND: dict[str, Any] = {
    "id": "rfnd_1",
    "payment_id": "pay_1",
    "amount": 500,
    "currency": "INR",
    "status": "processed",
    "notes": [],
}
DISPUTE: dict[str, Any] = {"id": "disp_1", "payment_id": "pay_1", "amount": 100_000}


def body(event: object, **entities: object) -> bytes:
    payload = {name: {"entity": entity} for name, entity in entities.items()}
    return json.dumps({"entity": "event", "event": event, "payload": payload}).encode()


def sign(raw: bytes, secret: str = SECRETS[0]) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


@pytest.fixture
def inbox(room: Room) -> Inbox:
    return Inbox(
        room.store,
        room.executor,
        secrets=SECRETS,
        now_us=room.time,
        ring_settlement=lambda: None,
        order_of=no_order,
    )


async def no_order(*_: Any) -> Order | None:
    return None


async def with_order(room: Room) -> str:
    escrow_id = await room.create()
    await room.tell(escrow_id, c.RecordOrder("order_1"), BUYER)
    return escrow_id


async def ingest(inbox: Inbox, raw: bytes, event_id: str = "") -> str:
    return await inbox.ingest(raw, sign(raw), event_id)


async def test_words_that_no_text_can_hold_lose_no_news(room: Room, inbox: Inbox) -> None:
    escrow_id = await with_order(room)
    failed = {**PAYMENT, "status": "failed", "error_reason": "card \ud800 \0 " + "x" * 10_000}
    assert await ingest(inbox, body("payment.failed", payment=failed)) == APPLIED
    disputed = {**DISPUTE, "reason_code": "fraud\udfff", "status": "open"}
    raw = body("payment.dispute.created", payment=PAYMENT, dispute=disputed)
    assert await ingest(inbox, raw) == APPLIED
    escrow = await room.escrow(escrow_id)
    assert escrow.payment.status == "FAILED"
    (event,) = [
        event
        for event in map(pb.EscrowEvent.FromString, await room.store.events_after(escrow_id, 0, 9))
        if event.type == pb.EVENT_TYPE_PAYMENT_FAILED
    ]
    reason = str(event.data["reason"])
    assert reason.startswith("card ? ? x")
    assert len(reason) <= 500


async def test_a_captured_payment_is_applied_once_whatever_comes_again(
    room: Room, inbox: Inbox
) -> None:
    escrow_id = await with_order(room)
    captured = body("payment.captured", payment=PAYMENT)
    paid = body("order.paid", payment=PAYMENT, order={"id": "order_1"})
    assert await ingest(inbox, captured, "evt_1") == APPLIED
    assert await ingest(inbox, captured, "evt_1") == DUPLICATE
    assert await ingest(inbox, captured, "evt_2") == DUPLICATE
    assert await ingest(inbox, paid, "evt_3") == DUPLICATE
    escrow = await room.escrow(escrow_id)
    assert (escrow.status, escrow.version) == (Status.HELD, 3)


async def test_without_an_event_id_the_bytes_tell_deliveries_apart(
    room: Room, inbox: Inbox
) -> None:
    await with_order(room)
    captured = body("payment.captured", payment=PAYMENT)
    assert [await ingest(inbox, captured) for _ in range(2)] == [APPLIED, DUPLICATE]


async def test_both_secrets_sign_and_nothing_else_does(room: Room, inbox: Inbox) -> None:
    raw = body("payment.captured", payment=PAYMENT)
    assert await inbox.ingest(raw, sign(raw, "whsec_old"), "evt_1") == IGNORED
    for signature in ("", "0" * 64, sign(raw, "another"), sign(raw + b" "), "ü", "\ud800"):
        with pytest.raises(Refusal) as refused:
            await inbox.ingest(raw, signature, "evt_2")
        assert refused.value.reason is Reason.SIGNATURE_INVALID


async def test_news_of_an_unknown_order_is_kept_and_ignored(room: Room, inbox: Inbox) -> None:
    assert await ingest(inbox, body("payment.captured", payment=PAYMENT), "evt_1") == IGNORED
    assert await room.store.waiting_webhooks(2**60, 10) == []


MEANINGS: dict[str, tuple[bytes, type | None]] = {
    "captured": (body("payment.captured", payment=PAYMENT), Payment),
    "authorized": (
        body("payment.authorized", payment=PAYMENT | {"status": "authorized"}),
        Payment,
    ),
    "failed": (body("payment.failed", payment=PAYMENT | {"status": "failed"}), Payment),
    "order paid": (body("order.paid", payment=PAYMENT, order={}), Payment),
    "refund": (body("refund.processed", refund=REFUND, payment=PAYMENT), c.ReportRefund),
    "dispute": (body("payment.dispute.created", dispute=DISPUTE), c.ReportBankDispute),
    "dispute lost": (
        body("payment.dispute.lost", dispute=DISPUTE, payment=PAYMENT),
        c.ReportBankDispute,
    ),
    "transfer": (body("transfer.processed", transfer={"notes": {"escrow_id": "x"}}), type(None)),
    "transfer without notes": (body("transfer.processed", transfer={"notes": []}), type(None)),
    "refund failed": (body("refund.failed", refund=REFUND, payment=PAYMENT), type(None)),
    "settlement": (body("settlement.processed", settlement={}), None),
    "unknown phase": (body("payment.dispute.moved", dispute={}), None),
    "unknown": (body("planet.discovered"), None),
    "refund created": (body("refund.created", refund=REFUND), None),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_each_event_has_its_meaning(name: str) -> None:
    raw, command = MEANINGS[name]
    news = read(raw)
    if command is None:
        assert news is None
        return
    assert news is not None
    assert type(news.payment or news.command) is command


NO_JSON: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"<html>",
    "not UTF-8": b'{"event":"\xff\xfe"}',
    "too long": b" " * (MAX_BODY_BYTES + 1),
}
NONSENSE: dict[str, bytes] = {
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "no event": b'{"payload":{}}',
    "a number of 5,000 digits": b'{"event":' + b"1" * 5_000 + b"}",
    "event a number": b'{"event":1,"payload":{}}',
    "payload a list": b'{"event":"payment.captured","payload":[]}',
    "no payment": body("payment.captured"),
    "payment a text": body("payment.captured", payment="pay_1"),
    "amount a word": body("payment.captured", payment=PAYMENT | {"amount": "a lot"}),
    "amount negative": body("payment.captured", payment=PAYMENT | {"amount": -1}),
    "amount huge": body("payment.captured", payment=PAYMENT | {"amount": 10**30}),
    "amount a float": body("payment.captured", payment=PAYMENT | {"amount": 1.5}),
    "fee huge": body("payment.captured", payment=PAYMENT | {"fee": 2**63}),
    "id missing": body("payment.captured", payment=PAYMENT | {"id": None}),
    "id huge": body("payment.captured", payment=PAYMENT | {"id": "pay_" + "x" * 10_000}),
    "id with NUL": body("payment.captured", payment=PAYMENT | {"id": "pay_\0"}),
    "order with NUL": body("payment.captured", payment=PAYMENT | {"order_id": "order_\0"}),
    "order half a character": body(
        "payment.captured", payment=PAYMENT | {"order_id": "order_\ud800"}
    ),
    "status unknown": body("payment.captured", payment=PAYMENT | {"status": "melted"}),
    "currency long": body("payment.captured", payment=PAYMENT | {"currency": "RUPEES"}),
    "refund amount": body("refund.processed", refund=REFUND | {"amount": 10**20}),
    "dispute amount": body("payment.dispute.created", dispute=DISPUTE | {"amount": 1e400}),
    "dispute id": body("payment.dispute.created", dispute=DISPUTE | {"id": "x" * 500}),
    "dispute without id": body("payment.dispute.created", dispute={"payment_id": "pay_1"}),
    "refund's notes a text": body("refund.processed", refund=REFUND | {"notes": "Asha, 98450"}),
    "dispute of nothing": body("payment.dispute.created", dispute={"id": "disp_1"}),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_what_is_signed_and_makes_no_sense_is_kept_counted_and_answered(
    room: Room, inbox: Inbox, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    escrow_id = await with_order(room)
    assert await ingest(inbox, NONSENSE[name], "evt_1") == IGNORED
    assert await ingest(inbox, NONSENSE[name], "evt_1") == DUPLICATE
    assert inbox.outcomes[NOT_UNDERSTOOD] == 1
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in said if "evt_1" in line and len(line) < 400]) == 1
    assert all(line.isprintable() and "Asha" not in line for line in said)
    assert (await room.escrow(escrow_id)).version == 2
    assert await room.store.waiting_webhooks(2**60, 10) == []


@pytest.mark.parametrize("name", NO_JSON)
async def test_what_is_no_json_is_refused_and_not_kept(room: Room, inbox: Inbox, name: str) -> None:
    await with_order(room)
    with pytest.raises(Refusal) as refused:
        await ingest(inbox, NO_JSON[name], "evt_1")
    assert refused.value.reason is Reason.WEBHOOK_MALFORMED
    assert len(refused.value.message) < 1_000
    assert await room.store.waiting_webhooks(2**60, 10) == []


@pytest.mark.parametrize("event_id", ["x" * 129, "a\0b", "\n"])
async def test_an_event_id_that_cannot_be_kept_is_refused(
    room: Room, inbox: Inbox, event_id: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await ingest(inbox, body("planet.discovered"), event_id)
    assert refused.value.reason is Reason.FIELD_INVALID


async def test_what_a_crash_left_unread_is_read_later_and_stops_nothing(
    room: Room, inbox: Inbox
) -> None:
    escrow_id = await with_order(room)
    kept = [b"not even JSON", body("payment.captured", payment=PAYMENT)]
    for number, raw in enumerate(kept):
        await room.store.transact(stored.keep(event_id=f"evt_{number}", body=raw, now_us=number))
    await inbox._catch_up()
    assert (await room.escrow(escrow_id)).status is Status.HELD
    assert await room.store.waiting_webhooks(2**60, 10) == []
    assert await ingest(inbox, kept[1], "evt_1") == DUPLICATE


async def test_the_banks_dispute_before_the_payment_is_not_lost(room: Room, inbox: Inbox) -> None:
    escrow_id = await with_order(room)
    created = body("payment.dispute.created", dispute=DISPUTE, payment=PAYMENT)
    assert await ingest(inbox, created, "evt_1") == APPLIED
    assert await ingest(inbox, body("payment.captured", payment=PAYMENT), "evt_2") == APPLIED
    escrow = await room.escrow(escrow_id)
    assert (escrow.status, list(escrow.bank_disputes)) == (Status.HELD, ["disp_1"])
