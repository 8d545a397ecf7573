"""Reads all that Razorpay has about the payments of an escrow."""

from __future__ import annotations

import asyncio

from core.law.escrow import Escrow
from core.razorpay import Gateway, Reversal
from core.settlement.step import Found, payments_of


async def look_at(gateway: Gateway, escrow: Escrow) -> dict[str, Found]:
    """Fetch each payment with its transfers, their reversals, and its refunds, by payment id.

    Raises GatewayError.
    """
    found = await asyncio.gather(*(_look(gateway, p) for p in payments_of(escrow)))
    return {one.payment.payment_id: one for one in found}


async def _look(gateway: Gateway, payment_id: str) -> Found:
    payment, transfers, refunds = await asyncio.gather(
        gateway.fetch_payment(payment_id),
        gateway.transfers(payment_id),
        gateway.refunds(payment_id),
    )
    reversals: dict[str, list[Reversal]] = {}
    for transfer in transfers:
        if transfer.reversed_minor:
            reversals[transfer.transfer_id] = await gateway.reversals(transfer.transfer_id)
    return Found(payment, transfers, reversals, refunds)
