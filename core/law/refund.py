"""Refunds: what a report of one changes, whoever made it. Pure.

Each function with a public name is one entry of the table in rules.py, as those of news.py are.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.law import chargeback
from core.law import command as c
from core.law.attention import OBSTACLES, ended, is_raised, raised
from core.law.command import Caller
from core.law.escrow import Attention, Escrow, Event
from core.law.event import step
from core.law.money import MIN_AMOUNT_MINOR
from core.law.part import Part
from core.law.payment import RefundMade, Surplus
from core.law.status import FINAL, AttentionCode, EventType, PaymentStatus, Status
from core.law.words import money


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
    if escrow.status is not Status.SETTLING and all(one.is_returned for one in after.surplus):
        # While nothing else is asked of Razorpay, it was such a refund that was refused.
        after = ended(after, {AttentionCode.GATEWAY_REFUSED}, part_id="")
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
