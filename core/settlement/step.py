"""The comparison: what Razorpay has, what the escrow wants, and the one next step. Pure.

The order: what a lost chargeback takes comes first. Then every seller's transfer is on hold before
the first refund, because Razorpay takes no transfer once a refund has begun. Then the excess is
reversed, then the refund is made, then the hold ends. Only Razorpay's listings say what is done.
That we asked proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.law.escrow import Escrow
from core.law.status import PaymentStatus, Status
from core.settlement import bank, hold, repay
from core.settlement.act import (
    Act,
    Blocked,
    Capture,
    Found,
    Step,
    Stuck,
    Wait,
)
from core.settlement.report import payment_report

_ORDER = (Wait, Stuck, Blocked)


def next_step(escrow: Escrow, found: Mapping[str, Found], account_id: str | None) -> Step | None:
    """Answer the one next step, or None when Razorpay is where the escrow wants it.

    `found` has the listings of each payment of `payments_of(escrow)`; `account_id` is the seller's
    linked account, if there is one. What can be done goes before what must be waited for.
    """
    rest: list[Step] = []
    for step in _steps(escrow, found, account_id):
        if isinstance(step, Act):
            return step
        rest.append(step)
    return min(rest, key=lambda step: _ORDER.index(type(step)), default=None)


def payments_of(escrow: Escrow) -> list[str]:
    """Answer the payments that have to be looked up."""
    ids = [s.payment_id for s in escrow.surplus if not s.is_returned]
    is_wanted = escrow.payment.is_captured or escrow.payment.status is PaymentStatus.AUTHORIZED
    return [*ids, escrow.payment.payment_id] if is_wanted else ids


def _steps(escrow: Escrow, found: Mapping[str, Found], account_id: str | None) -> Iterator[Step]:
    for surplus in escrow.surplus:
        if not surplus.is_returned:
            paid = found[surplus.payment_id]
            by_bank = list(bank.of_surplus(escrow, surplus, paid))
            yield from by_bank
            if not by_bank:
                yield from repay.refund_surplus(escrow, surplus, paid)
    yield from bank.losses(escrow)
    have = found.get(escrow.payment.payment_id)
    if have is None:
        return
    if escrow.status is Status.INITIATED:
        yield _capture(have)
        return
    yield from bank.of_payment(escrow, have)
    if escrow.status is not Status.CANCELLED:
        yield from _settle(escrow, have, account_id)
    elif escrow.held_minor:
        yield from repay.refund_late(escrow, have)


def _capture(have: Found) -> Step:
    payment = have.payment
    if payment.status == "authorized":
        # All of it, also the fee that the customer bears: Razorpay captures nothing less.
        return Capture(payment.payment_id, payment.amount_minor)
    report = payment_report(payment, have.order)
    return report if payment.status in ("captured", "refunded") else Wait()


def _settle(escrow: Escrow, have: Found, account_id: str | None) -> Iterator[Step]:
    open_parts = [
        p for p in escrow.parts if p.status in (Status.HELD, Status.DISPUTED, Status.SETTLING)
    ]
    moving: set[str] = set()
    for part in open_parts:
        for step in hold.hold(escrow, part, have, account_id):
            moving.add(part.part_id)
            yield step
    for part in open_parts:
        settlement = part.settlement
        if settlement is None:
            continue
        if part.owing_minor > 0:
            if not moving:
                yield from repay.refund(escrow, part, settlement, have)
            elif settlement.transfer_minor == 0 or not account_id:
                yield Stuck(
                    part.part_id,
                    "The refund waits: Razorpay takes no transfer once a refund has begun, and a"
                    " transfer to the seller is still to be made.",
                )
        elif not moving or (part.part_id not in moving and not settlement.transfer_minor):
            yield hold.release(escrow, part, settlement, have)
