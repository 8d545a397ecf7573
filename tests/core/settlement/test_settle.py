"""The one door out, against a Razorpay over real HTTP: it converges, and pays once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law.status import Status
from core.settlement.settle import Settler
from scripts.sandbox import Sandbox
from tests.core.law.story import ADMIN, ARBITER, BUYER, SELLER
from tests.core.till import ACCOUNT, QUICK, Till, open_till
from tests.fakes.wait import until

TRANSFER = 97_500


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=1) as running:
        yield running


@pytest.fixture
async def till(sqlite_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(sqlite_url, sandbox) as opened:
        yield opened


async def test_what_is_paid_stands_on_hold_for_the_seller(till: Till) -> None:
    escrow = await till.rests(await till.paid())
    assert escrow.parts[0].on_hold_minor == TRANSFER
    assert await till.money() == {"transfers": [(TRANSFER, True)], "refunds": []}


async def test_a_release_takes_the_transfer_off_hold(till: Till) -> None:
    escrow_id = await till.paid()
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.released_minor, escrow.fee_minor) == ("RELEASED", TRANSFER, 2_500)
    assert await till.money() == {"transfers": [(TRANSFER, False)], "refunds": []}


async def test_a_refund_takes_the_transfer_back_and_repays_all(till: Till) -> None:
    escrow_id = await till.paid()
    await till.rests(escrow_id)
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.refunded_minor) == ("REFUNDED", 100_000)
    assert await till.money() == {"transfers": [], "refunds": [(100_000, "processed")]}


async def test_a_refund_needs_no_payee(till: Till) -> None:
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    assert (await till.rests(escrow_id)).status is Status.REFUNDED
    assert await till.money() == {"transfers": [], "refunds": [(100_000, "processed")]}


@pytest.mark.parametrize("held_before", [True, False])
@pytest.mark.parametrize(("release", "fee"), [(60_000, 1_500), (99_950 - 50, 2_497), (100, 0)])
async def test_a_split_pays_both_sides_to_the_paisa(
    till: Till, release: int, fee: int, held_before: bool
) -> None:
    escrow_id = await till.paid()
    if held_before:
        await till.rests(escrow_id)
    await till.tell(escrow_id, c.RaiseDispute("Broken"), BUYER)
    await till.tell(escrow_id, c.ResolveDispute(release, 100_000 - release, "Both heard"), ARBITER)
    escrow = await till.rests(escrow_id)
    assert escrow.status is Status.SPLIT
    assert (escrow.released_minor, escrow.fee_minor) == (release - fee, fee)
    assert await till.money() == {
        "transfers": [(release - fee, False)],
        "refunds": [(100_000 - release, "processed")],
    }


async def test_milestones_are_paid_and_refunded_one_by_one(till: Till) -> None:
    parts = tuple(c.NewMilestone("Part", amount) for amount in (50_000, 30_000, 20_000))
    escrow_id = await till.paid(milestones=parts)
    await till.rests(escrow_id)
    assert len((await till.money())["transfers"]) == 3
    await till.tell(escrow_id, c.ReleaseEscrow(part_id="m1"), BUYER)
    await till.rests(escrow_id)
    await till.tell(escrow_id, c.RefundEscrow(part_id="m2"), SELLER)
    await till.rests(escrow_id)
    await till.tell(escrow_id, c.ReleaseEscrow(part_id="m3"), BUYER)
    escrow = await till.rests(escrow_id)
    assert [p.status for p in escrow.parts] == ["RELEASED", "REFUNDED", "RELEASED"]
    money = await till.money()
    assert sorted(money["transfers"]) == [(19_500, False), (48_750, False)]
    assert money["refunds"] == [(30_000, "processed")]


async def test_a_late_payment_goes_back_whole(till: Till) -> None:
    escrow_id, order_id = await till.order()
    await till.tell(escrow_id, c.CancelEscrow(), BUYER)
    await till.pay(escrow_id, order_id)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.refunded_minor) == ("CANCELLED", 100_000)
    assert await till.money() == {"transfers": [], "refunds": [(100_000, "processed")]}


async def test_a_second_payment_goes_back_and_the_first_is_settled(till: Till) -> None:
    await till.register()
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id)
    await till.pay(escrow_id, order_id, force=True)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.attention) == ("RELEASED", "")
    assert await till.money() == {
        "transfers": [(TRANSFER, False)],
        "refunds": [(100_000, "processed")],
    }


async def test_a_payment_of_a_wrong_amount_goes_back_and_another_may_come(till: Till) -> None:
    await till.register()
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id, amount=99_999)
    assert (await till.rests(escrow_id)).status is Status.INITIATED
    order_id = await till.buyer.order()
    await till.room.tell(escrow_id, c.RecordOrder(order_id))
    await till.pay(escrow_id, order_id)
    assert (await till.rests(escrow_id)).status is Status.HELD
    assert (await till.money())["refunds"] == [(99_999, "processed")]


async def test_a_surplus_that_somebody_returned_by_hand_is_not_returned_twice(till: Till) -> None:
    await till.register()
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id)
    second = await till.buyer.pay(order_id, force=True)
    status, _ = await till.buyer.api("POST", f"/payments/{second}/refund", {"amount": 100_000})
    assert status == 200
    report = c.ReportPayment(second, order_id, "captured", 100_000, "INR")
    await till.tell(escrow_id, report, c.RAZORPAY)
    assert (await till.rests(escrow_id)).attention == ""
    assert await till.money() == {
        "transfers": [(TRANSFER, True)],
        "refunds": [(100_000, "processed")],
    }


async def test_an_authorized_payment_is_captured(till: Till) -> None:
    await till.register()
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id, outcome="authorized")
    assert (await till.reaches(escrow_id, "HELD")).payment.is_captured
    assert (await till.rests(escrow_id)).parts[0].on_hold_minor == TRANSFER


async def test_without_a_payee_the_release_waits_with_its_reason(till: Till) -> None:
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    escrow = await till.reaches(escrow_id, "PAYEE_MISSING")
    assert escrow.status is Status.SETTLING
    await till.register()
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.attention) == ("RELEASED", "")


async def test_a_seller_without_account_alarms_nobody_before_the_decision(till: Till) -> None:
    escrow_id = await till.paid(payee=False)
    escrow = await till.waits(escrow_id)
    assert (escrow.status, escrow.attention) == ("HELD", "")
    await till.register()
    assert (await till.rests(escrow_id)).parts[0].on_hold_minor == TRANSFER


async def test_an_inactive_account_is_told_in_razorpays_words_and_can_be_replaced(
    till: Till,
) -> None:
    await till.register("acc_inactive123456")
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    escrow = await till.reaches(escrow_id, "not activated")
    assert escrow.status is Status.SETTLING
    await till.register(ACCOUNT)
    assert (await till.rests(escrow_id)).status is Status.RELEASED


async def test_an_admin_tries_again_what_waited(till: Till) -> None:
    escrow_id = await till.paid()
    await till.rests(escrow_id)
    await till.buyer.misbehave(api={"insufficient_balance": 1.0})
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await till.reaches(escrow_id, "balance")
    await till.buyer.misbehave()
    await till.tell(escrow_id, c.RefundEscrow(), ADMIN)
    assert (await till.rests(escrow_id)).status is Status.REFUNDED
    assert (await till.money())["refunds"] == [(100_000, "processed")]


async def disputed_by_the_bank(till: Till, phase: str) -> tuple[str, str]:
    """An escrow with its transfer on hold; answers its id and its payment's."""
    escrow_id = await till.paid()
    payment_id = (await till.rests(escrow_id)).payment.payment_id
    report = c.ReportBankDispute("disp_1", payment_id, phase, 100_000)
    await till.tell(escrow_id, report, c.RAZORPAY)
    return escrow_id, payment_id


async def test_the_banks_dispute_stops_a_release_until_it_is_won(till: Till) -> None:
    escrow_id, payment_id = await disputed_by_the_bank(till, "created")
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow_id)
    assert (await till.money())["transfers"] == [(TRANSFER, True)]
    await till.tell(escrow_id, c.ReportBankDispute("disp_1", payment_id, "won", 1), c.RAZORPAY)
    assert (await till.rests(escrow_id)).status is Status.RELEASED


@pytest.mark.parametrize("decision", [None, c.ReleaseEscrow(), c.RefundEscrow()], ids=str)
async def test_what_the_bank_has_given_the_buyer_is_taken_from_what_is_held(
    till: Till, decision: c.Command | None
) -> None:
    escrow_id, payment_id = await disputed_by_the_bank(till, "created")
    if isinstance(decision, c.ReleaseEscrow):
        await till.tell(escrow_id, decision, ADMIN)
    lost = c.ReportBankDispute("disp_1", payment_id, "lost", 100_000)
    await till.tell(escrow_id, lost, c.RAZORPAY)
    if isinstance(decision, c.RefundEscrow):
        with contextlib.suppress(Refusal):  # Settlement may have been faster.
            await till.tell(escrow_id, decision, ADMIN)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.refunded_by, escrow.attentions) == ("REFUNDED", "bank", ())
    assert await till.money() == {"transfers": [], "refunds": []}


async def test_of_a_partial_dispute_the_rest_is_released(till: Till) -> None:
    escrow_id, payment_id = await disputed_by_the_bank(till, "created")
    lost = c.ReportBankDispute("disp_1", payment_id, "lost", 40_000)
    await till.tell(escrow_id, lost, c.RAZORPAY)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.held_minor) == ("HELD", 60_000)
    assert (await till.money())["transfers"] == [(58_500, True)]
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    assert (await till.rests(escrow_id)).status is Status.SPLIT
    assert await till.money() == {"transfers": [(58_500, False)], "refunds": []}


async def test_what_is_paid_out_when_a_dispute_is_lost_stays_with_the_seller(till: Till) -> None:
    escrow_id, payment_id = await disputed_by_the_bank(till, "won")
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.rests(escrow_id)
    lost = c.ReportBankDispute("disp_2", payment_id, "lost", 100_000)
    await till.tell(escrow_id, lost, c.RAZORPAY)
    escrow = await till.rests(escrow_id)
    assert [one.code for one in escrow.attentions] == ["PLATFORM_LOSS"]
    assert await till.money() == {"transfers": [(TRANSFER, False)], "refunds": []}


async def test_an_admin_has_failed_transfers_tried_again(till: Till) -> None:
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow_id)
    await till.buyer.misbehave(api={"insufficient_balance": 1.0})
    await till.register()
    await till.reaches(escrow_id, "balance")
    await till.waits(escrow_id)
    await till.buyer.misbehave()
    await till.tell(escrow_id, c.ReleaseEscrow(), ADMIN)
    assert (await till.rests(escrow_id)).status is Status.RELEASED
    assert (await till.money())["transfers"] == [(TRANSFER, False)]


async def test_a_late_payment_that_could_not_be_returned_is_tried_again_later(
    sqlite_url: str, sandbox: Sandbox
) -> None:
    async with open_till(sqlite_url, sandbox, replace(QUICK, stuck_s=0.2)) as till:
        escrow_id, order_id = await till.order()
        await till.tell(escrow_id, c.CancelEscrow(), BUYER)
        await till.buyer.misbehave(api={"insufficient_balance": 1.0})
        await till.pay(escrow_id, order_id)
        await till.reaches(escrow_id, "balance")
        version = (await till.room.escrow(escrow_id)).version
        await asyncio.sleep(0.5)
        # One sentence makes one event.
        assert (await till.room.escrow(escrow_id)).version == version
        await till.buyer.misbehave()
        await till.rests(escrow_id)
        assert (await till.money())["refunds"] == [(100_000, "processed")]


async def test_each_look_and_step_waits_for_its_turn(till: Till) -> None:
    await till.settler.close()  # Only the one below settles.
    await till.register()
    escrow_id, order_id = await till.order()
    await till.pay(escrow_id, order_id)
    turns = asyncio.Semaphore(0)
    settler = Settler(
        till.room.store,
        till.room.executor,
        till.gateway,
        now_us=till.room.time,
        patience=QUICK,
        turn=lambda: turns.acquire(),
    )
    waiting = asyncio.create_task(settler.look())
    asked = till.gateway.outcomes.total()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.3)
    assert till.gateway.outcomes.total() == asked
    turns.release()  # The look and the step that sets the seller's share aside.
    await until(lambda: till.gateway.outcomes.total() > asked)
    await asyncio.sleep(0.3)
    assert (await till.room.escrow(escrow_id)).parts[0].on_hold_minor == 0
    for _ in range(20):
        turns.release()
    async with asyncio.timeout(20):
        while (await till.room.escrow(escrow_id)).parts[0].on_hold_minor != TRANSFER:
            await asyncio.sleep(0.02)
            await settler.look()
    await waiting
