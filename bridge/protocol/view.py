"""An escrow as a browser sees it: the `data` of a frame, as plain JSON values. Pure."""

from __future__ import annotations

import math
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

MINOR_PER_RUPEE = 100


def escrow_data(escrow: pb.Escrow) -> dict[str, Any]:
    """The `data` of `subscribed`. `amount` is in rupees; every `…_minor` is in minor units."""
    return {
        "escrow_id": escrow.escrow_id,
        "status": escrow_status(escrow.status),
        "version": escrow.version,
        "amount": _rupees(escrow.amount.amount_minor),
        "amount_minor": escrow.amount.amount_minor,
        "currency": escrow.amount.currency,
        **_money(escrow),
        "buyer_id": escrow.buyer_id,
        "seller_id": escrow.seller_id,
        "arbiter_id": escrow.arbiter_id,
        "title": escrow.title,
        "description": escrow.description,
        "payment": _payment(escrow.payment),
        **_agreement(escrow),
        "milestones": [_milestone(one) for one in escrow.milestones],
        "attention": escrow.attention,
        "created_at": _time(escrow.create_time),
        "updated_at": _time(escrow.update_time),
    }


def event_data(event: pb.EscrowEvent) -> dict[str, Any]:
    """The `data` of `escrow_update`: the escrow right after the event, and what happened.

    The event's own data stays under `event_data`, so that its keys cannot pass for the escrow's.
    """
    return {
        **escrow_data(event.escrow),
        "event_type": event_type(event),
        "actor_id": event.actor_id,
        "time": _time(event.create_time),
        "milestone_id": event.milestone_id,
        "event_data": struct(event.data),
    }


def event_type(event: pb.EscrowEvent) -> str:
    """The type in lower case. An update that a service published has the service's own type."""
    if event.type == pb.EVENT_TYPE_UPDATE_PUBLISHED and event.update_type:
        return event.update_type
    return _name(pb.EventType, event.type, "EVENT_TYPE_").lower()


def escrow_status(status: int) -> str:
    return _name(pb.EscrowStatus, status, "ESCROW_STATUS_")


def payment_status(status: int) -> str:
    return _name(pb.PaymentStatus, status, "PAYMENT_STATUS_").lower()


def struct(value: Struct) -> dict[str, Any]:
    return {key: _value(one) for key, one in value.fields.items()}


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return struct(value.struct_value)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    if kind == "number_value":
        return _number(value.number_value)
    if kind in ("string_value", "bool_value"):
        return getattr(value, kind)
    return None


def _number(number: float) -> int | float | None:
    # JSON has no infinity and no NaN: with one of them a browser could not parse the frame.
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _name(enum: Any, number: int, prefix: str) -> str:
    try:
        name: str = enum.Name(number)
    except ValueError:
        # A newer core may send a value that this bridge does not know.
        return f"UNKNOWN_{number}"
    return name.removeprefix(prefix)


def _rupees(amount_minor: int) -> int | float:
    whole, rest = divmod(amount_minor, MINOR_PER_RUPEE)
    return amount_minor / MINOR_PER_RUPEE if rest else whole


def _time(time: Timestamp) -> str | None:
    return time.ToJsonString() if time.seconds or time.nanos else None


def _money(part: pb.Escrow | pb.Milestone) -> dict[str, int]:
    return {
        "held_minor": part.held.amount_minor,
        "released_minor": part.released.amount_minor,
        "refunded_minor": part.refunded.amount_minor,
        "fee_minor": part.fee.amount_minor,
    }


def _payment(payment: pb.Payment) -> dict[str, str | None]:
    return {
        "status": payment_status(payment.status) if payment.status else None,
        "order_id": payment.order_id or None,
        "payment_id": payment.payment_id or None,
    }


def _agreement(part: pb.Escrow | pb.Milestone) -> dict[str, Any]:
    return {
        "confirmations": [
            {"party": _name(pb.Party, one.party, "PARTY_").lower(), "time": _time(one.time)}
            for one in part.confirmations
        ],
        "dispute": _dispute(part.dispute) if part.HasField("dispute") else None,
        "settlement": _settlement(part.settlement) if part.HasField("settlement") else None,
    }


def _dispute(dispute: pb.Dispute) -> dict[str, str]:
    return {
        "raised_by": dispute.raised_by,
        "reason": dispute.reason,
        "status": _name(pb.DisputeStatus, dispute.status, "DISPUTE_STATUS_").lower(),
    }


def _settlement(settlement: pb.Settlement) -> dict[str, int]:
    return {
        "release_minor": settlement.release.amount_minor,
        "refund_minor": settlement.refund.amount_minor,
        "fee_minor": settlement.fee.amount_minor,
    }


def _milestone(milestone: pb.Milestone) -> dict[str, Any]:
    return {
        "milestone_id": milestone.milestone_id,
        "title": milestone.title,
        "amount_minor": milestone.amount.amount_minor,
        "status": escrow_status(milestone.status),
        **_money(milestone),
        **_agreement(milestone),
    }
