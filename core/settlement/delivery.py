"""What a webhook of Razorpay says: its JSON as a report, or that it is not understood. Pure.

No field is required but those that are needed. What comes and goes with the payment's method, is
null, or is spelled in another way in Razorpay's own samples is read all the same (core.razorpay).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.errors import Reason, Refusal
from core.law.command import Command
from core.law.escrow import ESCROW_ID
from core.razorpay import Dispute, Order, Payment, parse_order, parse_payment, parse_refund
from core.settlement.report import dispute_report, refund_report

# The longest body of a webhook.
MAX_BODY_BYTES = 1 << 20

# Events of bank disputes (RZP/webhooks/disputes.md).
_PHASES = frozenset({"created", "under_review", "action_required", "won", "lost", "closed"})
_RAZORPAY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Entities that may say which escrow an event is about, by their notes, order or payment.
_TELLING = ("payment", "order", "refund", "transfer", "dispute")


@dataclass(frozen=True, slots=True)
class News:
    """What one webhook says: for which order or escrow, and what to do about it.

    A payment becomes a command only beside its escrow, because its order may have to be asked for.
    Without command and payment it only makes settlement look again.
    """

    order_id: str
    escrow_id: str = ""
    payment_id: str = ""
    command: Command | None = None
    cause: str = ""
    payment: Payment | None = None
    order: Order | None = None


class NotUnderstood(Exception):
    """It is JSON, and of a kind that concerns us, and makes no sense. Says whom it may be about.

    What it says of itself names fields, and nothing that a person has written.
    """

    def __init__(
        self, why: str, order_id: str = "", escrow_id: str = "", payment_id: str = ""
    ) -> None:
        super().__init__(why)
        self.order_id = order_id
        self.escrow_id = escrow_id
        self.payment_id = payment_id


def read(body: bytes) -> News | None:
    """Say what a webhook means, or None where it has no effect.

    Raises Refusal WEBHOOK_MALFORMED for what is no JSON or too long, and NotUnderstood.
    """
    if len(body) > MAX_BODY_BYTES:
        raise _malformed(f"it is longer than {MAX_BODY_BYTES} bytes")
    try:
        envelope = json.loads(body)
    except RecursionError:
        raise NotUnderstood("it nests too deep") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _malformed(str(error)) from None
    except ValueError:
        raise NotUnderstood("a number in it is too long to be read") from None
    event = envelope.get("event") if isinstance(envelope, dict) else None
    if not isinstance(event, str):
        raise NotUnderstood("it names no event")
    payload = envelope.get("payload")
    try:
        return _news(event, payload if isinstance(payload, dict) else {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{event}: {error if type(error) is ValueError else type(error).__name__}"
        raise NotUnderstood(why, *_about(payload)) from None


def _malformed(why: str) -> Refusal:
    return Refusal(Reason.WEBHOOK_MALFORMED, f"body: not a webhook of Razorpay: {why}")


def _news(event: str, payload: dict[str, Any]) -> News | None:
    if event in ("payment.authorized", "payment.captured", "payment.failed", "order.paid"):
        return _payment_news(event, payload)
    if event in ("refund.processed", "refund.failed"):
        return _refund_news(event, payload)
    if event in ("transfer.processed", "transfer.failed", "transfers.failed"):
        return News("", _note(_entity(payload, "transfer"), "escrow_id"))
    phase = event.removeprefix("payment.dispute.")
    if phase in _PHASES and phase != event:
        return _dispute_news(phase, payload)
    return None


def _payment_news(event: str, payload: dict[str, Any]) -> News:
    payment = parse_payment(_entity(payload, "payment"))
    order = _whole_order(payload, payment) if event == "order.paid" else None
    return News(payment.order_id, payment=payment, order=order)


def _whole_order(payload: dict[str, Any], payment: Payment) -> Order | None:
    """Read the payment's order; where there is none or not all of it, it has to be asked for."""
    try:
        order = parse_order(_entity(payload, "order"))
    except ValueError:
        return None
    return order if order.order_id == payment.order_id else None


def _refund_news(event: str, payload: dict[str, Any]) -> News:
    refund = parse_refund(_entity(payload, "refund"))
    order_id = _optional_id(_entity(payload, "payment"), "order_id")
    escrow_id = refund.notes.get("escrow_id", "")
    if event == "refund.failed":
        return News(order_id, escrow_id, refund.payment_id)
    report = refund_report(refund, escrow_id)
    return News(order_id, escrow_id, refund.payment_id, report.command, report.cause)


def _dispute_news(phase: str, payload: dict[str, Any]) -> News:
    entity, payment = _entity(payload, "dispute"), _entity(payload, "payment")
    # Read less strictly than an API answer, because the event's name says what happened.
    dispute = Dispute(
        dispute_id=_id(entity, "id"),
        payment_id=_id(entity, "payment_id") if entity.get("payment_id") else _id(payment, "id"),
        amount_minor=_amount(entity, "amount"),
        reason_code=_text(entity, "reason_code"),
        status=_text(entity, "status"),
        deducted_minor=_amount(entity, "amount_deducted"),
    )
    report = dispute_report(dispute, phase)
    order_id = _optional_id(payment, "order_id")
    return News(order_id, payment_id=dispute.payment_id, command=report.command, cause=report.cause)


def _about(payload: Any) -> tuple[str, str, str]:
    """Say which order, escrow and payment a body names that is not understood, where it does."""
    entities = {kind: _entity(payload, kind) for kind in _TELLING}
    order_id = _first(_text(e, _names("order", kind)) for kind, e in entities.items())
    payment_id = _first(_text(e, _names("payment", kind)) for kind, e in entities.items())
    noted = (_note(entity, "escrow_id") for entity in entities.values())
    escrow_id = next((one for one in noted if ESCROW_ID.fullmatch(one)), "")
    return order_id, escrow_id, payment_id


def _names(what: str, kind: str) -> str:
    """Answer the field in which an entity of a kind names its order, or its payment."""
    if kind == what:
        return "id"
    return "source" if (what, kind) == ("payment", "transfer") else f"{what}_id"


def _first(given: Iterable[str]) -> str:
    return next((one for one in given if _RAZORPAY_ID.fullmatch(one)), "")


def _entity(payload: Any, kind: str) -> dict[str, Any]:
    """Answer an entity of the payload; empty where there is none, or `[]` in its place."""
    held = payload.get(kind) if isinstance(payload, dict) else None
    entity = held.get("entity") if isinstance(held, dict) else None
    return entity if isinstance(entity, dict) else {}


def _note(entity: dict[str, Any], name: str) -> str:
    return _text(entity.get("notes"), name)


def _id(entity: dict[str, Any], name: str) -> str:
    value = _text(entity, name)
    if not _RAZORPAY_ID.fullmatch(value):
        raise ValueError(f"{name} must be an id")
    return value


def _optional_id(entity: dict[str, Any], name: str) -> str:
    return _id(entity, name) if entity.get(name) else ""


def _amount(entity: dict[str, Any], name: str) -> int:
    value = entity.get(name) or 0
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**15:
        raise ValueError(f"{name} must be a whole number")
    return value


def _text(entity: Any, name: str) -> str:
    value = entity.get(name) if isinstance(entity, dict) else None
    return value if isinstance(value, str) else ""
