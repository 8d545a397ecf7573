"""The news: what reports of a payment change about an escrow. Pure.

Reports arrive twice, late and in any order. Each function is one entry of the table in rules.py. It
answers None for what is known already, so that every order and repetition ends in the same state.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.law import chargeback
from core.law import command as c
from core.law.attention import ended, raised
from core.law.command import Caller
from core.law.escrow import Attention, Escrow, Event
from core.law.event import step
from core.law.payment import Payment, Surplus
from core.law.status import AttentionCode, EventType, PaymentStatus, Status
from core.law.words import money

# The provider's own words (RZP/payments/payments.md). `refunded` implies captured.
_CAPTURED = frozenset({"captured", "refunded"})


def payment_reported(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int
) -> Event | None:
    if command.status in _CAPTURED:
        return _captured(escrow, command, caller, now_us)
    if escrow.status is not Status.INITIATED or escrow.payment.is_captured:
        return None
    if command.order_id != escrow.payment.order_id:
        return None  # Its order was used up. The next payment has an order of its own.
    if command.status == "authorized":
        return _authorized(escrow, command, caller, now_us)
    if command.status == "failed":
        return _failed(escrow, command, caller, now_us)
    return None


def _captured(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int
) -> Event | None:
    if escrow.payment.is_captured and escrow.payment.payment_id == command.payment_id:
        return None
    if any(s.payment_id == command.payment_id for s in escrow.surplus):
        return None
    if escrow.payment.is_captured:
        return _unwanted(escrow, command, caller, now_us, "the escrow is paid already")
    if _is_unclear(escrow, command):
        return None  # Whether the customer bore the fee is the order's word, which is not there.
    customer_fee = _customer_fee(escrow, command)
    if customer_fee is None:
        return _unwanted(escrow, command, caller, now_us, _why_wrong(escrow, command))
    payment = Payment(
        PaymentStatus.CAPTURED,
        escrow.payment.order_id or command.order_id,
        command.payment_id,
        escrow.amount_minor,
        gateway_fee_minor=command.gateway_fee_minor,
        gateway_tax_minor=command.gateway_tax_minor,
        customer_fee_minor=customer_fee,
    )
    is_late = escrow.status is Status.CANCELLED
    parts = tuple(
        replace(p, held_minor=p.amount_minor, status=p.status if is_late else Status.HELD)
        for p in escrow.parts
    )
    return step(
        escrow,
        ended(
            chargeback.paid(replace(escrow, payment=payment, parts=parts)),
            {AttentionCode.GATEWAY_REFUSED},
        ),
        now_us,
        EventType.PAYMENT_CAPTURED,
        caller,
        payment_status=PaymentStatus.CAPTURED,
        data=_paid_data(command, customer_fee, is_late=is_late),
    )


def _paid_data(command: c.ReportPayment, customer_fee: int, *, is_late: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"payment_id": command.payment_id}
    if is_late:
        data["late"] = True
    if customer_fee:
        data["customer_fee_minor"] = customer_fee
    return data


def _is_unclear(escrow: Escrow, command: c.ReportPayment) -> bool:
    is_more = command.amount_minor > escrow.amount_minor
    return is_more and command.currency == escrow.currency and not command.order_amount_minor


def _customer_fee(escrow: Escrow, command: c.ReportPayment) -> int | None:
    """Answer what was paid on top as the provider's fee; None where the amount is wrong.

    On accounts whose customers bear the fee a payment is of the order's amount and the fee, and
    pays the order in full (RZP/payments/dynamic-convenience-fees).
    """
    if command.currency != escrow.currency:
        return None
    excess = command.amount_minor - escrow.amount_minor
    if excess == 0:
        return 0
    is_in_full = command.order_is_paid and command.order_amount_minor == escrow.amount_minor
    return excess if is_in_full and 0 < excess <= command.gateway_fee_minor else None


def _why_wrong(escrow: Escrow, command: c.ReportPayment) -> str:
    """Say why a payment of this amount cannot be taken."""
    asked = money(escrow.amount_minor, escrow.currency)
    if command.currency != escrow.currency or command.amount_minor > escrow.amount_minor:
        paid = money(command.amount_minor, command.currency)
        return f"{paid} was paid, but the escrow asks for {asked}"
    missing = money(escrow.amount_minor - command.amount_minor, escrow.currency)
    if command.offer_id:
        return f"it was paid with an offer that took {missing} off the {asked} of the escrow"
    return f"{missing} of {asked} was not paid, and an escrow is paid in one payment"


def _unwanted(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int, why: str
) -> Event:
    kept = _kept_by_provider(command)
    surplus = Surplus(
        command.payment_id,
        command.amount_minor - kept,
        command.currency,
        why,
        customer_fee_minor=kept,
    )
    amount = money(surplus.amount_minor, command.currency)
    attention = f"Payment {command.payment_id} of {amount} is being refunded: {why}."
    item = Attention(AttentionCode.SURPLUS_PAYMENT, attention, now_us, subject=command.payment_id)
    after = raised(chargeback.paid(replace(escrow, surplus=(*escrow.surplus, surplus))), item)
    if not escrow.payment.is_captured:
        # The provider takes no second payment for a paid order, so the next one needs a new order.
        after = replace(after, payment=Payment(), spent_orders=escrow.spent_orders + 1)
    return step(
        escrow,
        after,
        now_us,
        EventType.ATTENTION_RAISED,
        caller,
        data={
            "payment_id": command.payment_id,
            "amount_minor": command.amount_minor,
            "currency": command.currency,
            "gateway_fee_minor": command.gateway_fee_minor,
            "gateway_tax_minor": command.gateway_tax_minor,
            "attention": attention,
        },
    )


def _kept_by_provider(command: c.ReportPayment) -> int:
    """What the customer paid on top of the order as the provider's fee, which is not refunded."""
    excess = command.amount_minor - command.order_amount_minor
    is_fee = command.order_is_paid and 0 < excess <= command.gateway_fee_minor
    return excess if is_fee else 0


def _authorized(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int
) -> Event | None:
    is_known = escrow.payment.status is PaymentStatus.AUTHORIZED
    if is_known or command.amount_minor < escrow.amount_minor:
        # What is too little is not captured, and the provider returns it by itself. What is more
        # may be the fee that the customer bears, which is known only once it is captured.
        return None
    return _attempt(escrow, command, caller, now_us, PaymentStatus.AUTHORIZED)


def _failed(escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int) -> Event | None:
    status = escrow.payment.status
    is_same = escrow.payment.payment_id == command.payment_id
    if status is PaymentStatus.AUTHORIZED or (status is PaymentStatus.FAILED and is_same):
        return None
    return _attempt(escrow, command, caller, now_us, PaymentStatus.FAILED)


def _attempt(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int, status: PaymentStatus
) -> Event:
    payment = Payment(status, command.order_id, command.payment_id, command.amount_minor)
    data = {"payment_id": command.payment_id}
    if command.error_reason:
        data["reason"] = command.error_reason
    return step(
        escrow,
        replace(escrow, payment=payment),
        now_us,
        EventType(f"PAYMENT_{status}"),
        caller,
        payment_status=status,
        data=data,
    )
