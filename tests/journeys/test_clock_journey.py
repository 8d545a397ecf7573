"""What happens when nobody acts: the two deadlines, by the real clock."""

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of

pytestmark = on_both("stack")

SHORT = {"payment_window": "1s", "inspection_period": "1s"}


async def test_an_escrow_that_nobody_pays_in_time_is_cancelled_by_the_clock(deal: Deal) -> None:
    await deal.agree(terms=SHORT)
    await deal.until_status("CANCELLED")
    last = (await deal.events())[-1]
    assert (last.type, last.actor_id) == (deal.event("ESCROW_CANCELLED"), "clock")


async def test_an_escrow_that_is_paid_in_time_outlives_its_payment_window(deal: Deal) -> None:
    await deal.agree(terms={"payment_window": "2s", "inspection_period": "1s"})
    await deal.pay()
    await deal.until_status("HELD")
    other = Deal(deal.client)
    await other.agree(terms={"payment_window": "3s"})
    await other.until_status("CANCELLED")  # After the first one's window.
    assert (await deal.get()).status == deal.status("HELD")


async def test_without_an_objection_in_time_the_money_is_released(deal: Deal) -> None:
    await deal.hold(terms=SHORT)
    await deal.act(deal.seller, "AddConfirmation")
    released = await deal.until_status("RELEASED")
    assert released.settlement.decided_by == "clock"
    assert (await deal.money()).released == AMOUNT_MINOR - fee_of(AMOUNT_MINOR)


async def test_a_dispute_stops_the_inspection_clock(deal: Deal) -> None:
    await deal.hold(terms=SHORT)
    await deal.act(deal.seller, "AddConfirmation")
    await deal.act(deal.buyer, "RaiseDispute", reason="it is broken")
    other = Deal(deal.client)
    await other.hold(terms=SHORT)
    await other.act(other.seller, "AddConfirmation")
    await other.until_status("RELEASED")  # The clock has passed the other's deadline too.
    assert (await deal.get()).status == deal.status("DISPUTED")
    assert (await deal.money()).released == 0
