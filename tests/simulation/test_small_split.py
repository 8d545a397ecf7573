"""A split whose reversal would be below Razorpay's minimum, before and beside a refund."""

import pytest

from tests.simulation.driver import Driver

PART_MINOR = 10_000
# Of the transfer on hold 98 would have to be taken back: the refund less the fee on it.
SMALL_MINOR = 100


@pytest.mark.parametrize("is_beside_refund", [False, True], ids=["alone", "beside a refund"])
async def test_a_split_too_small_to_reverse_is_made_anew_or_refused(
    driver: Driver, is_beside_refund: bool
) -> None:
    """The driver's model knows which. The money is where it belongs in either case."""
    await driver.agree([PART_MINOR, PART_MINOR], window_s=3_600, inspection_s=3_600)
    (deal,) = driver.deals
    await driver.bring(deal, "on hold", has_payee=True)
    await driver.judge.check(driver.deals)
    if is_beside_refund:
        await driver.command(deal, "m1", "refund", "seller", 0)
        await driver.settle(0)
    await driver.command(deal, "m2", "dispute", "buyer", 0)
    await driver.command(deal, "m2", "resolve", "arbiter", PART_MINOR - SMALL_MINOR)
    assert deal.sheets["m2"].status == ("DISPUTED" if is_beside_refund else "SETTLING")
    await driver.command(deal, "m2", "resolve", "arbiter", PART_MINOR - 2 * SMALL_MINOR)
    assert deal.sheets["m2"].status == "SETTLING"
    await driver.finish()
