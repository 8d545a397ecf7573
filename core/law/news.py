"""The news: what reports of the payment provider change about an escrow. Pure.

Reports arrive twice, late and in any order. Each function is one entry of the table in rules.py. It
answers None for what is known already, so that every order and repetition ends in the same state.
"""

from __future__ import annotations

from msgspec.structs import replace

from core.law import command as c
from core.law.command import Caller
from core.law.deal import step
from core.law.escrow import (
    Attention,
    Escrow,
    Event,
    EventType,
    Part,
    Payment,
    PaymentStatus,
    Status,
    Surplus,
)

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
    if (command.amount_minor, command.currency) != (escrow.amount_minor, escrow.currency):
        wanted = f"{escrow.amount_minor} {escrow.currency}"
        return _unwanted(escrow, command, caller, now_us, f"the escrow asks for {wanted}")
    payment = Payment(
        PaymentStatus.CAPTURED,
        escrow.payment.order_id or command.order_id,
        command.payment_id,
        command.amount_minor,
        gateway_fee_minor=command.gateway_fee_minor,
        gateway_tax_minor=command.gateway_tax_minor,
    )
    is_late = escrow.status is Status.CANCELLED
    parts = tuple(
        replace(p, held_minor=p.amount_minor, status=p.status if is_late else Status.HELD)
        for p in escrow.parts
    )
    return step(
        escrow,
        replace(escrow, payment=payment, parts=parts),
        now_us,
        EventType.PAYMENT_CAPTURED,
        caller,
        payment_status=PaymentStatus.CAPTURED,
        data={"payment_id": command.payment_id} | ({"late": True} if is_late else {}),
    )


def _unwanted(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int, why: str
) -> Event:
    surplus = Surplus(command.payment_id, command.amount_minor, command.currency, why)
    attention = (
        f"Payment {command.payment_id} of {command.amount_minor} {command.currency} is being"
        f" refunded: {why}."
    )
    after = replace(
        escrow,
        surplus=(*escrow.surplus, surplus),
        attention=attention,
        attention_code=Attention.SURPLUS_PAYMENT,
    )
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


def _authorized(
    escrow: Escrow, command: c.ReportPayment, caller: Caller, now_us: int
) -> Event | None:
    is_known = escrow.payment.status is PaymentStatus.AUTHORIZED
    if is_known or command.amount_minor != escrow.amount_minor:
        return (
            None  # The amount is wrong. It is not captured, and the provider returns it by itself.
        )
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
    if part.on_hold_minor:
        return None
    part = replace(part, on_hold_minor=command.amount_minor)
    return step(
        escrow,
        replace(escrow.with_part(part), **_rest(escrow)),
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
    is_whole = escrow.payment.status is PaymentStatus.REFUNDED
    if command.payment_id != escrow.payment.payment_id or is_whole:
        return None
    if escrow.status is Status.CANCELLED and command.amount_minor == escrow.held_minor:
        return _refunded(escrow, escrow.parts, command, caller, now_us)
    part = None if command.part_id is None else escrow.part(command.part_id)
    if part is None or part.settlement is None or part.status is not Status.SETTLING:
        return _foreign_refund(escrow, command, caller, now_us)
    if part.refunded_minor or command.amount_minor != part.settlement.refund_minor:
        return _foreign_refund(escrow, command, caller, now_us)
    return _refunded(escrow, (part,), command, caller, now_us)


def _refunded(
    escrow: Escrow, parts: tuple[Part, ...], command: c.ReportRefund, caller: Caller, now_us: int
) -> Event:
    after = escrow
    for part in parts:
        amount = part.settlement.refund_minor if part.settlement else part.held_minor
        kept = part.settlement.transfer_minor if part.settlement else 0
        after = after.with_part(
            replace(
                part,
                held_minor=part.held_minor - amount,
                refunded_minor=amount,
                # The transfer was reversed before the refund, so nothing of it is on hold.
                on_hold_minor=min(part.on_hold_minor, kept),
            )
        )
    refunded = escrow.payment.refunded_minor + command.amount_minor
    is_all = refunded == escrow.payment.amount_minor
    status = PaymentStatus.REFUNDED if is_all else PaymentStatus.PARTIALLY_REFUNDED
    payment = replace(escrow.payment, status=status, refunded_minor=refunded)
    return step(
        escrow,
        replace(after, payment=payment),
        now_us,
        EventType.PAYMENT_REFUNDED,
        caller,
        payment_status=status,
        part_id=parts[0].part_id if len(parts) == 1 else "",
        data={"refund_id": command.refund_id, "amount_minor": command.amount_minor},
    )


def _surplus_returned(
    escrow: Escrow, surplus: Surplus, command: c.ReportRefund, caller: Caller, now_us: int
) -> Event | None:
    if surplus.is_returned:
        return None
    done = replace(surplus, refunded_minor=surplus.refunded_minor + command.amount_minor)
    rest = tuple(done if s is surplus else s for s in escrow.surplus)
    after = replace(escrow, surplus=rest)
    return step(
        escrow,
        replace(after, **_rest(after)),
        now_us,
        EventType.PAYMENT_REFUNDED,
        caller,
        data={
            "refund_id": command.refund_id,
            "payment_id": command.payment_id,
            "amount_minor": command.amount_minor,
            "surplus": True,
        },
    )


def _rest(escrow: Escrow) -> dict[str, str]:
    """Answer the attention that is left after a step of settlement: bank disputes and surplus."""
    is_open = escrow.bank_disputes or any(not s.is_returned for s in escrow.surplus)
    if is_open:
        return {"attention": escrow.attention, "attention_code": escrow.attention_code}
    return {"attention": "", "attention_code": ""}


def _foreign_refund(
    escrow: Escrow, command: c.ReportRefund, caller: Caller, now_us: int
) -> Event | None:
    return _attention(
        escrow,
        Attention.FOREIGN_REFUND,
        f"Refund {command.refund_id} of {command.amount_minor} {escrow.currency} was not asked"
        " for by Holdfast: the books and the payment provider differ by it.",
        caller,
        now_us,
    )


def _attention(
    escrow: Escrow, code: Attention, attention: str, caller: Caller, now_us: int
) -> Event | None:
    if escrow.attention == attention:
        return None
    return step(
        escrow,
        replace(escrow, attention=attention, attention_code=code),
        now_us,
        EventType.ATTENTION_RAISED,
        caller,
        data={"attention": attention},
    )


# The tails of `payment.dispute.*` that leave the money where it is (RZP/webhooks/disputes.md).
_ENDED = frozenset({"won", "closed"})


def bank_dispute_reported(
    escrow: Escrow, command: c.ReportBankDispute, caller: Caller, now_us: int
) -> Event | None:
    is_open = command.dispute_id in escrow.bank_disputes
    is_lost = command.phase == "lost"
    # A lost dispute stays lost, whatever is reported before or after.
    is_over = command.dispute_id in escrow.lost_bank_disputes or (
        command.dispute_id in escrow.ended_bank_disputes and not is_lost
    )
    is_surplus = any(s.payment_id == command.payment_id for s in escrow.surplus)
    is_paid = escrow.payment.is_captured and escrow.payment.payment_id != command.payment_id
    # A dispute that is already open also ends if its payment turned out to be surplus.
    if is_over or ((is_surplus or is_paid) and not is_open):
        return None
    rest, ended, attention = escrow.bank_disputes, escrow.ended_bank_disputes, escrow.attention
    lost, code = escrow.lost_bank_disputes, escrow.attention_code
    if command.phase in _ENDED:
        rest = tuple(d for d in rest if d != command.dispute_id)
        ended = tuple(sorted((*ended, command.dispute_id)))
        if is_open and not rest:
            attention, code = "", ""
    else:
        rest = rest if is_open else tuple(sorted((*rest, command.dispute_id)))
        ended = tuple(d for d in ended if d != command.dispute_id)
        lost = tuple(sorted((*lost, command.dispute_id))) if is_lost else lost
        verb = "has lost" if is_lost else "faces"
        attention = (
            f"Payment {command.payment_id} {verb} the bank's dispute {command.dispute_id} of"
            f" {command.amount_minor} {escrow.currency}; nothing is released meanwhile."
        )
        code = Attention.BANK_DISPUTE
        # An open dispute keeps what was reported first, because phases arrive in any order. Only
        # `lost` changes it.
        if is_open and not is_lost:
            return None
    return step(
        escrow,
        replace(
            escrow,
            bank_disputes=rest,
            ended_bank_disputes=ended,
            lost_bank_disputes=lost,
            attention=attention,
            attention_code=code,
        ),
        now_us,
        EventType.ATTENTION_RAISED,
        caller,
        data={"dispute_id": command.dispute_id, "phase": command.phase, "attention": attention},
    )


def settlement_completed(
    escrow: Escrow, part: Part, command: c.CompleteSettlement, caller: Caller, now_us: int
) -> Event | None:
    settlement = part.settlement
    assert settlement is not None, "a settling part has its settlement"
    if part.refunded_minor != settlement.refund_minor:
        return None  # The refund is not reported yet; settlement looks again.
    if settlement.release_minor and settlement.refund_minor:
        status = Status.SPLIT
    else:
        status = Status.RELEASED if settlement.release_minor else Status.REFUNDED
    done = replace(
        part,
        status=status,
        held_minor=0,
        released_minor=settlement.transfer_minor,
        fee_minor=settlement.fee_minor,
        on_hold_minor=0,
        settlement=replace(settlement, complete_time_us=now_us),
    )
    return step(
        escrow,
        replace(escrow.with_part(done), **_rest(escrow)),
        now_us,
        EventType.SETTLEMENT_COMPLETED,
        caller,
        part_id=part.part_id,
    )


def settlement_failed(
    escrow: Escrow, command: c.FailSettlement, caller: Caller, now_us: int
) -> Event | None:
    if escrow.attention == command.problem:
        return None
    is_settling = any(p.status is Status.SETTLING for p in escrow.parts)
    return step(
        escrow,
        replace(escrow, attention=command.problem, attention_code=command.code),
        now_us,
        EventType.SETTLEMENT_FAILED if is_settling else EventType.ATTENTION_RAISED,
        caller,
        part_id=command.part_id,
        data={"attention": command.problem},
    )
