"""Chargebacks: each has an end, the buyer has the money once, and the books say who bears it."""

import itertools

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law import ledger
from core.law.chargeback import unsettled
from core.law.command import RAZORPAY, SETTLEMENT, Command
from core.law.message import escrow_message
from core.law.rules import outstanding
from core.law.status import AttentionCode, EventType, Status
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    ORDER_ID,
    PAYMENT_ID,
    SELLER,
    Story,
    bank_dispute,
    milestones,
    payment,
    story_in,
)

INR = "INR"


def lose(
    story: Story, amount: int = AMOUNT, *, dispute_id: str = "disp_1", payment_id: str = PAYMENT_ID
) -> Story:
    story.tell(bank_dispute("lost", dispute_id, payment_id, amount), RAZORPAY)
    return story


def take(story: Story, amount: int = AMOUNT, part_id: str = "") -> Story:
    story.tell(c.TakeBack("disp_1", amount, part_id), SETTLEMENT)
    return story


def codes(story: Story) -> list[str]:
    return [item.code.value for item in story.escrow.attentions]


@pytest.mark.parametrize("deducted", [0, AMOUNT])
@pytest.mark.parametrize("status", [Status.HELD, Status.DISPUTED, Status.SETTLING])
def test_a_lost_dispute_of_held_money_ends_refunded_by_the_bank(
    status: Status, deducted: int
) -> None:
    story = story_in(status)
    story.hold()
    story.tell(bank_dispute("created", deducted=deducted), RAZORPAY)
    lose(story)
    assert outstanding(story.escrow)
    take(story)
    assert story.escrow.status is Status.SETTLING
    assert (story.escrow.held_minor, story.escrow.refunded_minor) == (0, AMOUNT)
    story.tell(c.CompleteSettlement(), SETTLEMENT)
    escrow = story.escrow
    assert (escrow.status, escrow.refunded_by) == (Status.REFUNDED, "bank")
    assert (codes(story), outstanding(escrow)) == ([], False)
    message = escrow_message(escrow)
    assert (message.refunded_by, message.settlement.refunded_by) == ("bank", "bank")
    assert message.payment.charged_back.amount_minor == AMOUNT
    assert story.accounts[ledger.LOSSES, INR] == 0


def test_a_dispute_that_is_won_gives_back_what_was_taken() -> None:
    story = story_in(Status.HELD)
    before = story.accounts[ledger.BALANCE, INR]
    story.tell(bank_dispute("created", deducted=AMOUNT), RAZORPAY)
    assert story.accounts[ledger.BALANCE, INR] == before - AMOUNT
    assert story.accounts[ledger.CHARGEBACKS, INR] == AMOUNT
    story.tell(bank_dispute("won"), RAZORPAY)
    assert story.accounts[ledger.BALANCE, INR] == before
    assert (story.escrow.status, codes(story)) == (Status.HELD, [])


def test_a_partial_one_leaves_the_rest_held() -> None:
    story = lose(story_in(Status.HELD), 30_000)
    take(story, 30_000)
    assert (story.escrow.status, story.escrow.held_minor) == (Status.HELD, 70_000)
    assert codes(story) == []
    story.tell(c.ReleaseEscrow(), BUYER)
    story.settle()
    escrow = story.escrow
    assert (escrow.status, escrow.released_minor, escrow.refunded_minor, escrow.refunded_by) == (
        Status.SPLIT,
        68_250,
        30_000,
        "",
    )


def test_what_is_left_of_a_partial_one_can_be_refunded() -> None:
    story = take(lose(story_in(Status.HELD), 30_000), 30_000)
    story.tell(c.RefundEscrow(), SELLER)
    story.settle()
    assert (story.escrow.status, story.escrow.refunded_minor) == (Status.REFUNDED, AMOUNT)
    assert story.escrow.payment.refunded_minor == 70_000
    assert story.escrow.payment.status == "REFUNDED"


def test_a_rest_that_cannot_be_moved_stays_with_the_platform() -> None:
    story = take(lose(story_in(Status.HELD), AMOUNT - 99), AMOUNT - 99)
    story.tell(c.CompleteSettlement(), SETTLEMENT)
    escrow = story.escrow
    assert (escrow.status, escrow.refunded_minor, escrow.fee_minor, escrow.released_minor) == (
        Status.REFUNDED,
        AMOUNT - 99,
        99,
        0,
    )


@pytest.mark.parametrize(
    ("release", "taken", "refund_left", "release_left"),
    [
        (60_000, 30_000, 10_000, 60_000),
        (60_000, 40_000, 0, 60_000),
        (60_000, 70_000, 0, 30_000),
        (60_000, 39_950, 0, 60_050),
        (100_000, 50_000, 0, 50_000),
        (0, 50_000, 50_000, 0),
    ],
)
def test_what_settles_is_divided_anew(
    release: int, taken: int, refund_left: int, release_left: int
) -> None:
    story = story_in(Status.DISPUTED)
    story.tell(c.ResolveDispute(release, AMOUNT - release, "Both heard"), ARBITER)
    take(lose(story, taken), taken)
    settlement = story.escrow.parts[0].settlement
    assert settlement is not None
    assert (settlement.release_minor, settlement.refund_minor) == (release_left, refund_left)
    story.settle()
    assert not outstanding(story.escrow)


def test_after_the_release_the_platform_bears_it() -> None:
    story = lose(story_in(Status.RELEASED))
    assert story.escrow.status is Status.RELEASED
    assert codes(story) == ["PLATFORM_LOSS"]
    assert story.accounts[ledger.LOSSES, INR] == AMOUNT
    assert story.accounts[ledger.CHARGEBACKS, INR] == 0
    assert not outstanding(story.escrow)
    assert story.events[-1].data["platform_loss_minor"] == AMOUNT


def test_of_milestones_what_is_held_pays_first_and_the_rest_is_a_loss() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.hold("m1").hold("m2")
    story.tell(c.ReleaseEscrow(part_id="m1"), BUYER)
    story.settle("m1")
    lose(story, 100_000)
    take(story, 60_000, "m2")
    assert unsettled(story.escrow)[0].unsettled_minor == 40_000
    story.tell(c.WriteOff("disp_1"), SETTLEMENT)
    story.tell(c.CompleteSettlement("m2"), SETTLEMENT)
    escrow = story.escrow
    assert [p.status for p in escrow.parts] == [Status.RELEASED, Status.REFUNDED]
    assert (escrow.status, escrow.refunded_by) == (Status.SPLIT, "")
    assert story.accounts[ledger.LOSSES, INR] == 40_000
    assert codes(story) == ["PLATFORM_LOSS"]
    assert not outstanding(escrow)


def test_of_a_surplus_payment_it_takes_the_refunds_place() -> None:
    story = story_in(Status.HELD)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    lose(story, payment_id="pay_2")
    assert list(story.escrow.bank_disputes) == []
    story.tell(c.TakeBack("disp_1", AMOUNT, payment_id="pay_2"), SETTLEMENT)
    escrow = story.escrow
    assert (escrow.surplus[0].is_returned, escrow.surplus[0].bank_minor) == (True, AMOUNT)
    assert (escrow.status, escrow.held_minor, codes(story)) == (Status.HELD, AMOUNT, [])


def test_of_a_surplus_payment_that_was_refunded_it_is_a_loss() -> None:
    story = story_in(Status.HELD)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, ""), RAZORPAY)
    lose(story, payment_id="pay_2")
    assert codes(story) == ["PLATFORM_LOSS"]
    assert story.escrow.held_minor == AMOUNT


def test_of_a_late_payment_it_takes_the_refunds_place() -> None:
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    take(lose(story))
    assert (story.escrow.status, story.escrow.refunded_minor) == (Status.CANCELLED, AMOUNT)
    assert not outstanding(story.escrow)


def test_lost_before_the_payment_is_known_it_waits_for_it() -> None:
    story = story_in(Status.INITIATED)
    lose(story)
    assert unsettled(story.escrow) == []
    assert story.tell(c.TakeBack("disp_1", AMOUNT), SETTLEMENT) is None
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    story.tell(payment(), RAZORPAY)
    assert outstanding(story.escrow)
    take(story)
    assert story.escrow.status is Status.SETTLING


def test_lost_for_another_payment_it_bars_nothing() -> None:
    story = story_in(Status.INITIATED)
    lose(story, payment_id="pay_9")
    story.tell(payment(), RAZORPAY)
    assert list(story.escrow.bank_disputes) == []
    assert story.tell(c.TakeBack("disp_1", AMOUNT), SETTLEMENT) is None
    assert story.tell(c.WriteOff("disp_1"), SETTLEMENT) is None


def test_a_part_that_is_refunded_already_gives_nothing() -> None:
    story = story_in(Status.REFUNDED)
    lose(story)
    assert story.accounts[ledger.LOSSES, INR] == AMOUNT
    assert story.tell(c.TakeBack("disp_1", AMOUNT), SETTLEMENT) is None


def test_taking_back_and_writing_off_count_once() -> None:
    story = take(lose(story_in(Status.HELD)))
    version = story.escrow.version
    assert take(story).escrow.version == version
    assert story.tell(c.WriteOff("disp_1"), SETTLEMENT) is None


def test_more_than_is_held_is_not_taken() -> None:
    story = lose(story_in(Status.HELD))
    assert story.tell(c.TakeBack("disp_1", AMOUNT + 1), SETTLEMENT) is None
    assert story.tell(c.TakeBack("disp_1", 0), SETTLEMENT) is None
    assert story.tell(c.TakeBack("disp_1", 500, "m9"), SETTLEMENT) is None


def test_two_disputes_share_what_is_held() -> None:
    story = lose(story_in(Status.HELD), 60_000)
    lose(story, 60_000, dispute_id="disp_2")
    take(story, 60_000)
    story.tell(c.TakeBack("disp_2", 40_000), SETTLEMENT)
    story.tell(c.WriteOff("disp_2"), SETTLEMENT)
    story.tell(c.CompleteSettlement(), SETTLEMENT)
    assert story.escrow.status is Status.REFUNDED
    assert story.accounts[ledger.LOSSES, INR] == 20_000


def test_all_orders_of_the_phases_leave_the_same_money() -> None:
    phases = ["created", "under_review", "lost", "closed"]
    ends = set()
    for order in itertools.permutations(phases):
        story = story_in(Status.HELD)
        for phase in order:
            story.tell(bank_dispute(phase), RAZORPAY)
        ends.add((story.escrow.chargebacks, story.escrow.bank_disputes))
    assert len(ends) == 1


@pytest.mark.parametrize(
    "command", [c.ReleaseEscrow(), c.RefundEscrow(), c.RaiseDispute("No")], ids=lambda x: str(x)[:9]
)
def test_what_the_bank_has_decided_nobody_decides_again(command: Command) -> None:
    story = take(lose(story_in(Status.HELD)))
    for caller in (BUYER, SELLER, ADMIN):
        before = story.escrow
        with pytest.raises(Refusal):
            story.tell(command, caller)
        assert story.escrow == before


def test_a_dispute_of_the_parties_ends_with_the_banks() -> None:
    story = take(lose(story_in(Status.DISPUTED)))
    dispute = story.escrow.parts[0].dispute
    assert dispute is not None
    assert (dispute.status, dispute.note) == ("RESOLVED", "The buyer's bank has decided.")


def test_its_attention_names_the_payment_and_ends_with_it() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("created"), RAZORPAY)
    item = story.escrow.attentions[0]
    assert (item.code, item.subject) == (AttentionCode.BANK_DISPUTE, "disp_1")
    assert PAYMENT_ID in item.message
    assert "₹1,000" in item.message
    take(lose(story))
    assert codes(story) == []
    assert story.events[-1].type is EventType.SETTLEMENT_STARTED
