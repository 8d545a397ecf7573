"""The reports: what Razorpay says, as a command to the law with its cause. Pure.

Webhook, callback, settlement and reconciliation make the same report with the same cause. The first
one counts, and the others change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.law import command as c
from core.law.command import Command
from core.razorpay import Dispute, Payment, Refund

WHOLE = "whole"
"""The tag of a part that is all of its escrow."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the law what Razorpay has done, under the cause that makes it count once."""

    command: Command
    cause: str


def payment_report(payment: Payment) -> Report:
    """Turn what Razorpay says of a payment into the command and its cause."""
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
    )
    return Report(command, f"razorpay:{payment.payment_id}:{status}")


def refund_report(refund: Refund, escrow_id: str) -> Report:
    """Turn a processed refund into the command and its cause."""
    part = refund.notes.get("part", "") if refund.notes.get("escrow_id") == escrow_id else ""
    part_id = None if not part else part.removeprefix(WHOLE)
    command = c.ReportRefund(refund.refund_id, refund.payment_id, refund.amount_minor, part_id)
    return Report(command, f"razorpay:{refund.refund_id}:processed")


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
    )
    return Report(command, f"razorpay:{dispute.dispute_id}:{phase}")


def tags(escrow_id: str, part_id: str) -> dict[str, str]:
    """The notes by which a transfer or refund at Razorpay is found again as ours."""
    return {"escrow_id": escrow_id, "part": part_id or WHOLE}
