"""The books along random paths: `Story` checks every event, this drives it everywhere."""

import contextlib
import random
from collections import defaultdict

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law import ledger
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT, Caller, Command
from core.law.part import Move, Part
from core.law.status import Status
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    ESCROW_ID,
    PAYMENT_ID,
    SELLER,
    Story,
    bank_dispute,
    milestones,
    override,
    payment,
    story_in,
)

PATHS, STEPS = 150, 40


def any_command(rng: random.Random, story: Story) -> tuple[Command, Caller]:
    """Something that somebody might ask or Razorpay might tell, sensible or not."""
    part = rng.choice(story.escrow.parts)
    settlement = part.settlement
    refund = settlement.repay_minor if settlement else rng.choice((100, AMOUNT))
    release = rng.choice((0, 100, part.held_minor // 2, part.held_minor))
    wanted = settlement.transfer_minor if settlement else part.amount_minor
    choices: list[tuple[Command, Caller]] = [
        (c.RecordOrder("order_1"), BUYER),
        (payment(amount_minor=story.escrow.amount_minor), RAZORPAY),
        (payment(rng.choice(("failed", "authorized"))), RAZORPAY),
        (payment(payment_id="pay_2", amount_minor=rng.choice((500, AMOUNT))), RAZORPAY),
        (c.ReportRefund("rfnd_2", "pay_2", 500, None), RAZORPAY),
        (c.AddConfirmation(part.part_id), rng.choice((BUYER, SELLER))),
        (c.RaiseDispute("Late", part.part_id), rng.choice((BUYER, SELLER))),
        (c.WithdrawDispute(part.part_id), rng.choice((BUYER, SELLER))),
        (
            c.ResolveDispute(
                release, part.held_minor - release, "Both heard", part_id=part.part_id
            ),
            ARBITER,
        ),
        (c.ReleaseEscrow(part_id=rng.choice(("", part.part_id))), rng.choice((BUYER, ADMIN))),
        (c.RefundEscrow(part_id=rng.choice(("", part.part_id))), rng.choice((SELLER, ADMIN))),
        (c.ReportRefund(f"rfnd_{part.part_id}", PAYMENT_ID, refund, part.part_id), RAZORPAY),
        (bank_dispute(rng.choice(("created", "won", "lost"))), RAZORPAY),
        (c.PassDeadline(), CLOCK),
        (c.FailSettlement("It cannot be", part.part_id), SETTLEMENT),
    ]
    if wanted >= 100:  # Settlement never reports that nothing is on hold.
        choices.append((c.ReportHold("trf_1", wanted, part.part_id), SETTLEMENT))
    if part.on_hold_minor or (settlement and not settlement.transfer_minor):
        choices.append((c.CompleteSettlement(part.part_id), SETTLEMENT))
    if part.settlement is not None and rng.random() < 0.1:
        version = story.escrow.version
        shares = override(release, part.held_minor - release, part.part_id, seen_version=version)
        choices.append((shares, ADMIN))
    if rng.random() < 0.02:
        choices.append((c.CancelEscrow(), BUYER))
    return rng.choice([*choices, *of_the_bank(rng, story, part)])


def of_the_bank(rng: random.Random, story: Story, part: Part) -> list[tuple[Command, Caller]]:
    """What the buyer's bank may do now, and what settlement makes of it."""
    if rng.random() > 0.2:
        return []
    disputes = (("disp_1", PAYMENT_ID), ("disp_3", PAYMENT_ID), ("disp_2", "pay_2"))
    dispute_id, payment_id = rng.choice(disputes)
    phase = rng.choice(("created", "won", "lost"))
    amount, deducted = rng.choice((AMOUNT, 30_000)), rng.choice((0, 30_000))
    taken = rng.choice((part.held_minor, part.held_minor // 2, 30_000))
    if payment_id == PAYMENT_ID:
        take = c.TakeBack(dispute_id, taken, part.part_id)
    else:
        take = c.TakeBack(dispute_id, rng.choice((AMOUNT, 700)), payment_id=payment_id)
    return [
        (bank_dispute(phase, dispute_id, payment_id, amount, deducted), RAZORPAY),
        (take, SETTLEMENT),
        (c.WriteOff(dispute_id), SETTLEMENT),
    ]


@pytest.mark.parametrize("is_in_parts", [False, True])
def test_the_books_balance_at_every_version_of_every_path(is_in_parts: bool) -> None:
    rng = random.Random(7)
    ends: defaultdict[Status, int] = defaultdict(int)
    for _ in range(PATHS):
        story = Story(milestones(40_000, 35_000, 25_000) if is_in_parts else None)
        if rng.random() < 0.8:
            story.pay()
        for _ in range(STEPS):
            if rng.random() < 0.05:
                story.now_us += 400_000_000
            with contextlib.suppress(Refusal):
                story.tell(*any_command(rng, story))
        ends[story.escrow.status] += 1
    assert len(ends) >= 4, "the paths lead to many ends"


def test_a_release_moves_the_money_from_account_to_account() -> None:
    story = story_in(Status.HELD)
    escrow_account = (f"escrow:{ESCROW_ID}", "INR")
    assert story.accounts[escrow_account] == -AMOUNT
    assert story.accounts[ledger.BALANCE, "INR"] == AMOUNT - 2_360
    assert story.accounts[ledger.GATEWAY_FEES, "INR"] == 2_000
    assert story.accounts[ledger.GATEWAY_TAX, "INR"] == 360
    story.hold().tell(c.ReleaseEscrow(), BUYER)
    assert story.accounts[escrow_account] == 0
    assert story.accounts["payee:seller-1", "INR"] == -97_500
    assert story.accounts[ledger.ON_HOLD, "INR"] == 97_500
    story.settle()
    assert story.accounts["payee:seller-1", "INR"] == 0
    assert story.accounts[ledger.ON_HOLD, "INR"] == 0
    assert story.accounts[ledger.PLATFORM_FEES, "INR"] == -2_500


def test_a_refund_empties_every_account_but_razorpays_fee() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(c.RefundEscrow(), SELLER)
    assert story.accounts[ledger.REFUNDS, "INR"] == -AMOUNT
    story.settle()
    left = {name: total for (name, _), total in story.accounts.items() if total}
    assert left == {
        ledger.BALANCE: -2_360,
        ledger.GATEWAY_FEES: 2_000,
        ledger.GATEWAY_TAX: 360,
    }


def test_each_transfer_and_reversal_is_booked_once_by_its_own_id() -> None:
    story = story_in(Status.HELD)
    first = Move("trf_1", 97_500, 288, 44)
    story.tell(c.ReportHold("trf_1", 97_500, moves=(first,)), SETTLEMENT)
    story.tell(c.RaiseDispute("Half is missing"), BUYER)
    story.tell(c.ResolveDispute(60_000, 40_000, "Half is missing"), ADMIN)
    story.tell(c.ReportRefund("rfnd_1", PAYMENT_ID, 40_000, "", 118, 18), RAZORPAY)
    moves = (first, Move("rvrsl_1", -39_000))
    story.tell(c.CompleteSettlement(moves=moves), SETTLEMENT)
    assert of_each_entity(story) == {
        PAYMENT_ID: AMOUNT - 2_360,
        "trf_1": -97_500 - 288,
        "rvrsl_1": 39_000,
        "rfnd_1": -40_000 - 118,
    }
    assert story.accounts[ledger.TRANSFER_FEES, "INR"] == 244
    assert story.accounts[ledger.REFUND_FEES, "INR"] == 100
    assert story.accounts[ledger.GATEWAY_TAX, "INR"] == 360 + 44 + 18
    assert story.accounts[ledger.ON_HOLD, "INR"] == 0


def test_a_fee_that_the_customer_bore_is_booked_as_what_it_is() -> None:
    story = story_in(Status.INITIATED)
    paid = payment(amount_minor=AMOUNT + 2_360, order_amount_minor=AMOUNT, order_is_paid=True)
    story.tell(paid, RAZORPAY)
    assert (story.escrow.status, story.escrow.held_minor) == (Status.HELD, AMOUNT)
    assert story.escrow.payment.customer_fee_minor == 2_360
    assert story.accounts[ledger.BALANCE, "INR"] == AMOUNT
    assert story.accounts[ledger.CONVENIENCE_FEES, "INR"] == -2_360
    story.tell(c.RefundEscrow(), SELLER)
    story.settle()
    assert (story.escrow.status, story.escrow.payment.status) == (Status.REFUNDED, "REFUNDED")
    assert story.accounts[ledger.BALANCE, "INR"] == 0


def test_a_dispute_is_booked_by_its_id() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("created", deducted=AMOUNT), RAZORPAY)
    assert of_each_entity(story)["disp_1"] == -AMOUNT
    story.tell(bank_dispute("won"), RAZORPAY)
    assert of_each_entity(story)["disp_1"] == 0


def of_each_entity(story: Story) -> dict[str, int]:
    """What each entity of the provider has done to the balance."""
    totals: defaultdict[str, int] = defaultdict(int)
    before = None
    for event in story.events:
        for posting in ledger.postings(before, event):
            if posting.account == ledger.BALANCE:
                totals[posting.entity_id] += posting.amount_minor
        before = event.escrow
    return dict(totals)


def test_a_surplus_in_another_currency_is_booked_in_that_currency() -> None:
    story = story_in(Status.HELD)
    story.tell(payment(payment_id="pay_2", amount_minor=700, currency="USD"), RAZORPAY)
    assert story.accounts[ledger.REFUNDS, "USD"] == -700
    story.tell(c.ReportRefund("rfnd_2", "pay_2", 700, ""), RAZORPAY)
    assert story.accounts[ledger.REFUNDS, "USD"] == 0
    assert story.accounts[ledger.REFUNDS, "INR"] == 0
