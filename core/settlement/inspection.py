"""What Razorpay has of an escrow, beside what the record says: one line for each entity. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.law.escrow import Escrow
from core.law.part import Part
from core.law.status import PaymentStatus, Status
from core.law.words import money
from core.razorpay import Order, Payment, Refund, Transfer
from core.settlement.act import Found
from core.settlement.report import WHOLE


class Kind(enum.StrEnum):
    ORDER = "ORDER"
    PAYMENT = "PAYMENT"
    TRANSFER = "TRANSFER"
    REVERSAL = "REVERSAL"
    REFUND = "REFUND"


class Verdict(enum.StrEnum):
    AGREES = "AGREES"
    DIFFERS = "DIFFERS"
    NOT_SEEN = "NOT_SEEN"
    NOT_RECORDED = "NOT_RECORDED"


@dataclass(frozen=True, slots=True)
class Line:
    """One entity of Razorpay's; an amount is None on the side that does not have it."""

    kind: Kind
    entity_id: str
    currency: str
    found_minor: int | None
    recorded_minor: int | None
    verdict: Verdict
    message: str
    parent_id: str = ""
    status: str = ""
    part_id: str = ""
    account_id: str = ""
    on_hold: bool = False


@dataclass(frozen=True, slots=True)
class Listings:
    """What Razorpay answers, by id; None for what it does not know."""

    orders: Mapping[str, Order | None]
    payments: Mapping[str, Found | None]


def lines(escrow: Escrow, have: Listings) -> list[Line]:
    """Compare. Pure."""
    found = list(_orders(escrow, have.orders))
    for payment_id, one in have.payments.items():
        found.append(_payment(escrow, payment_id, one.payment if one else None))
        found += _transfers(escrow, payment_id, one)
        found += _refunds(escrow, payment_id, one)
    return found


def recorded_payments(escrow: Escrow) -> list[str]:
    mine = escrow.payment.payment_id
    return [*([mine] if mine else []), *(one.payment_id for one in escrow.surplus)]


def _orders(escrow: Escrow, orders: Mapping[str, Order | None]) -> Iterator[Line]:
    for order_id, order in orders.items():
        amount = order.amount_minor if order else None
        yield Line(
            Kind.ORDER,
            order_id,
            escrow.currency,
            amount,
            escrow.amount_minor,
            *_judge(amount, escrow.amount_minor, escrow.currency),
            status=order.status if order else "",
        )


def _payment(escrow: Escrow, payment_id: str, payment: Payment | None) -> Line:
    found = payment.amount_minor if payment else None
    recorded, currency = _recorded_payment(escrow, payment_id)
    verdict, message = _judge(found, recorded, currency)
    if payment is not None:
        verdict, message = _payment_verdict(escrow, payment, recorded, verdict, message)
    return Line(
        Kind.PAYMENT,
        payment_id,
        payment.currency if payment else currency,
        found,
        recorded,
        verdict,
        message,
        parent_id=payment.order_id if payment else "",
        status=payment.status if payment else "",
    )


def _recorded_payment(escrow: Escrow, payment_id: str) -> tuple[int | None, str]:
    for one in escrow.surplus:
        if one.payment_id == payment_id:
            return one.amount_minor + one.customer_fee_minor, one.currency
    mine = escrow.payment
    if mine.payment_id == payment_id and mine.is_captured:
        return mine.amount_minor + mine.customer_fee_minor, escrow.currency
    return None, escrow.currency


def _payment_verdict(
    escrow: Escrow, payment: Payment, recorded: int | None, verdict: Verdict, message: str
) -> tuple[Verdict, str]:
    has_money = payment.status in ("captured", "refunded")
    if recorded is None and not has_money:
        mine = escrow.payment
        is_told = mine.payment_id == payment.payment_id and mine.status is PaymentStatus.AUTHORIZED
        if payment.status == "authorized" and not is_told:
            return Verdict.NOT_RECORDED, "Authorized at Razorpay; the record does not say so yet."
        return Verdict.AGREES, "An attempt that has brought no money so far."
    if recorded is not None and not has_money:
        return Verdict.DIFFERS, f"Recorded as captured; Razorpay says {payment.status}."
    return verdict, message


def _transfers(escrow: Escrow, payment_id: str, have: Found | None) -> Iterator[Line]:
    is_main = payment_id == escrow.payment.payment_id
    recorded = _moves(escrow) if is_main else {}
    for transfer in have.transfers if have else ():
        part = _part_of(escrow, transfer.notes)
        yield _transfer(part, transfer, recorded.pop(transfer.transfer_id, (None, ""))[0])
        for reversal in have.reversals.get(transfer.transfer_id, ()) if have else ():
            amount = recorded.pop(reversal.reversal_id, (None, ""))[0]
            yield Line(
                Kind.REVERSAL,
                reversal.reversal_id,
                transfer.currency,
                reversal.amount_minor,
                amount,
                *_judge(reversal.amount_minor, amount, transfer.currency),
                parent_id=transfer.transfer_id,
                part_id=part.part_id if part else "",
            )
    for entity_id, (amount, part_id) in recorded.items():
        kind = Kind.TRANSFER if entity_id.startswith("trf_") else Kind.REVERSAL
        verdict, message = _judge(None, amount, escrow.currency)
        yield Line(
            kind,
            entity_id,
            escrow.currency,
            None,
            amount,
            verdict,
            message,
            parent_id=payment_id if kind is Kind.TRANSFER else "",
            part_id=part_id,
        )


def _moves(escrow: Escrow) -> dict[str, tuple[int | None, str]]:
    """Answer what the record has of transfers and reversals, and for which part, by id."""
    return {
        move.entity_id: (abs(move.amount_minor), part.part_id)
        for part in escrow.parts
        for move in part.moves
    }


def _part_of(escrow: Escrow, notes: Mapping[str, str]) -> Part | None:
    if notes.get("escrow_id") != escrow.escrow_id or "part" not in notes:
        return None
    return escrow.part("" if notes["part"] == WHOLE else notes["part"])


def _transfer(part: Part | None, transfer: Transfer, recorded: int | None) -> Line:
    verdict, message = _judge(transfer.amount_minor, recorded, transfer.currency)
    if recorded is None:
        verdict, message = _unrecorded_transfer(part, transfer, message)
    elif verdict is Verdict.AGREES and part is not None:
        verdict, message = _hold_verdict(part, transfer)
    return Line(
        Kind.TRANSFER,
        transfer.transfer_id,
        transfer.currency,
        transfer.amount_minor,
        recorded,
        verdict,
        message,
        parent_id=transfer.payment_id,
        status=transfer.status,
        part_id=part.part_id if part else "",
        account_id=transfer.account_id,
        on_hold=transfer.on_hold,
    )


def _unrecorded_transfer(
    part: Part | None, transfer: Transfer, message: str
) -> tuple[Verdict, str]:
    if transfer.status == "failed":
        why = f": {transfer.error_reason}" if transfer.error_reason else ""
        return Verdict.AGREES, f"Failed at Razorpay{why}; nothing moved."
    if part is None:
        return Verdict.NOT_RECORDED, "Not made by Holdfast."
    return Verdict.NOT_RECORDED, message


def _hold_verdict(part: Part, transfer: Transfer) -> tuple[Verdict, str]:
    """Say whether a transfer that stands is kept back exactly as long as it should be."""
    standing = transfer.amount_minor - transfer.reversed_minor
    is_paid = part.status in (Status.RELEASED, Status.SPLIT)
    if standing and part.status is not Status.SETTLING and transfer.on_hold == is_paid:
        state = "Still on hold" if is_paid else "No longer on hold"
        return Verdict.DIFFERS, f"{state} at Razorpay."
    return Verdict.AGREES, "Both say the same."


def _refunds(escrow: Escrow, payment_id: str, have: Found | None) -> Iterator[Line]:
    recorded = _recorded_refunds(escrow, payment_id)
    for refund in have.refunds if have else ():
        amount = recorded.pop(refund.refund_id, None)
        verdict, message = _judge(refund.amount_minor, amount, refund.currency)
        if amount is None:
            verdict, message = _unrecorded_refund(refund, message)
        part = _part_of(escrow, refund.notes)
        yield Line(
            Kind.REFUND,
            refund.refund_id,
            refund.currency,
            refund.amount_minor,
            amount,
            verdict,
            message,
            parent_id=payment_id,
            status=refund.status,
            part_id=part.part_id if part else "",
        )
    for refund_id, amount in recorded.items():
        verdict, message = _judge(None, amount, escrow.currency)
        yield Line(
            Kind.REFUND,
            refund_id,
            escrow.currency,
            None,
            amount,
            verdict,
            message,
            parent_id=payment_id,
        )


def _recorded_refunds(escrow: Escrow, payment_id: str) -> dict[str, int]:
    if payment_id == escrow.payment.payment_id:
        return {one.refund_id: one.amount_minor for one in escrow.payment.refunds}
    made = [one.refund for one in escrow.surplus if one.payment_id == payment_id]
    return {one.refund_id: one.amount_minor for one in made if one is not None}


def _unrecorded_refund(refund: Refund, message: str) -> tuple[Verdict, str]:
    if refund.status == "failed":
        return Verdict.AGREES, "Failed at Razorpay; nothing moved."
    if refund.status == "pending":
        return Verdict.NOT_RECORDED, "Under way at Razorpay; it is recorded when it is processed."
    return Verdict.NOT_RECORDED, message


def _judge(found: int | None, recorded: int | None, currency: str) -> tuple[Verdict, str]:
    if found is None:
        return Verdict.NOT_SEEN, "Recorded, and Razorpay does not show it, or not yet."
    if recorded is None:
        return Verdict.NOT_RECORDED, "Razorpay has it; the record does not say so, or not yet."
    if found == recorded:
        return Verdict.AGREES, "Both say the same."
    gap = money(abs(found - recorded), currency)
    return Verdict.DIFFERS, f"Razorpay has {gap} {'more' if found > recorded else 'less'}."
