"""Refunds: keys that are used for one amount, and refunds by hand that count as shares."""

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.escrow import Escrow
from core.law.rules import outstanding
from core.law.status import AttentionCode, Status
from core.razorpay import Refund, Transfer
from core.settlement.act import Found, Repay, Reverse, Stuck, Unhold, Wait
from core.settlement.report import Report
from core.settlement.step import next_step
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    ESCROW_ID,
    PAYMENT_ID,
    SELLER,
    SERVICE,
    Story,
    bank_dispute,
    milestones,
    override,
    payment,
    story_in,
)
from tests.core.settlement.test_step import ACCOUNT, NET, paid, refund, step, transfer

EMPTY = transfer(reversed_minor=NET)


def refunding() -> Story:
    story = story_in(Status.HELD)
    story.tell(c.RefundEscrow(), SELLER)
    return story


def overridden(story: Story, release: int, part_id: str = "") -> Story:
    part = story.escrow.part(part_id)
    assert part is not None
    share = part.held_minor - release
    command = override(release, share, part_id, seen_version=story.escrow.version)
    story.tell(command, ADMIN)
    return story


def test_a_division_anew_has_keys_of_its_own() -> None:
    story = story_in(Status.SETTLING).hold()
    first = step(refunding().escrow)
    anew = step(overridden(story, 40_000).escrow, transfer(reversed_minor=NET - 39_000))
    again = step(overridden(story, 0).escrow, EMPTY)
    assert [first.key, anew.key, again.key] == [
        f"{ESCROW_ID}--0",
        f"{ESCROW_ID}--0-60000",
        f"{ESCROW_ID}--0-100000",
    ]


def test_what_the_bank_leaves_to_refund_has_a_key_of_its_own() -> None:
    story = refunding()
    story.tell(bank_dispute("lost", amount=30_000), RAZORPAY)
    story.tell(c.TakeBack("disp_1", 30_000), SETTLEMENT)
    assert step(story.escrow) == Repay(PAYMENT_ID, "", 70_000, f"{ESCROW_ID}--0-70000")
    late = story_in(Status.CANCELLED)
    late.tell(payment(), RAZORPAY)
    late.tell(bank_dispute("lost", amount=30_000), RAZORPAY)
    late.tell(c.TakeBack("disp_1", 30_000), SETTLEMENT)
    assert step(late.escrow) == Repay(PAYMENT_ID, "", 70_000, f"{ESCROW_ID}-0-70000")


def adopt(story: Story, *things: Any) -> Story:
    told = step(story.escrow, EMPTY, *things)
    assert isinstance(told, Report)
    assert told.is_exclusive
    assert story.tell(told.command, RAZORPAY)
    return story


def test_of_several_refunds_by_hand_the_one_that_fits_is_taken() -> None:
    small, odd, exact = (
        refund(amount, notes={}, number=n)
        for n, amount in enumerate([30_000, AMOUNT - 50, AMOUNT], start=1)
    )
    for found, taken in (
        ([odd, small], "rfnd_1"),
        ([odd, small, exact], "rfnd_3"),
        ([odd], "rfnd_2"),
    ):
        story = adopt(refunding(), *found)
        assert story.escrow.payment.refunds[-1].refund_id == taken


def test_a_refund_by_hand_that_is_not_through_is_waited_for() -> None:
    assert step(refunding().escrow, refund(AMOUNT, "pending", notes={})) == Wait()
    assert isinstance(step(refunding().escrow, refund(AMOUNT, "failed", notes={})), Repay)


def test_a_crumb_that_a_refund_by_hand_left_stays_with_the_platform() -> None:
    by_hand = refund(AMOUNT - 50, notes={})
    story = adopt(refunding(), by_hand)
    done = step(story.escrow, EMPTY, by_hand)
    assert isinstance(done.command, c.CompleteSettlement)
    story.tell(done.command, SETTLEMENT)
    escrow = story.escrow
    assert (escrow.status, escrow.refunded_minor, escrow.fee_minor) == ("REFUNDED", AMOUNT - 50, 50)
    assert not outstanding(escrow)


def test_a_refund_that_was_adopted_is_no_news_later() -> None:
    by_hand = refund(30_000, notes={})
    webhook = c.ReportRefund("rfnd_1", PAYMENT_ID, 30_000, None)
    story = adopt(refunding(), by_hand)
    assert story.tell(webhook, RAZORPAY) is None
    other = refunding()
    other.tell(webhook, RAZORPAY)
    assert other.escrow.attentions[0].code is AttentionCode.FOREIGN_REFUND
    assert adopt(other, by_hand).escrow.attentions == ()


def test_a_late_payment_half_of_which_went_back_by_hand_goes_back_once() -> None:
    half = refund(AMOUNT // 2, notes={})
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    story.tell(step(story.escrow, half).command, RAZORPAY)
    # The webhook of the same refund, which is as large as what is left.
    assert story.tell(c.ReportRefund("rfnd_1", PAYMENT_ID, AMOUNT // 2, None), RAZORPAY) is None
    assert step(story.escrow, half) == Repay(
        PAYMENT_ID, "", AMOUNT // 2, f"{ESCROW_ID}-0-{AMOUNT // 2}"
    )


def late_with(left: int) -> Story:
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    by_hand = refund(AMOUNT - left, notes={})
    story.tell(step(story.escrow, by_hand).command, RAZORPAY)
    return story


@pytest.mark.parametrize("left", [1, 99])
def test_a_crumb_of_a_late_payment_stays_with_the_platform(left: int) -> None:
    escrow = late_with(left).escrow
    assert (escrow.held_minor, escrow.fee_minor, outstanding(escrow)) == (0, left, False)
    assert (late_with(100).escrow.fee_minor, outstanding(late_with(100).escrow)) == (0, True)


def twice() -> Story:
    story = story_in(Status.HELD).hold()
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    return story


def of_surplus(escrow: Escrow, *refunds: Refund) -> Any:
    theirs = [dataclasses.replace(one, payment_id="pay_2") for one in refunds]
    found = {
        PAYMENT_ID: Found(paid(), [transfer()]),
        "pay_2": Found(paid(payment_id="pay_2"), refunds=theirs),
    }
    return next_step(escrow, found, ACCOUNT)


def test_half_a_surplus_payment_refunded_by_hand_is_counted_once() -> None:
    half = refund(AMOUNT // 2, notes={})
    story = twice()
    for _ in range(2):  # By the webhook and by settlement.
        story.tell(c.ReportRefund("rfnd_1", "pay_2", AMOUNT // 2, None), RAZORPAY)
    assert story.escrow.surplus[0].rest_minor == AMOUNT // 2
    rest = of_surplus(story.escrow, half)
    assert rest == Repay("pay_2", "", AMOUNT // 2, f"pay_2-0-{AMOUNT // 2}")
    own = refund(AMOUNT // 2, number=2)
    story.tell(of_surplus(story.escrow, own, half).command, RAZORPAY)
    assert story.escrow.surplus[0].is_returned
    assert story.escrow.attentions == ()


def test_a_refund_by_hand_of_a_surplus_payment_is_told_before_the_rest_is_refunded() -> None:
    half = refund(40_000, notes={})
    told = of_surplus(twice().escrow, half)
    assert isinstance(told.command, c.ReportRefund)
    assert of_surplus(twice().escrow, refund(40_000, "pending", notes={})) == Wait()


def test_a_crumb_of_a_surplus_payment_stays_with_the_platform() -> None:
    for left in (1, 99):
        story = twice()
        story.tell(bank_dispute("lost", payment_id="pay_2", amount=AMOUNT - left), RAZORPAY)
        story.tell(c.TakeBack("disp_1", AMOUNT - left, payment_id="pay_2"), SETTLEMENT)
        surplus = story.escrow.surplus[0]
        assert (surplus.kept_minor, surplus.is_returned) == (left, True)
        assert not outstanding(story.escrow)


def test_what_an_earlier_release_returned_in_part_is_not_told_of_again() -> None:
    story = twice()
    old = replace(story.escrow.surplus[0], refunded_minor=40_000)
    escrow = replace(story.escrow, surplus=(old,))
    rest = of_surplus(escrow, refund(40_000, notes={}))
    assert rest == Repay("pay_2", "", 60_000, "pay_2-0-60000")


def test_a_transfer_that_is_a_little_too_small_is_made_anew() -> None:
    story = overridden(overridden(story_in(Status.SETTLING).hold(), 60_000), 60_050)
    down = transfer(reversed_minor=NET - 58_500)
    assert step(story.escrow, down) == Reverse("trf_1", "", 58_500)
    made = step(story.escrow, EMPTY)
    assert made.amount_minor == 60_050 - 1_501


def test_milestones_are_refunded_under_keys_of_their_own() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(c.RefundEscrow(), SELLER)
    assert step(story.escrow).key == f"{ESCROW_ID}-m1-0"
    assert step(story.escrow, refund(40_000, part="m1")).command.part_id == "m1"
    story.tell(c.ReportRefund("rfnd_1", PAYMENT_ID, 40_000, "m1"), RAZORPAY)
    story.tell(c.CompleteSettlement("m1"), SETTLEMENT)
    assert step(story.escrow, refund(40_000, part="m1")).key == f"{ESCROW_ID}-m2-0"


def test_a_refund_of_the_whole_payment_by_hand_counts_for_all_its_milestones() -> None:
    story = Story(milestones(40_000, 60_000)).pay().hold("m2")
    by_hand = refund(AMOUNT, notes={})
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    stuck = step(story.escrow, transfer(58_500, "m2"), by_hand)
    assert isinstance(stuck, Stuck)
    assert (stuck.code, stuck.subject) == (AttentionCode.FOREIGN_REFUND, "rfnd_1")
    story.tell(c.RefundEscrow(part_id="m2"), SELLER)
    told = step(story.escrow, by_hand)
    assert (told.command.refund_id, told.command.is_adopted) == ("rfnd_1", True)
    story.tell(told.command, RAZORPAY)
    for part_id in ("m1", "m2"):
        done = step(story.escrow, by_hand)
        assert done.command == c.CompleteSettlement(part_id)
        story.tell(done.command, SETTLEMENT)
    assert (story.escrow.status, story.escrow.payment.status) == ("REFUNDED", "REFUNDED")
    assert story.escrow.attentions == ()


def test_a_refund_of_most_by_hand_ends_what_is_left_once_an_admin_says_so() -> None:
    story = Story(milestones(40_000, 60_000)).pay().hold("m1").hold("m2")
    story.tell(c.RaiseDispute("It is broken", "m2"), BUYER)
    story.tell(c.ResolveDispute(30_000, 30_000, "Both heard", "m2"), ARBITER)
    first, rest = refund(30_000, notes={}), refund(70_000, notes={}, number=2)
    have = [transfer(39_000, "m1"), transfer(29_250, "m2", 2)]
    story.tell(step(story.escrow, *have, first).command, RAZORPAY)
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    have[0] = replace_transfer(have[0], 39_000)
    stuck = step(story.escrow, *have, first, rest)
    assert isinstance(stuck, Stuck)
    assert "Try again to settle the rest as decided" in stuck.problem
    story.tell(c.FailSettlement(stuck.problem, "m1", stuck.code, stuck.subject), SETTLEMENT)
    # Only an admin lets the platform bear it, and only of the milestones that are named.
    story.tell(c.RefundEscrow("Again", part_id="m1"), SERVICE)
    assert step(story.escrow, *have, first, rest) == stuck
    event = story.tell(c.RefundEscrow("Our mistake", part_id="m1"), ADMIN)
    assert event is not None
    assert event.data["borne_refunds"] == ["rfnd_2"]
    assert story.escrow.attentions == ()
    told = step(story.escrow, *have, first, rest)
    assert (told.command.refund_id, told.command.amount_minor) == ("rfnd_2", 40_000)
    story.tell(told.command, RAZORPAY)
    story.tell(step(story.escrow, *have, first, rest).command, SETTLEMENT)
    assert step(story.escrow, *have, first, rest) == Unhold("trf_2", "m2")


def test_a_refund_by_hand_that_a_division_could_take_in_is_not_borne() -> None:
    story = story_in(Status.SETTLING).hold()
    stuck = step(story.escrow, transfer(), refund(5_000, notes={}))
    assert "Divide the settlement anew" in stuck.problem
    story.tell(c.FailSettlement(stuck.problem, "", stuck.code, stuck.subject), SETTLEMENT)
    event = story.tell(c.ReleaseEscrow("Again"), ADMIN)
    assert event is not None
    assert "borne_refunds" not in event.data
    assert step(story.escrow, transfer(), refund(5_000, notes={})) == stuck


def test_a_refund_by_hand_of_more_than_can_go_back_ends_what_is_left() -> None:
    """One milestone was paid out before; its money went to both sides."""
    story = Story(milestones(40_000, 60_000)).pay().hold("m1").hold("m2")
    story.tell(c.ReleaseEscrow(part_id="m1"), BUYER)
    story.settle("m1")
    out, gone = transfer(39_000, "m1", 1, on_hold=False), transfer(58_500, "m2", 2)
    by_hand = refund(AMOUNT, notes={})
    story.tell(c.RaiseDispute("It is broken", "m2"), BUYER)
    story.tell(c.ResolveDispute(30_000, 30_000, "Both heard", "m2"), ARBITER)
    carved = replace_transfer(gone, 58_500 - 29_250)
    assert isinstance(step(story.escrow, out, carved, by_hand), Stuck)
    overridden(story, 0, "m2")
    told = step(story.escrow, out, replace_transfer(gone, 58_500), by_hand)
    assert (told.command.refund_id, told.command.amount_minor) == ("rfnd_1", 60_000)
    story.tell(told.command, RAZORPAY)
    story.tell(c.CompleteSettlement("m2"), SETTLEMENT)
    assert [p.status for p in story.escrow.parts] == ["RELEASED", "REFUNDED"]
    assert not outstanding(story.escrow)


def replace_transfer(given: Transfer, reversed_minor: int) -> Transfer:
    return dataclasses.replace(given, reversed_minor=reversed_minor)


def test_a_late_payment_that_the_bank_and_a_person_gave_back_is_at_an_end() -> None:
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    story.tell(bank_dispute("lost", amount=30_000), RAZORPAY)
    story.tell(c.TakeBack("disp_1", 30_000), SETTLEMENT)
    told = step(story.escrow, refund(AMOUNT, notes={}))
    assert told.command.amount_minor == 70_000
    story.tell(told.command, RAZORPAY)
    assert not outstanding(story.escrow)
