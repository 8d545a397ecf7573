"""How an escrow and an event are written down: the row's JSON, the public message, the hash chain.

The canonical encoding of an event is protobuf's deterministic serialization of its EscrowEvent
without `hash`: fields in number order, map entries in key order. The hash is SHA-256 over it; as
`previous_hash` is one of the fields, the events of an escrow form a chain.

An event is never written again. So an escrow whose last event is of an earlier release differs from
that event's escrow in the fields that have come since: `form` says which the event has.
"""

from __future__ import annotations

import hashlib

import msgspec
from escrow.v1 import escrow_pb2 as pb
from google.protobuf.message import Message

from core.law.escrow import Attention, Escrow, Event
from core.law.message import STATUSES, write_escrow, write_time
from core.law.status import AttentionCode, EventType

# The fields of the messages Escrow, Milestone, Payment, Settlement and Terms that form 0 lacks.
SINCE_FORM_1 = frozenset(
    {
        "acceptance_required",
        "acceptances",
        "attentions",
        "charged_back",
        "created_by",
        "customer_fee",
        "deadline",
        "deadline_action",
        "external_id",
        "fee_bps",
        "metadata",
        "payout",
        "refunded_by",
        "refunds",
        "returned_payments",
    }
)


class _Before(msgspec.Struct):
    """What a row of form 0 says of attention."""

    update_time_us: int
    attention: str = ""
    attention_code: str = ""


_TYPES = {one: pb.EventType.Value(f"EVENT_TYPE_{one}") for one in EventType}

_decoder = msgspec.json.Decoder(Escrow)
_before = msgspec.json.Decoder(_Before)


def dump_row(escrow: Escrow) -> str:
    """Write an escrow as the JSON text of its row."""
    return msgspec.json.encode(escrow).decode()


def load_row(body: str) -> Escrow:
    """Read an escrow from its row, also one that an earlier release wrote."""
    escrow = _decoder.decode(body)
    return escrow if escrow.form else _with_attention(escrow, _before.decode(body))


def _with_attention(escrow: Escrow, before: _Before) -> Escrow:
    if not before.attention:
        return escrow
    code = AttentionCode(before.attention_code or AttentionCode.GATEWAY_REFUSED)
    disputes = escrow.bank_disputes if code is AttentionCode.BANK_DISPUTE else ()
    items = tuple(
        Attention(code, before.attention, before.update_time_us, subject=subject)
        for subject in disputes or ("",)
    )
    return msgspec.structs.replace(escrow, attentions=items)


def written_in_form_0(message: pb.Escrow) -> pb.Escrow:
    """Answer an escrow as an event of form 0 has it: without the fields that came later."""
    bare = pb.Escrow()
    bare.CopyFrom(message)
    parts: list[pb.Escrow | pb.Milestone] = [bare, *bare.milestones]
    for part in parts:
        _strip(part)
        if part.HasField("settlement"):
            _strip(part.settlement)
    if bare.HasField("payment"):
        _strip(bare.payment)
    if bare.HasField("terms"):
        _strip(bare.terms)
    return bare


def _strip(message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name in SINCE_FORM_1:
            message.ClearField(field.name)


def event_message(event: Event, previous_hash: bytes) -> pb.EscrowEvent:
    """Write an event as its public message, sealed: with its own hash and its predecessor's."""
    escrow = event.escrow
    message = pb.EscrowEvent(
        escrow_id=escrow.escrow_id,
        version=escrow.version,
        type=_TYPES[event.type],
        actor_id=event.actor_id,
        new_status=STATUSES[escrow.status],
        previous_hash=previous_hash,
        milestone_id=event.part_id,
        update_type=event.update_type,
    )
    write_time(message.create_time, escrow.update_time_us)
    write_escrow(escrow, message.escrow)
    if event.old_status is not None:
        message.old_status = STATUSES[event.old_status]
    if event.payment_status is not None:
        message.payment_status = pb.PaymentStatus.Value(f"PAYMENT_STATUS_{event.payment_status}")
    if event.data:
        message.data.update(event.data)
    message.hash = _digest(message)
    return message


def event_hash(message: pb.EscrowEvent) -> bytes:
    """Answer what an event's `hash` must be, whatever it says itself."""
    bare = pb.EscrowEvent()
    bare.CopyFrom(message)
    bare.ClearField("hash")
    return _digest(bare)


def _digest(bare: pb.EscrowEvent) -> bytes:
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()
