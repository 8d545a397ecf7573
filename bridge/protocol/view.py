"""An escrow as a browser sees it: the `data` of a frame, as plain JSON values. Pure."""

from __future__ import annotations

import functools
import math
from datetime import datetime, timedelta
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

MINOR_PER_RUPEE = 100
# Seconds that are kept as text: an escrow is written again at each of its events.
SECONDS_KEPT = 4_096
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written behind it


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
        "terms": _terms(escrow.terms),
        "payment": _payment(escrow.payment),
        "returned_payments": [_returned(one) for one in escrow.returned_payments],
        "created_by": escrow.created_by or None,
        "acceptances": [_said(one) for one in escrow.acceptances],
        **_agreement(escrow),
        **_deadline(escrow),
        "fee_bps": escrow.fee_bps,
        "payout_minor": escrow.payout.amount_minor,
        "refunded_by": escrow.refunded_by or None,
        "milestones": [_milestone(one) for one in escrow.milestones],
        "attention": escrow.attention,
        "attentions": [_attention(one) for one in escrow.attentions],
        "external_id": escrow.external_id,
        "metadata": dict(escrow.metadata),
        "created_at": _time(escrow.create_time),
        "updated_at": _time(escrow.update_time),
    }


def event_data(event: pb.EscrowEvent) -> dict[str, Any]:
    """The `data` of `escrow_update`: the escrow right after the event, and what happened.

    The event's own data stays under `event_data`, so that its keys cannot pass for the escrow's.
    """
    data, changed = _last.data(event.escrow)
    return {
        **data,
        **changed,
        "event_type": event_type(event),
        "actor_id": event.actor_id,
        "time": _time(event.create_time),
        "milestone_id": event.milestone_id,
        "event_data": struct(event.data),
    }


class _Last:
    """The escrow that was written last, from which the next one may be taken.

    An update that a service publishes changes only the version and the time. To find that out takes
    a tenth of writing the escrow again. One whose events come in turn with others' is not kept.
    """

    def __init__(self) -> None:
        self._escrow_id = ""
        self._escrow = pb.Escrow()
        self._data: dict[str, Any] = {}

    def data(self, escrow: pb.Escrow) -> tuple[dict[str, Any], dict[str, Any]]:
        """Answer the data of an escrow, and what of it to put in its place."""
        escrow_id = escrow.escrow_id
        if self._escrow_id != escrow_id:
            self._escrow_id = escrow_id
            return escrow_data(escrow), {}
        last = self._escrow
        if last.escrow_id == escrow_id:
            last.version = escrow.version
            last.update_time.CopyFrom(escrow.update_time)
            if last == escrow:
                changed = {"version": escrow.version, "updated_at": _time(escrow.update_time)}
                return self._data, changed
        last.CopyFrom(escrow)
        self._data = escrow_data(escrow)
        return self._data, {}


_last = _Last()


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
    fields = value.fields  # Its items() are those of a Python class, which takes longer.
    return {key: _value(fields[key]) for key in fields}


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return struct(value.struct_value)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    return None


def _number(number: float) -> int | float | None:
    # JSON has no infinity and no NaN: with one of them a browser could not parse the frame.
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


@functools.cache
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
    """Write a time as proto3 JSON does, in a sixth of what `ToJsonString` takes."""
    seconds, nanos = time.seconds, time.nanos
    if not nanos:
        return f"{_second(seconds)}Z" if seconds else None
    if nanos % 1_000:
        return f"{_second(seconds)}.{nanos:09}Z"
    if nanos % 1_000_000:
        return f"{_second(seconds)}.{nanos // 1_000:06}Z"
    return f"{_second(seconds)}.{nanos // 1_000_000:03}Z"


@functools.lru_cache(maxsize=SECONDS_KEPT)
def _second(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def _money(part: pb.Escrow | pb.Milestone) -> dict[str, int]:
    return {
        "held_minor": part.held.amount_minor,
        "released_minor": part.released.amount_minor,
        "refunded_minor": part.refunded.amount_minor,
        "fee_minor": part.fee.amount_minor,
    }


def _payment(payment: pb.Payment) -> dict[str, Any]:
    return {
        "status": payment_status(payment.status) if payment.status else None,
        "order_id": payment.order_id or None,
        "payment_id": payment.payment_id or None,
        "customer_fee_minor": payment.customer_fee.amount_minor,
        "charged_back_minor": payment.charged_back.amount_minor,
        "refunds": [_refund(one) for one in payment.refunds],
    }


def _refund(refund: pb.Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.refund_id,
        "amount_minor": refund.amount.amount_minor,
        "bank_reference": refund.bank_reference or None,
        "time": _time(refund.time),
    }


def _returned(payment: pb.ReturnedPayment) -> dict[str, Any]:
    return {
        "payment_id": payment.payment_id,
        "amount_minor": payment.amount.amount_minor,
        "currency": payment.amount.currency,
        "why": payment.why,
        "refunded_minor": payment.refunded.amount_minor,
        "refund": _refund(payment.refund) if payment.HasField("refund") else None,
    }


def _terms(terms: pb.Terms) -> dict[str, Any]:
    return {
        "payment_window_s": terms.payment_window.seconds,
        "inspection_period_s": terms.inspection_period.seconds,
        "acceptance_required": terms.acceptance_required,
    }


def _attention(item: pb.Attention) -> dict[str, Any]:
    return {
        "code": _name(pb.AttentionCode, item.code, "ATTENTION_CODE_"),
        "message": item.message,
        "since": _time(item.since),
        "milestone_id": item.milestone_id,
    }


def _deadline(part: pb.Escrow | pb.Milestone) -> dict[str, str | None]:
    """When the clock acts, and what it does: CANCEL or RELEASE; both null while it does not."""
    action = part.deadline_action
    return {
        "deadline": _time(part.deadline),
        "deadline_action": (
            _name(pb.DeadlineAction, action, "DEADLINE_ACTION_") if action else None
        ),
    }


def _said(one: pb.Confirmation | pb.Acceptance) -> dict[str, str | None]:
    return {"party": _name(pb.Party, one.party, "PARTY_").lower(), "time": _time(one.time)}


def _agreement(part: pb.Escrow | pb.Milestone) -> dict[str, Any]:
    return {
        "confirmations": [_said(one) for one in part.confirmations],
        "dispute": _dispute(part.dispute) if part.HasField("dispute") else None,
        "settlement": _settlement(part.settlement) if part.HasField("settlement") else None,
    }


def _dispute(dispute: pb.Dispute) -> dict[str, str]:
    return {
        "raised_by": dispute.raised_by,
        "reason": dispute.reason,
        "status": _name(pb.DisputeStatus, dispute.status, "DISPUTE_STATUS_").lower(),
        "note": dispute.note,
    }


def _settlement(settlement: pb.Settlement) -> dict[str, Any]:
    return {
        "decided_by": settlement.decided_by,
        "note": settlement.note,
        "refunded_by": settlement.refunded_by or None,
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
        **_deadline(milestone),
        "payout_minor": milestone.payout.amount_minor,
    }
