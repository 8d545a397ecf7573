"""Compares an escrow with Razorpay's own listings, without changing anything.

Differences are findings, for a person to look at; settlement does not act on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.errors import Reason, Refusal
from core.law.escrow import Escrow
from core.law.part import Part
from core.law.rules import outstanding
from core.law.status import Status
from core.razorpay import Gateway, GatewayError, GatewayRefused
from core.settlement.act import Found
from core.settlement.look import look_at
from core.settlement.report import WHOLE, payment_report

# Escrows that one process compares at the same time; each takes a few calls to Razorpay.
MAX_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up: which check, what was expected and what was found."""

    escrow_id: str
    check: str
    message: str


class Comparer:
    """Fetches what Razorpay has of an escrow and compares it, a few escrows at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def differences(self, escrow: Escrow) -> list[Finding]:
        """Answer where Razorpay and an escrow at rest differ.

        Empty while settlement still has work for the escrow, and before its payment is captured.
        Raises Refusal GATEWAY_UNAVAILABLE.
        """
        if outstanding(escrow) or not escrow.payment.is_captured:
            return []
        try:
            async with self._slots:
                found = await look_at(self._gateway, escrow)
        except GatewayRefused as refusal:
            return [Finding(escrow.escrow_id, "RAZORPAY", f"Razorpay: {refusal.description}")]
        except GatewayError as error:
            raise Refusal(
                Reason.GATEWAY_UNAVAILABLE, "Razorpay does not answer; try again in a moment."
            ) from error
        return compare(escrow, found)


def compare(escrow: Escrow, found: Mapping[str, Found]) -> list[Finding]:
    """Answer where Razorpay and a settled or resting escrow differ; `found` has its payment."""
    have = found.get(escrow.payment.payment_id)
    if have is None:
        return []
    problems = [*_compare_payment(escrow, have)]
    for part in escrow.parts:
        problems += _compare_transfers(escrow, part, have)
    return [Finding(escrow.escrow_id, "RAZORPAY", problem) for problem in problems]


def _compare_payment(escrow: Escrow, have: Found) -> Iterator[str]:
    report = payment_report(have.payment).command
    if have.payment.status not in ("captured", "refunded"):
        yield f"payment {have.payment.payment_id} is {have.payment.status}, not captured"
    paid = escrow.payment.amount_minor + escrow.payment.customer_fee_minor
    if have.payment.amount_minor != paid:
        yield f"the payment is of {have.payment.amount_minor}, not {paid}"
    if getattr(report, "gateway_fee_minor", 0) != escrow.payment.gateway_fee_minor:
        yield "Razorpay's fee is another than the one that was posted"
    refunded = sum(r.amount_minor for r in have.refunds if r.status == "processed")
    if refunded != escrow.payment.refunded_minor:
        yield f"Razorpay has refunded {refunded}, the escrow says {escrow.payment.refunded_minor}"


def _compare_transfers(escrow: Escrow, part: Part, have: Found) -> Iterator[str]:
    tag = {"escrow_id": escrow.escrow_id, "part": part.part_id or WHOLE}
    live = [
        t for t in have.transfers if t.status != "failed" and tag.items() <= dict(t.notes).items()
    ]
    standing = sum(t.amount_minor - t.reversed_minor for t in live)
    is_paid = part.status in (Status.RELEASED, Status.SPLIT)
    wanted = part.released_minor if is_paid else part.on_hold_minor
    if standing != wanted:
        yield f"transfers of {tag['part']} come to {standing}, the escrow says {wanted}"
    for transfer in live:
        if transfer.amount_minor > transfer.reversed_minor and transfer.on_hold == is_paid:
            state = "still on hold" if is_paid else "no longer on hold"
            yield f"transfer {transfer.transfer_id} is {state}"
