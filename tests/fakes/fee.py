"""The platform's fee by the default rate, limited by Razorpay's smallest transfer."""

FEE_BPS, LEAST_MINOR = 250, 100


def fee_of(release_minor: int) -> int:
    """The fee, rounded down once. It is less if the transfer would fall below the minimum."""
    return min(release_minor * FEE_BPS // 10_000, max(release_minor - LEAST_MINOR, 0))


def fees_of(amounts: list[int]) -> list[int]:
    """The fee on the whole, divided by amount; the largest remainders are rounded up."""
    fee, total = fee_of(sum(amounts)), sum(amounts)
    fees = [fee * amount // total for amount in amounts]
    rests = sorted(range(len(amounts)), key=lambda i: -(fee * amounts[i] % total))
    for i in rests[: fee - sum(fees)]:
        fees[i] += 1
    return [min(fee, a - LEAST_MINOR) for fee, a in zip(fees, amounts, strict=True)]


def can_be_split(amount: int, full_fee: int, release: int, *, beside_refund: bool) -> bool:
    """Whether Razorpay can move both shares of a part.

    After the refund of another part no new transfer is possible. So the surplus of the seller's
    transfer must be large enough to be reversed.
    """
    fee = full_fee if release == amount else fee_of(release)
    excess = amount - full_fee - (release - fee)
    is_too_small = any(0 < share < LEAST_MINOR for share in (release, amount - release))
    return not is_too_small and not (beside_refund and 0 < excess < LEAST_MINOR)
