"""The reports: what Razorpay says, as a command to the law with its cause. Pure.

Webhook, callback, settlement and reconciliation make the same report with the same cause. The first
one counts, and the others change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.law import command as c
from core.law.command import Command
from core.razorpay import Dispute, Order, Payment, Refund

WHOLE = "whole"
"""The tag of a part that is all of its escrow."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the law what Razorpay has done, under the cause that makes it count once.

    An exclusive one counts on what has *not* been done: it is told only under settlement's lease,
    and while no call may be on its way.
    """

    command: Command
    cause: str
    is_exclusive: bool = False


def payment_report(payment: Payment, order: Order | None = None) -> Report:
    """Turn what Razorpay says of a payment into the command and its cause.

    The order tells whether a payment of another amount pays it in full.
    """
    status = payment.status
    if status == "refunded":
        # The fee is known once a payment was captured. Without a fee the authorization lapsed.
        status = "failed" if payment.fee_minor is None else "captured"
    command = c.ReportPayment(
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        status=status,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        gateway_fee_minor=payment.fee_minor or 0,
        gateway_tax_minor=payment.tax_minor or 0,
        error_reason=payment.error_reason,
        order_amount_minor=order.amount_minor if order else 0,
        order_is_paid=order is not None and order.status == "paid",
        offer_id=payment.offer_id,
    )
    return Report(command, f"razorpay:{payment.payment_id}:{status}")


def refund_report(refund: Refund, escrow_id: str) -> Report:
    """Turn a processed refund into the command and its cause."""
    part = refund.notes.get("part", "") if refund.notes.get("escrow_id") == escrow_id else ""
    part_id = None if not part else part.removeprefix(WHOLE)
    return Report(_refund_command(refund, part_id), f"razorpay:{refund.refund_id}:processed")


def adoption_report(refund: Refund, part_id: str) -> Report:
    """Turn a refund that somebody made by hand into one of a part that is to be refunded."""
    command = replace(_refund_command(refund, part_id), is_adopted=True)
    return Report(command, f"settle:{refund.refund_id}:adopted", is_exclusive=True)


def _refund_command(refund: Refund, part_id: str | None) -> c.ReportRefund:
    return c.ReportRefund(
        refund.refund_id,
        refund.payment_id,
        refund.amount_minor,
        part_id,
        fee_minor=refund.fee_minor,
        tax_minor=refund.tax_minor,
        bank_reference=refund.bank_reference,
    )


def dispute_report(dispute: Dispute, phase: str = "") -> Report:
    """Turn a bank's dispute into the command and its cause.

    `phase` is that of a webhook. Without it the status tells, in the words of the webhooks: an
    `open` dispute has been `created` (RZP/webhooks/disputes.md).
    """
    phase = phase or {"open": "created"}.get(dispute.status, dispute.status)
    command = c.ReportBankDispute(
        dispute_id=dispute.dispute_id,
        payment_id=dispute.payment_id,
        phase=phase,
        amount_minor=dispute.amount_minor,
        reason=dispute.reason_code,
        deducted_minor=dispute.deducted_minor,
    )
    cause = f"razorpay:{dispute.dispute_id}:{phase}"
    # The phase may be known before Razorpay takes anything for it.
    taken = dispute.deducted_minor
    return Report(command, f"{cause}:{taken}" if taken else cause)


def tags(escrow_id: str, part_id: str) -> dict[str, str]:
    """The notes by which a transfer or refund at Razorpay is found again as ours."""
    return {"escrow_id": escrow_id, "part": part_id or WHOLE}
