"""The news: what reports of the payment provider change about an escrow. Pure.

Reports arrive twice, late and in any order. Each function is one entry of the table in rules.py. It
answers None for what is known already, so that every order and repetition ends in the same state.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.law import chargeback
from core.law import command as c
from core.law.attention import OBSTACLES, ended, is_raised, raised
from core.law.command import Caller
from core.law.escrow import (
    FINAL,
    Attention,
    AttentionCode,
    Escrow,
    Event,
    EventType,
    Part,
    Payment,
    PaymentStatus,
    RefundMade,
    Settlement,
    Status,
    Surplus,
)
from core.law.event import step
from core.law.money import MIN_AMOUNT_MINOR
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


def hold_reported(
    escrow: Escrow, part: Part, command: c.ReportHold, caller: Caller, now_us: int
) -> Event | None:
    if part.on_hold_minor == command.amount_minor:
        return None
    moves = command.moves or part.moves
    part = replace(part, on_hold_minor=command.amount_minor, moves=moves)
    return step(
        escrow,
        ended(escrow.with_part(part), OBSTACLES, part_id=part.part_id),
        now_us,
        EventType.FUNDS_HELD,
        caller,
        part_id=part.part_id,
        data={"transfer_id": command.transfer_id, "amount_minor": command.amount_minor},
    )


def refund_reported(
    escrow: Escrow, command: c.ReportRefund, caller: Caller, now_us: int
) -> Event | None:
    for surplus in escrow.surplus:
        if surplus.payment_id == command.payment_id:
            return _surplus_returned(escrow, surplus, command, caller, now_us)
    if not escrow.payment.is_captured:
        # The payment has not been reported yet. Settlement looks the refund up when it has.
        if escrow.status is Status.CANCELLED or command.part_id is not None:
            return None
        return _foreign_refund(escrow, command, caller, now_us)
    is_known = any(one.refund_id == command.refund_id for one in escrow.payment.refunds)
    is_whole = escrow.payment.status is PaymentStatus.REFUNDED
    if command.payment_id != escrow.payment.payment_id or is_whole or is_known:
        return None
    if escrow.status is Status.CANCELLED and _fits(command, escrow.held_minor):
        return _refunded(escrow, escrow.parts, command, caller, now_us)
    part = None if command.part_id is None else escrow.part(command.part_id)
    if part is None or part.settlement is None or part.status is not Status.SETTLING:
        return _foreign_refund(escrow, command, caller, now_us)
    if _fits(command, part.owing_minor):
        return _refunded(escrow, (part,), command, caller, now_us)
    others = [p for p in escrow.parts if p is not part and p.owing_minor]
    if command.is_adopted and _fits(command, sum(p.owing_minor for p in (part, *others))):
        return _refunded(escrow, (part, *others), command, caller, now_us)
    return _foreign_refund(escrow, command, caller, now_us)


def _fits(command: c.ReportRefund, owing_minor: int) -> bool:
    """Whether a refund is what was to be made, or, made by hand, a share of it."""
    if command.is_adopted:
        return command.amount_minor <= owing_minor
    return 0 < command.amount_minor == owing_minor


def _refunded(
    escrow: Escrow, parts: tuple[Part, ...], command: c.ReportRefund, caller: Caller, now_us: int
) -> Event:
    after, left = escrow, command.amount_minor
    for part in parts:
        amount = min(left, part.owing_minor if part.settlement else part.held_minor)
        left -= amount
        held, refunded = part.held_minor - amount, part.refunded_minor + amount
        done = replace(part, held_minor=held, refunded_minor=refunded)
        after = after.with_part(_rounded_off(done))
    after = chargeback.rounded_off(after)
    refunded = escrow.payment.refunded_minor + command.amount_minor
    is_all = refunded + escrow.payment.charged_back_minor == escrow.payment.amount_minor
    status = PaymentStatus.REFUNDED if is_all else PaymentStatus.PARTIALLY_REFUNDED
    payment = replace(
        escrow.payment,
        status=status,
        refunded_minor=refunded,
        refunds=(*escrow.payment.refunds, _made(command, now_us)),
    )
    after = replace(after, payment=payment)
    after = ended(after, {AttentionCode.FOREIGN_REFUND}, subject=command.refund_id)
    return step(
        escrow,
        _at_rest(after),
        now_us,
        EventType.PAYMENT_REFUNDED,
        caller,
        payment_status=status,
        part_id=parts[0].part_id if len(parts) == 1 else "",
        data=_refund_data(command),
    )


def _rounded_off(part: Part) -> Part:
    """Leave to the platform what a refund by hand left over and is too little to be refunded."""
    settlement, rest = part.settlement, part.owing_minor
    if settlement is None or not 0 < rest < MIN_AMOUNT_MINOR:
        return part
    divided = replace(
        settlement,
        refund_minor=settlement.refund_minor - rest,
        release_minor=settlement.release_minor + rest,
        fee_minor=settlement.fee_minor + rest,
    )
    return replace(part, settlement=divided)


def _made(command: c.ReportRefund, now_us: int) -> RefundMade:
    return RefundMade(command.refund_id, command.amount_minor, now_us, command.bank_reference)


def _refund_data(command: c.ReportRefund) -> dict[str, Any]:
    data: dict[str, Any] = {"refund_id": command.refund_id, "amount_minor": command.amount_minor}
    if command.fee_minor:
        data |= {"gateway_fee_minor": command.fee_minor, "gateway_tax_minor": command.tax_minor}
    return data


def _surplus_returned(
    escrow: Escrow, surplus: Surplus, command: c.ReportRefund, caller: Caller, now_us: int
) -> Event | None:
    if surplus.is_returned or command.refund_id in surplus.refund_ids:
        return None
    done = replace(
        chargeback.returned(surplus, command.amount_minor),
        refund=_made(command, now_us),
        refund_ids=(*surplus.refund_ids, command.refund_id),
    )
    after = replace(escrow, surplus=tuple(done if s is surplus else s for s in escrow.surplus))
    if done.is_returned:
        after = ended(after, {AttentionCode.SURPLUS_PAYMENT}, subject=surplus.payment_id)
    return step(
        escrow,
        _at_rest(after),
        now_us,
        EventType.PAYMENT_REFUNDED,
        caller,
        data=_refund_data(command) | {"payment_id": command.payment_id, "surplus": True},
    )


def _at_rest(escrow: Escrow) -> Escrow:
    """Answer the escrow without what stood in the way, if there is nothing left to settle."""
    is_open = escrow.status not in FINAL or escrow.held_minor > 0
    if is_open or any(not s.is_returned for s in escrow.surplus):
        return escrow
    return ended(escrow, OBSTACLES)


def _foreign_refund(
    escrow: Escrow, command: c.ReportRefund, caller: Caller, now_us: int
) -> Event | None:
    amount = money(command.amount_minor, escrow.currency)
    item = Attention(
        AttentionCode.FOREIGN_REFUND,
        f"Refund {command.refund_id} of {amount} was not asked for by Holdfast: the books and the"
        " payment provider differ by it.",
        now_us,
        subject=command.refund_id,
    )
    if is_raised(escrow, item):
        return None
    return step(
        escrow,
        raised(escrow, item),
        now_us,
        EventType.ATTENTION_RAISED,
        caller,
        data={"attention": item.message},
    )


def settlement_completed(
    escrow: Escrow, part: Part, command: c.CompleteSettlement, caller: Caller, now_us: int
) -> Event | None:
    settlement = part.settlement
    assert settlement is not None, "a settling part has its settlement"
    if part.owing_minor > 0:
        return None  # The refund is not reported yet; settlement looks again.
    done = replace(
        part,
        status=_end_of(part, settlement),
        held_minor=0,
        released_minor=settlement.transfer_minor,
        fee_minor=settlement.fee_minor,
        on_hold_minor=0,
        moves=command.moves or part.moves,
        settlement=replace(settlement, complete_time_us=now_us),
    )
    return step(
        escrow,
        ended(escrow.with_part(done), OBSTACLES, part_id=part.part_id),
        now_us,
        EventType.SETTLEMENT_COMPLETED,
        caller,
        part_id=part.part_id,
    )


def _end_of(part: Part, settlement: Settlement) -> Status:
    if settlement.bank_minor:
        return Status.REFUNDED
    if settlement.transfer_minor and (settlement.refund_minor or part.bank_minor):
        return Status.SPLIT
    return Status.RELEASED if settlement.transfer_minor else Status.REFUNDED


def settlement_failed(
    escrow: Escrow, command: c.FailSettlement, caller: Caller, now_us: int
) -> Event | None:
    item = Attention(command.code, command.problem, now_us, command.part_id, command.subject)
    if is_raised(escrow, item):
        return None
    part = escrow.part(command.part_id)
    if command.part_id and part is not None and part.status in FINAL:
        return None  # It has come too late: the part is settled.
    is_settling = any(p.status is Status.SETTLING for p in escrow.parts)
    return step(
        escrow,
        raised(escrow, item),
        now_us,
        EventType.SETTLEMENT_FAILED if is_settling else EventType.ATTENTION_RAISED,
        caller,
        part_id=command.part_id,
        data={"attention": command.problem},
    )


def attention_ended(
    escrow: Escrow, command: c.EndAttention, caller: Caller, now_us: int
) -> Event | None:
    after = ended(escrow, {command.code}, subject=command.subject or None)
    if after is escrow:
        return None
    data = {"ended": str(command.code)}
    return step(escrow, after, now_us, EventType.ATTENTION_RAISED, caller, data=data)
