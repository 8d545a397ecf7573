"""Attention is a list: several at once, the most pressing first, and each ends by itself."""

from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.message import escrow_message
from core.law.status import AttentionCode, Status
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    BUYER,
    Story,
    bank_dispute,
    milestones,
    payment,
    story_in,
)

MISSING = AttentionCode.PAYEE_MISSING


def codes(story: Story) -> list[tuple[str, str]]:
    return [(item.code.value, item.part_id) for item in story.escrow.attentions]


def test_several_stand_at_once_and_the_most_pressing_speaks() -> None:
    story = story_in(Status.SETTLING)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    story.tell(c.FailSettlement("No account", "", MISSING), SETTLEMENT)
    story.tell(bank_dispute("created"), RAZORPAY)
    assert [code for code, _ in codes(story)] == [
        "BANK_DISPUTE",
        "PAYEE_MISSING",
        "SURPLUS_PAYMENT",
    ]
    message = escrow_message(story.escrow)
    assert message.attention == message.attentions[0].message
    assert "disp_1" in message.attention
    assert message.attentions[1].since.ToMicroseconds() < story.now_us


def test_each_ends_by_itself() -> None:
    story = story_in(Status.SETTLING)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    story.tell(c.FailSettlement("No account", "", MISSING), SETTLEMENT)
    story.tell(bank_dispute("created"), RAZORPAY)
    story.tell(bank_dispute("won"), RAZORPAY)
    assert [code for code, _ in codes(story)] == ["PAYEE_MISSING", "SURPLUS_PAYMENT"]
    story.hold()
    assert [code for code, _ in codes(story)] == ["SURPLUS_PAYMENT"]
    story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, ""), RAZORPAY)
    assert codes(story) == []


def test_the_same_problem_is_told_once_and_a_new_one_takes_its_place() -> None:
    story = story_in(Status.SETTLING)
    story.tell(c.FailSettlement("First"), SETTLEMENT)
    assert story.tell(c.FailSettlement("First"), SETTLEMENT) is None
    story.tell(c.FailSettlement("Second"), SETTLEMENT)
    assert [item.message for item in story.escrow.attentions] == ["Second"]


def test_what_stands_in_the_way_of_one_milestone_ends_with_that_one() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(c.ReleaseEscrow(), BUYER)
    for part_id in ("m1", "m2"):
        story.tell(c.FailSettlement("No account", part_id, MISSING), SETTLEMENT)
    assert codes(story) == [("PAYEE_MISSING", "m1"), ("PAYEE_MISSING", "m2")]
    story.settle("m1")
    assert codes(story) == [("PAYEE_MISSING", "m2")]
    assert escrow_message(story.escrow).attentions[0].milestone_id == "m2"


def test_another_try_ends_what_a_person_can_end_and_nothing_else() -> None:
    story = story_in(Status.SETTLING)
    story.tell(bank_dispute("created"), RAZORPAY)
    story.tell(c.FailSettlement("No account", "", MISSING), SETTLEMENT)
    story.tell(c.ReleaseEscrow(), ADMIN)
    assert codes(story) == [("BANK_DISPUTE", "")]


def test_a_difference_ends_when_the_books_agree_again() -> None:
    story = story_in(Status.HELD)
    differ = AttentionCode.BOOKS_DIFFER
    story.tell(c.FailSettlement("They differ", code=differ), SETTLEMENT)
    story.tell(c.EndAttention(differ), SETTLEMENT)
    assert codes(story) == []
    assert story.tell(c.EndAttention(differ), SETTLEMENT) is None
