"""The platform's fee by the contract's default, and what Razorpay's minimum makes of it."""

FEE_BPS, LEAST_MINOR = 250, 100


def fee_of(release_minor: int) -> int:
    """Rounded down once; it gives way where the transfer would fall below the minimum."""
    return min(release_minor * FEE_BPS // 10_000, max(release_minor - LEAST_MINOR, 0))


def fees_of(amounts: list[int]) -> list[int]:
    """The fee on the whole, divided by amount; what rounding leaves goes to the largest rests."""
    fee, total = fee_of(sum(amounts)), sum(amounts)
    fees = [fee * amount // total for amount in amounts]
    rests = sorted(range(len(amounts)), key=lambda i: -(fee * amounts[i] % total))
    for i in rests[: fee - sum(fees)]:
        fees[i] += 1
    return [min(fee, a - LEAST_MINOR) for fee, a in zip(fees, amounts, strict=True)]


def can_be_split(amount: int, full_fee: int, release: int, *, beside_refund: bool) -> bool:
    """Whether Razorpay can move both shares of a part.

    Beside the refund of another part it makes no transfer anew, so that what is too much of the
    seller's must not be too little to be reversed.
    """
    fee = full_fee if release == amount else fee_of(release)
    excess = amount - full_fee - (release - fee)
    is_too_small = any(0 < share < LEAST_MINOR for share in (release, amount - release))
    return not is_too_small and not (beside_refund and 0 < excess < LEAST_MINOR)
