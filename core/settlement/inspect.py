"""Asks Razorpay what it has of an escrow, for a person who waits. Changes nothing."""

from __future__ import annotations

import asyncio

from core.errors import Reason, Refusal
from core.law.escrow import Escrow
from core.razorpay import Gateway, GatewayRefused, Order
from core.settlement.act import Found
from core.settlement.inspection import Line, Listings, lines, recorded_payments
from core.settlement.look import look_at_payment
from core.settlement.refusal import answering
from core.storage.store import Store

# Payments of one escrow that are looked at.
MAX_PAYMENTS = 20
# Escrows that one process inspects at once; a further one is refused.
MAX_AT_ONCE = 4
# How long Razorpay may take for all of them together: less than the bridge waits for core.
LIMIT_S = 12.0


class Inspector:
    """Asks Razorpay about one escrow, for a person who waits."""

    def __init__(self, store: Store, gateway: Gateway, *, limit_s: float = LIMIT_S) -> None:
        self._store = store
        self._gateway = gateway
        self._limit_s = limit_s
        self._under_way = 0

    async def inspect(self, escrow: Escrow) -> list[Line]:
        """Answer all that Razorpay has of the escrow, beside the record.

        Raises Refusal TOO_MANY_CALLS, GATEWAY_REFUSED, and GATEWAY_UNAVAILABLE where Razorpay does
        not answer in time.
        """
        if self._under_way >= MAX_AT_ONCE:
            text = f"{MAX_AT_ONCE} escrows are being inspected right now; try again in a moment."
            raise Refusal(Reason.TOO_MANY_CALLS, text)
        self._under_way += 1
        try:
            with answering():
                async with asyncio.timeout(self._limit_s):
                    return lines(escrow, await self._listings(escrow))
        finally:
            self._under_way -= 1

    async def _listings(self, escrow: Escrow) -> Listings:
        order_ids = (await self._store.orders_of(escrow.escrow_id))[:MAX_PAYMENTS]
        orders = dict(await asyncio.gather(*(self._order(one) for one in order_ids)))
        known = [o for o, order in orders.items() if order is not None]
        tries = await asyncio.gather(*(self._gateway.payments_of_order(one) for one in known))
        listed = [payment.payment_id for of_order in tries for payment in of_order]
        payment_ids = list(dict.fromkeys([*recorded_payments(escrow), *listed]))[:MAX_PAYMENTS]
        found = await asyncio.gather(*(self._payment(one) for one in payment_ids))
        return Listings(orders, dict(found))

    async def _order(self, order_id: str) -> tuple[str, Order | None]:
        try:
            return order_id, await self._gateway.fetch_order(order_id)
        except GatewayRefused:
            return order_id, None

    async def _payment(self, payment_id: str) -> tuple[str, Found | None]:
        try:
            return payment_id, await look_at_payment(self._gateway, payment_id)
        except GatewayRefused:
            return payment_id, None
