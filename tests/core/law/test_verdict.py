"""Verdicts: they have a reason, and what settles can be divided anew as long as nothing is done."""

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.status import AttentionCode, EventType, Status
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    Story,
    milestones,
    override,
    story_in,
)


def refused(story: Story, command: c.ResolveDispute | c.OverrideSettlement) -> Refusal:
    before = story.escrow
    with pytest.raises(Refusal) as failed:
        story.tell(command, ADMIN)
    assert story.escrow == before
    return failed.value


def divide(story: Story, release: int, refund: int, part_id: str = "") -> Story:
    version = story.escrow.version
    story.tell(override(release, refund, part_id, seen_version=version), ADMIN)
    return story


@pytest.mark.parametrize("note", ["", "   "])
def test_a_verdict_without_a_reason_is_refused(note: str) -> None:
    refusal = refused(story_in(Status.DISPUTED), c.ResolveDispute(60_000, 40_000, note))
    assert (refusal.reason, list(refusal.fields)) == (Reason.FIELD_INVALID, ["note"])
    command = c.OverrideSettlement(60_000, 40_000, note, seen_version=4)
    assert refused(story_in(Status.SETTLING), command).reason is Reason.FIELD_INVALID


def test_the_reason_is_kept() -> None:
    story = story_in(Status.DISPUTED)
    story.tell(c.ResolveDispute(60_000, 40_000, "Half is missing"), ARBITER)
    part = story.escrow.parts[0]
    assert part.dispute is not None
    assert part.settlement is not None
    assert part.dispute.note == part.settlement.note == "Half is missing"


@pytest.mark.parametrize(("release", "refund"), [(0, AMOUNT), (60_000, 40_000), (AMOUNT, 0)])
def test_what_settles_is_divided_anew(release: int, refund: int) -> None:
    story = story_in(Status.SETTLING)
    divide(story, release, refund)
    event = story.events[-1]
    assert (event.type, event.actor_id) == (EventType.SETTLEMENT_OVERRIDDEN, ADMIN.user_id)
    assert event.data == {"release_minor": release, "refund_minor": refund, "note": "She is ill"}
    story.settle()
    assert story.escrow.refunded_minor == refund
    assert story.escrow.released_minor == release - release * 250 // 10_000


def test_a_held_transfer_stays_in_the_books_until_it_is_reversed() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(c.ReleaseEscrow(), BUYER)
    divide(story, 0, AMOUNT)
    assert story.escrow.parts[0].on_hold_minor == 97_500
    story.settle()
    assert story.escrow.status is Status.REFUNDED


def test_only_one_milestone_is_divided_anew() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(c.ReleaseEscrow(), BUYER)
    divide(story, 0, 60_000, "m2")
    first, second = (p.settlement for p in story.escrow.parts)
    assert first is not None
    assert second is not None
    assert (first.release_minor, second.refund_minor) == (40_000, 60_000)


def test_what_has_changed_since_it_was_looked_at_is_not_overridden() -> None:
    story = story_in(Status.SETTLING)
    command = override(0, AMOUNT, seen_version=story.escrow.version)
    story.tell(c.FailSettlement("Razorpay refuses"), SETTLEMENT)
    assert refused(story, command).reason is Reason.SETTLEMENT_UNDER_WAY


def test_what_the_buyer_has_back_stays_as_decided() -> None:
    story = story_in(Status.DISPUTED)
    story.tell(c.ResolveDispute(60_000, 40_000, "Both heard"), ARBITER)
    story.tell(c.ReportRefund("rfnd_1", "pay_1", 40_000, ""), RAZORPAY)
    command = override(60_000, 0, seen_version=story.escrow.version)
    assert refused(story, command).reason is Reason.WRONG_STATUS


def test_the_shares_must_be_all_that_is_held() -> None:
    story = story_in(Status.SETTLING)
    for shares in ((60_000, 39_999), (99_950, 50), (-100, 100_100)):
        command = override(*shares, seen_version=story.escrow.version)
        assert refused(story, command).reason is Reason.AMOUNT_INVALID


def test_what_stood_in_the_way_is_over() -> None:
    story = story_in(Status.SETTLING)
    problem = c.FailSettlement("No account", "", AttentionCode.PAYEE_MISSING)
    story.tell(problem, SETTLEMENT)
    divide(story, 0, AMOUNT)
    assert story.escrow.attentions == ()


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.SETTLING])
def test_only_what_settles_is_overridden(status: Status) -> None:
    story = story_in(status)
    command = override(0, AMOUNT, seen_version=story.escrow.version)
    assert refused(story, command).reason is Reason.WRONG_STATUS
