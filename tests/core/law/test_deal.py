"""What the parties decide about milestones, each by itself, and what the whole makes of it."""

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import CLOCK, SETTLEMENT, Command
from core.law.escrow import fold
from core.law.part import Part
from core.law.status import FINAL, Status
from tests.core.law.story import (
    ADMIN,
    ARBITER,
    BUYER,
    INSPECTION_US,
    SECOND_US,
    SELLER,
    Story,
    milestones,
)

S = Status


def paid(*amounts: int) -> Story:
    return Story(milestones(*amounts)).pay()


def statuses(story: Story) -> list[Status]:
    return [part.status for part in story.escrow.parts]


def refused(story: Story, command: Command, caller: c.Caller) -> Refusal:
    before = story.escrow
    with pytest.raises(Refusal) as refusal:
        story.tell(command, caller)
    assert story.escrow == before
    return refusal.value


def test_each_milestone_ends_in_its_own_way() -> None:
    story = paid(10_000, 20_000, 30_000, 40_000)
    assert statuses(story) == [S.HELD] * 4
    story.tell(c.AddConfirmation("m1"), BUYER)
    story.tell(c.AddConfirmation("m1"), SELLER)
    story.tell(c.RefundEscrow(part_id="m2"), SELLER)
    story.tell(c.RaiseDispute("Late", "m3"), BUYER)
    assert statuses(story) == [S.SETTLING, S.SETTLING, S.DISPUTED, S.HELD]
    story.settle("m1").settle("m2")
    story.tell(c.ResolveDispute(10_000, 20_000, "Both heard", part_id="m3"), ARBITER)
    story.tell(c.ReleaseEscrow(part_id="m4"), BUYER)
    story.settle("m3").settle("m4")
    assert statuses(story) == [S.RELEASED, S.REFUNDED, S.SPLIT, S.RELEASED]
    assert story.escrow.status is S.SPLIT
    fees = 250 + 250 + 1_000
    assert story.escrow.fee_minor == fees
    assert story.escrow.released_minor == 60_000 - fees
    assert story.escrow.refunded_minor == 40_000


def test_an_empty_milestone_id_means_all_that_are_held() -> None:
    story = paid(10_000, 20_000, 30_000)
    story.tell(c.RaiseDispute("Late", "m2"), BUYER)
    event = story.tell(c.ReleaseEscrow(), BUYER)
    assert event is not None
    assert statuses(story) == [S.SETTLING, S.DISPUTED, S.SETTLING]
    assert event.part_id == ""
    assert refused(story, c.RefundEscrow(), SELLER).reason is Reason.WRONG_STATUS


def test_a_release_of_all_leaves_what_was_refunded_as_it_is() -> None:
    story = paid(10_000, 20_000)
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    decided = story.escrow.parts[0]
    story.tell(c.ReleaseEscrow(), BUYER)
    assert story.escrow.parts[0] == decided
    assert statuses(story) == [S.SETTLING, S.SETTLING]


@pytest.mark.parametrize(
    "command",
    [c.AddConfirmation(), c.RaiseDispute("Late"), c.ResolveDispute(10_000, 0, "Both heard")],
    ids=lambda command: type(command).__name__,
)
def test_one_milestone_must_be_named_where_one_is_meant(command: Command) -> None:
    story = paid(10_000, 20_000)
    refusal = refused(story, command, ADMIN if isinstance(command, c.ResolveDispute) else BUYER)
    assert refusal.reason is Reason.FIELD_INVALID
    assert list(refusal.fields) == ["milestone_id"]


@pytest.mark.parametrize("part_id", ["m3", "m0", "whole", "M1", "x" * 100_000])
def test_a_milestone_that_is_not_there_is_not_found_in_a_short_sentence(part_id: str) -> None:
    refusal = refused(paid(10_000, 20_000), c.ReleaseEscrow(part_id=part_id), BUYER)
    assert refusal.reason is Reason.MILESTONE_NOT_FOUND
    assert len(refusal.message) < 200
    assert refused(Story().pay(), c.AddConfirmation("m1"), BUYER).reason is (
        Reason.MILESTONE_NOT_FOUND
    )


def test_confirmations_of_one_milestone_count_for_no_other() -> None:
    story = paid(10_000, 20_000)
    story.tell(c.AddConfirmation("m1"), BUYER)
    story.tell(c.AddConfirmation("m2"), SELLER)
    assert statuses(story) == [S.HELD, S.HELD]
    assert refused(story, c.AddConfirmation("m1"), BUYER).reason is Reason.ALREADY_CONFIRMED


def test_who_raised_one_dispute_withdraws_no_other() -> None:
    story = paid(10_000, 20_000)
    story.tell(c.RaiseDispute("Late", "m1"), BUYER)
    story.tell(c.RaiseDispute("Unpaid", "m2"), SELLER)
    assert refused(story, c.WithdrawDispute("m2"), BUYER).reason is Reason.NOT_A_PARTY
    story.tell(c.WithdrawDispute("m1"), BUYER)
    assert statuses(story) == [S.HELD, S.DISPUTED]


def test_milestones_that_were_confirmed_in_the_same_moment_are_released_together() -> None:
    story = paid(10_000, 20_000, 30_000)
    for part_id in ("m1", "m2"):
        story.tell(c.AddConfirmation(part_id), SELLER)
        story.now_us -= SECOND_US
    story.now_us += 5 * SECOND_US
    story.tell(c.AddConfirmation("m3"), SELLER)
    event = story.pass_time(INSPECTION_US - 5 * SECOND_US)
    assert event is not None
    assert statuses(story) == [S.SETTLING, S.SETTLING, S.HELD]
    assert story.pass_time(10 * SECOND_US) is not None
    assert statuses(story) == [S.SETTLING] * 3
    assert story.tell(c.PassDeadline(), CLOCK) is None


def test_no_milestone_can_be_cancelled_once_all_are_paid() -> None:
    assert refused(paid(10_000, 20_000), c.CancelEscrow(), BUYER).reason is Reason.WRONG_STATUS


def test_a_retry_concerns_the_milestone_that_is_named() -> None:
    story = paid(10_000, 20_000)
    story.tell(c.ReleaseEscrow(part_id="m1"), BUYER)
    story.tell(c.RefundEscrow(part_id="m2"), SELLER)
    story.tell(c.FailSettlement("It cannot be", "m1"), SETTLEMENT)
    assert refused(story, c.RefundEscrow(part_id="m1"), ADMIN).reason is Reason.WRONG_STATUS
    event = story.tell(c.ReleaseEscrow(part_id="m1"), ADMIN)
    assert event is not None
    assert event.part_id == "m1"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([S.INITIATED, S.INITIATED], S.INITIATED),
        ([S.HELD, S.RELEASED], S.HELD),
        ([S.HELD, S.SETTLING], S.SETTLING),
        ([S.HELD, S.SETTLING, S.DISPUTED], S.DISPUTED),
        ([S.RELEASED, S.RELEASED], S.RELEASED),
        ([S.REFUNDED, S.REFUNDED], S.REFUNDED),
        ([S.RELEASED, S.REFUNDED], S.SPLIT),
        ([S.SPLIT, S.RELEASED], S.SPLIT),
        ([S.CANCELLED, S.CANCELLED], S.CANCELLED),
    ],
)
def test_the_whole_is_as_its_most_pressing_part(parts: list[Status], whole: Status) -> None:
    made = [Part(f"m{i}", 100, status=status) for i, status in enumerate(parts)]
    assert fold(made) is whole
    assert fold(made[::-1]) is whole
    assert (whole in FINAL) == all(status in FINAL for status in parts)


@pytest.mark.parametrize("status", Status)
def test_the_whole_of_one_part_is_as_that_part(status: Status) -> None:
    assert fold([Part("", 100, status=status)]) is status
    # Beside one that has ended, what has not ended is what counts.
    ended = Part("m2", 100, status=S.RELEASED)
    assert (fold([Part("m1", 100, status=status), ended]) in FINAL) == (status in FINAL)
