"""A dispute of the bank without any webhook: only reconciliation finds its beginning and end."""

import pytest

from tests.simulation.driver import Driver

AMOUNT_MINOR = 10_000
ROUNDS = 3


@pytest.mark.parametrize("is_decided_before", [False, True], ids=["dispute first", "release first"])
async def test_a_dispute_without_webhooks_stops_the_release_until_the_bank_has_ended_it(
    driver: Driver, is_decided_before: bool
) -> None:
    await driver.agree([AMOUNT_MINOR], window_s=3_600, inspection_s=3_600)
    (deal,) = driver.deals
    await driver.bring(deal, "on hold", has_payee=True)
    await driver.judge.check(driver.deals)
    if is_decided_before:
        await driver.command(deal, "", "release", "buyer", 0)
    driver.bank(deal, "created")
    await driver.world.run(driver.look_at_disputes(0))
    if not is_decided_before:
        await driver.command(deal, "", "release", "buyer", 0)
    for _ in range(ROUNDS):
        await driver.look()
        driver.world.advance(1_000)
    assert deal.released() == 0
    assert (await driver.judge.escrow(deal)).bank_disputes
    await driver.finish()
    assert deal.released() == AMOUNT_MINOR - deal.fee("")
