"""Checkout: makes the order that a buyer pays, and reads what Checkout's callback claims.

A callback is believed only after Razorpay itself has been asked for the payment.
"""

from __future__ import annotations

from core.errors import Reason, Refusal
from core.law.escrow import Escrow
from core.razorpay import Gateway
from core.settlement.look import order_of
from core.settlement.refusal import answering
from core.settlement.report import Report, payment_report


class Checkout:
    """What the buyer's browser needs from Razorpay before and after the payment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def key_id(self) -> str:
        """The public half of Razorpay's API key, which Checkout shows."""
        return self._gateway.key_id

    async def make_order(self, escrow: Escrow) -> str:
        """Make the order of an escrow, or find the one that was made before; answers its id.

        The receipt is unique for each order that an escrow needs, so a repeated call makes no
        second one. Raises Refusal GATEWAY_REFUSED or GATEWAY_UNAVAILABLE.
        """
        receipt = escrow.escrow_id
        if escrow.spent_orders:
            receipt = f"{escrow.escrow_id}-{escrow.spent_orders}"
        with answering():
            order = await self._gateway.create_order(
                receipt=receipt,
                amount_minor=escrow.amount_minor,
                currency=escrow.currency,
                notes={"escrow_id": escrow.escrow_id},
            )
        return order.order_id

    async def payment(
        self, escrow: Escrow, order_id: str, payment_id: str, signature: str
    ) -> Report:
        """Check a callback and answer what Razorpay says of its payment.

        Raises Refusal SIGNATURE_INVALID, ORDER_MISMATCH, GATEWAY_REFUSED or GATEWAY_UNAVAILABLE.
        """
        if not self._gateway.verify_checkout(order_id, payment_id, signature):
            raise Refusal(
                Reason.SIGNATURE_INVALID,
                "signature: does not belong to this order and payment.",
                {"signature": "does not belong to this order and payment"},
            )
        with answering():
            payment = await self._gateway.fetch_payment(payment_id)
            order = await order_of(self._gateway, escrow, payment)
        if payment.order_id != order_id:
            problem = "is not a payment of this order"
            raise Refusal(Reason.ORDER_MISMATCH, f"payment_id: {problem}", {"payment_id": problem})
        return payment_report(payment, order)
