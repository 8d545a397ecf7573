"""Razorpay, made safe for asyncio: the gateway, what it answers, how it fails, and its signatures.

Knows nothing of escrows, decides nothing and repeats nothing: the caller owns every retry.
"""

from core.razorpay.entity import (
    Dispute,
    Order,
    Payment,
    Refund,
    Reversal,
    Transfer,
    parse_dispute,
    parse_order,
    parse_payment,
    parse_refund,
    parse_reversal,
    parse_transfer,
)
from core.razorpay.gateway import TIMEOUT_S, Gateway
from core.razorpay.outcome import GatewayError, GatewayRefused, GatewayUnavailable, OutcomeUnknown
from core.razorpay.recon import ReconLine, Settlement, parse_recon_line, parse_settlement
from core.razorpay.signature import verify_checkout, verify_webhook

__all__ = [
    "TIMEOUT_S",
    "Dispute",
    "Gateway",
    "GatewayError",
    "GatewayRefused",
    "GatewayUnavailable",
    "Order",
    "OutcomeUnknown",
    "Payment",
    "ReconLine",
    "Refund",
    "Reversal",
    "Settlement",
    "Transfer",
    "parse_dispute",
    "parse_order",
    "parse_payment",
    "parse_recon_line",
    "parse_refund",
    "parse_reversal",
    "parse_settlement",
    "parse_transfer",
    "verify_checkout",
    "verify_webhook",
]
