"""What a webhook of Razorpay says: its JSON as a report, or that it is not understood. Pure.

No field is required but those that are needed. What comes and goes with the payment's method, is
null, or is spelled in another way in Razorpay's own samples is read all the same (core.razorpay).
"""

from __future__ import annotations

import json
import re
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
# Entities that may say which escrow an event is about, by their notes or their order.
_TELLING = ("payment", "order", "refund", "transfer")


@dataclass(frozen=True, slots=True)
class News:
    """What one webhook says: for which order or escrow, and what to do about it.

    A payment becomes a command only beside its escrow, because its order may have to be asked for.
    Without command and payment it only makes settlement look again.
    """

    order_id: str
    escrow_id: str = ""
    command: Command | None = None
    cause: str = ""
    payment: Payment | None = None
    order: Order | None = None


class NotUnderstood(Exception):
    """It is JSON, and of a kind that concerns us, and makes no sense. Says whom it may be about."""

    def __init__(self, why: str, order_id: str = "", escrow_id: str = "") -> None:
        super().__init__(why)
        self.order_id = order_id
        self.escrow_id = escrow_id


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
    except ValueError as error:
        raise _malformed(str(error)) from None
    event = envelope.get("event") if isinstance(envelope, dict) else None
    if not isinstance(event, str):
        raise NotUnderstood("it names no event")
    payload = envelope.get("payload")
    try:
        return _news(event, payload if isinstance(payload, dict) else {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{event:.60}: {error or type(error).__name__}"
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
    order = None
    if event == "order.paid":
        # Without a whole order in it the payment counts as any other, and its order is asked for.
        try:
            order = parse_order(_entity(payload, "order"))
        except ValueError:
            order = None
    return News(payment.order_id, payment=payment, order=order)


def _refund_news(event: str, payload: dict[str, Any]) -> News:
    refund = parse_refund(_entity(payload, "refund"))
    order_id = _optional_id(_entity(payload, "payment"), "order_id")
    escrow_id = refund.notes.get("escrow_id", "")
    if event == "refund.failed":
        return News(order_id, escrow_id)
    report = refund_report(refund, escrow_id)
    return News(order_id, escrow_id, report.command, report.cause)


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
    return News(order_id, command=report.command, cause=report.cause)


def _about(payload: Any) -> tuple[str, str]:
    """Say which order and escrow a body names that is not understood, as far as it does."""
    order_id = escrow_id = ""
    for kind in _TELLING:
        entity = _entity(payload, kind)
        given = _text(entity, "id" if kind == "order" else "order_id")
        order_id = order_id or (given if _RAZORPAY_ID.fullmatch(given) else "")
        noted = _note(entity, "escrow_id")
        escrow_id = escrow_id or (noted if ESCROW_ID.fullmatch(noted) else "")
    return order_id, escrow_id


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
