"""Reads all that Razorpay has about the payments of an escrow."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.law.escrow import Escrow
from core.razorpay import Gateway, GatewayRefused, Order, Payment, Reversal
from core.settlement.act import Found
from core.settlement.step import payments_of


async def look_at(gateway: Gateway, escrow: Escrow) -> dict[str, Found]:
    """Fetch each payment with its transfers, their reversals, and its refunds, by payment id.

    Raises GatewayError.
    """
    found = await asyncio.gather(*(_look(gateway, escrow, p) for p in payments_of(escrow)))
    return {one.payment.payment_id: one for one in found}


async def order_of(gateway: Gateway, escrow: Escrow, payment: Payment) -> Order | None:
    """Fetch the order of a payment whose amount does not tell whether it pays the escrow.

    None, too, for one that Razorpay does not know. Raises GatewayError.
    """
    if not needs_order(escrow, payment):
        return None
    try:
        return await gateway.fetch_order(payment.order_id)
    except GatewayRefused:
        return None


def needs_order(escrow: Escrow, payment: Payment) -> bool:
    """Say whether only its order tells what a payment is: a fee on top of it, or a wrong amount."""
    is_clear = payment.amount_minor == escrow.amount_minor or payment.status != "captured"
    return not is_clear and bool(payment.order_id)


async def _look(gateway: Gateway, escrow: Escrow, payment_id: str) -> Found:
    found = await look_at_payment(gateway, payment_id)
    is_known = escrow.payment.is_captured or payment_id != escrow.payment.payment_id
    order = None if is_known else await order_of(gateway, escrow, found.payment)
    return replace(found, order=order)


async def look_at_payment(gateway: Gateway, payment_id: str) -> Found:
    """Fetch a payment with all that hangs on it, but its order. Raises GatewayError."""
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
