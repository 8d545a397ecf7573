"""Fetches Razorpay's settlement reports for the books, which know no payment provider."""

from __future__ import annotations

from datetime import date

from core.errors import Reason, Refusal
from core.razorpay import Gateway, GatewayError, GatewayRefused, ReconLine, Settlement

__all__ = ["ReconLine", "Settlement", "SettlementReports"]


class SettlementReports:
    """Razorpay's settlement reports. Both calls raise Refusal GATEWAY_UNAVAILABLE."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def lines(self, day: date) -> list[ReconLine]:
        """Fetch what was settled on a day of India."""
        try:
            return await self._gateway.recon(day.year, day.month, day.day)
        except GatewayError as error:
            raise _away(error) from error

    async def settlement(self, settlement_id: str) -> Settlement | None:
        """Fetch a settlement; None where Razorpay does not know it."""
        try:
            return await self._gateway.settlement(settlement_id)
        except GatewayRefused:
            return None
        except GatewayError as error:
            raise _away(error) from error


def _away(error: GatewayError) -> Refusal:
    return Refusal(
        Reason.GATEWAY_UNAVAILABLE, f"Razorpay's settlement report cannot be fetched: {error}"
    )
