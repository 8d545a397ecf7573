"""The books along random paths: `Story` checks every event, this drives it everywhere."""

import contextlib
import random
from collections import defaultdict

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law import ledger
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT, Caller, Command
from core.law.escrow import Status
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
    payment,
    story_in,
)

PATHS, STEPS = 150, 40


def any_command(rng: random.Random, story: Story) -> tuple[Command, Caller]:
    """Something that somebody might ask or Razorpay might tell, sensible or not."""
    part = rng.choice(story.escrow.parts)
    settlement = part.settlement
    refund = settlement.refund_minor if settlement else rng.choice((100, AMOUNT))
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
    if rng.random() < 0.02:
        choices.append((c.CancelEscrow(), BUYER))
    return rng.choice(choices)


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


def test_a_surplus_in_another_currency_is_booked_in_that_currency() -> None:
    story = story_in(Status.HELD)
    story.tell(payment(payment_id="pay_2", amount_minor=700, currency="USD"), RAZORPAY)
    assert story.accounts[ledger.REFUNDS, "USD"] == -700
    story.tell(c.ReportRefund("rfnd_2", "pay_2", 700, ""), RAZORPAY)
    assert story.accounts[ledger.REFUNDS, "USD"] == 0
    assert story.accounts[ledger.REFUNDS, "INR"] == 0
