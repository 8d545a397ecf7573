"""Amounts: whole minor units of one currency. Never a float, never two currencies in one sum."""

from __future__ import annotations

from collections.abc import Sequence

# The only currency that the provider transfers (RZP/payments/route, "INR only").
CURRENCY = "INR"

# The least amount: the provider's minimum for orders, transfers, reversals and refunds
# (RZP/api/orders/create.md).
MIN_AMOUNT_MINOR = 100

# The largest amount: a sum of many such still fits a signed 64-bit column and a JavaScript number.
MAX_AMOUNT_MINOR = 10**12

BPS = 10_000


def fee_minor(release_minor: int, fee_bps: int) -> int:
    """Answer the platform's fee on a release, rounded down to a whole minor unit.

    The fee gives way where the seller's transfer would fall below the provider's minimum.
    """
    if release_minor < MIN_AMOUNT_MINOR:
        return 0
    return min(release_minor * fee_bps // BPS, release_minor - MIN_AMOUNT_MINOR)


def is_movable(amount_minor: int) -> bool:
    """Whether the provider can move this amount: nothing at all, or at least its minimum."""
    return amount_minor == 0 or MIN_AMOUNT_MINOR <= amount_minor <= MAX_AMOUNT_MINOR


def split_minor(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Divide a total by weights, largest remainder first, so that the shares add up to it."""
    whole = sum(weights)
    if whole <= 0 or total_minor < 0 or min(weights) < 0:
        raise ValueError("split_minor needs a total of 0 or more and weights with a positive sum")
    shares = [total_minor * weight // whole for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda i: total_minor * weights[i] % whole, reverse=True
    )
    for i in by_remainder[: total_minor - sum(shares)]:
        shares[i] += 1
    return shares
