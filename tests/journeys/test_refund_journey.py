"""How the buyer gets money back: refund, split, cancellation, a payment that comes too late."""

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of
from tests.fakes.stack import Client

pytestmark = on_both("stack")


async def test_the_seller_gives_all_of_it_back(client: Client, deal: Deal) -> None:
    await deal.hold()
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    await deal.act(deal.seller, "RefundEscrow", note="sold to someone else")
    refunded = await deal.until_status("REFUNDED")
    await socket.saw_status(deal.escrow_id, "REFUNDED")

    assert refunded.refunded.amount_minor == AMOUNT_MINOR
    assert (refunded.held.amount_minor, refunded.fee.amount_minor) == (0, 0)
    money = await deal.money()
    assert (len(money.refunds), money.refunded) == (1, AMOUNT_MINOR)
    assert (money.released, money.on_hold) == (0, 0)
    last = socket.updates(deal.escrow_id)[-1]["data"]
    assert (last["refunded_minor"], last["held_minor"]) == (AMOUNT_MINOR, 0)


@pytest.mark.parametrize("release", [100_000, 100, AMOUNT_MINOR - 100])
async def test_the_arbiter_splits_what_is_held_to_the_paisa(deal: Deal, release: int) -> None:
    await deal.hold()
    disputed = await deal.act(deal.buyer, "RaiseDispute", reason="a wheel is missing")
    assert disputed.status == deal.status("DISPUTED")
    refund = AMOUNT_MINOR - release
    await deal.act(
        deal.arbiter, "ResolveDispute", release_minor=release, refund_minor=refund, note="half each"
    )
    split = await deal.until_status("SPLIT")

    fee = fee_of(release)
    money = await deal.money()
    assert (money.paid, money.released, money.refunded) == (AMOUNT_MINOR, release - fee, refund)
    assert (len(money.standing), len(money.refunds), money.on_hold) == (1, 1, 0)
    shares = (split.released.amount_minor, split.fee.amount_minor, split.refunded.amount_minor)
    assert shares == (release - fee, fee, refund)
    assert split.held.amount_minor == 0


@pytest.mark.parametrize(
    ("release", "end"), [(AMOUNT_MINOR, "RELEASED"), (0, "REFUNDED")], ids=["all", "nothing"]
)
async def test_the_arbiter_may_give_all_to_one_side(deal: Deal, release: int, end: str) -> None:
    await deal.hold()
    await deal.act(deal.seller, "RaiseDispute", reason="the buyer does not answer")
    await deal.act(
        deal.arbiter,
        "ResolveDispute",
        release_minor=release,
        refund_minor=AMOUNT_MINOR - release,
        note="the buyer has not answered",
    )
    await deal.until_status(end)
    money = await deal.money()
    assert (money.released, money.refunded) == (release - fee_of(release), AMOUNT_MINOR - release)


async def test_a_withdrawn_dispute_leaves_the_escrow_as_it_was(deal: Deal) -> None:
    await deal.hold()
    await deal.act(deal.buyer, "RaiseDispute", reason="I cannot find it")
    refusal = await deal.seller.refusal("WithdrawDispute", escrow_id=deal.escrow_id)
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "NOT_A_PARTY")
    held = await deal.act(deal.buyer, "WithdrawDispute")
    assert (held.status, held.held.amount_minor) == (deal.status("HELD"), AMOUNT_MINOR)
    await deal.act(deal.buyer, "ReleaseEscrow")
    await deal.until_status("RELEASED")


async def test_a_cancelled_escrow_takes_no_payment(client: Client, deal: Deal) -> None:
    await deal.agree()
    socket = await client.viewer(deal.seller)
    await socket.subscribe(deal.escrow_id)
    cancelled = await deal.act(deal.seller, "CancelEscrow", note="changed my mind")
    assert cancelled.status == deal.status("CANCELLED")
    await socket.sees(type="status_change", old_status="INITIATED", new_status="CANCELLED")
    refusal = await deal.buyer.refusal("StartPayment", escrow_id=deal.escrow_id)
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WRONG_STATUS")
    assert await deal.types() == ["ESCROW_CREATED", "ESCROW_CANCELLED"]


async def test_a_payment_that_comes_after_the_cancellation_is_refunded_in_full(
    deal: Deal,
) -> None:
    await deal.register_payee()
    await deal.agree()
    await deal.order()
    await deal.act(deal.buyer, "CancelEscrow")
    await deal.client.pay(deal.order_id)
    after = await deal.until(lambda event: event.escrow.refunded.amount_minor == AMOUNT_MINOR)

    assert (after.status, after.held.amount_minor) == (deal.status("CANCELLED"), 0)
    money = await deal.money()
    assert (money.paid, money.refunded, money.transfers) == (AMOUNT_MINOR, AMOUNT_MINOR, [])
    statuses = {event.new_status for event in (await deal.events())[2:]}
    assert statuses == {deal.status("CANCELLED")}


async def test_a_failed_attempt_does_not_block_the_next(deal: Deal) -> None:
    await deal.agree()
    await deal.pay("failed")
    await deal.until(lambda event: event.type == deal.event("PAYMENT_FAILED"))
    await deal.client.pay(deal.order_id)
    held = await deal.until_status("HELD")
    assert held.held.amount_minor == AMOUNT_MINOR


async def test_a_payment_that_was_only_authorized_is_captured_and_held(deal: Deal) -> None:
    await deal.agree()
    await deal.pay("authorized")
    await deal.until_status("HELD")
    assert len((await deal.money()).payments) == 1
