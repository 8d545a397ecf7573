"""Refunds: each is made once, under a key. One that somebody made by hand counts too. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.law import command as c
from core.law.escrow import Escrow
from core.razorpay import Refund
from core.settlement.act import Found, Repay, Step, Stuck, Wait, is_alive, must_wait, refunds_of
from core.settlement.report import WHOLE, Report, adoption_report, refund_report


def refund(escrow: Escrow, have: Found, owing: int, part_id: str) -> Iterator[Step]:
    """Refund what a part still owes; refunds by hand count as shares of it."""
    ours = [r for r in refunds_of(part_id, have) if not _is_known(escrow, r)]
    if not any(is_alive(r) for r in ours):
        by_hand = _by_hand(escrow, have, owing)
        if by_hand is not None:
            is_done = by_hand.status == "processed"
            yield adoption_report(by_hand, part_id) if is_done else Wait()
            return
    yield from _repay(escrow, have, ours, owing, part_id, f"{escrow.escrow_id}-{part_id}")


def _is_known(escrow: Escrow, given: Refund) -> bool:
    return any(one.refund_id == given.refund_id for one in escrow.payment.refunds)


def _by_hand(escrow: Escrow, have: Found, owing: int) -> Refund | None:
    """Answer a refund that is nobody's, and that fits into what is owing."""
    for one in have.refunds:
        is_ours = "part" in one.notes or _is_known(escrow, one)
        if is_alive(one) and not is_ours and one.amount_minor <= owing:
            return one
    return None


def refund_all(
    escrow: Escrow, have: Found, amount: int, key: str, *, subject: str = ""
) -> Iterator[Step]:
    """Refund a payment that is not wanted, unless that was done, whoever asked for it."""
    ours = [
        r
        for r in have.refunds
        if not _is_known(escrow, r) and (r.notes.get("part") == WHOLE or r.amount_minor == amount)
    ]
    is_held = not subject
    if is_held and not any(is_alive(r) for r in ours):
        by_hand = _by_hand(escrow, have, amount)
        if by_hand is not None:
            yield adoption_report(by_hand, "") if by_hand.status == "processed" else Wait()
            return
    for step in _repay(escrow, have, ours, amount, "", key):
        if isinstance(step, Report):
            # The refund's webhook may have come before the payment's, and have used its cause.
            step = replace(step, cause=step.cause.replace("razorpay:", "settle:", 1))
        elif isinstance(step, Stuck):
            step = replace(step, subject=subject)
        yield step


def _repay(
    escrow: Escrow, have: Found, ours: Sequence[Refund], amount: int, part_id: str, key: str
) -> Iterator[Step]:
    failed = sum(not is_alive(r) for r in ours)
    made = [r for r in ours if is_alive(r)]
    if not made:
        problem = f"Razorpay failed {failed} refunds to the buyer."
        if must_wait(escrow, failed, problem):
            yield Stuck(part_id, problem)
            return
        yield Repay(have.payment.payment_id, part_id, amount, f"{key}-{failed}")
    elif any(r.status == "pending" for r in made):
        yield Wait()
    else:
        yield _report(made[0], made[0].notes.get("escrow_id", ""))


def _report(made: Refund, escrow_id: str) -> Report:
    report = refund_report(made, escrow_id)
    assert isinstance(report.command, c.ReportRefund)
    return report
