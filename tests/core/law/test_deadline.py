"""Deadlines are seen, and told of once before they pass."""

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.law import command as c
from core.law.command import CLOCK, SETTLEMENT
from core.law.escrow import Event
from core.law.message import escrow_message
from core.law.status import DeadlineAction, EventType, Status
from tests.core.law.story import (
    BUYER,
    INSPECTION_US,
    SECOND_US,
    SELLER,
    START_US,
    WINDOW_US,
    Story,
    create,
    story_in,
)

LEAD_US = 60 * SECOND_US


def reminding() -> Story:
    return Story(create(remind_before_us=LEAD_US))


def at(story: Story, moment_us: int) -> Event | None:
    story.now_us = moment_us - SECOND_US
    return story.tell(c.PassDeadline(), CLOCK)


def test_the_end_of_the_payment_window_is_near_once() -> None:
    story = reminding()
    created = story.escrow.create_time_us
    end = created + WINDOW_US
    assert (story.escrow.deadline_us, story.escrow.look_us) == (end, end - LEAD_US)
    assert story.pass_time(WINDOW_US - LEAD_US - 2 * SECOND_US) is None
    event = story.pass_time(SECOND_US)
    assert event is not None
    assert (event.type, event.data) == (EventType.DEADLINE_NEAR, {"deadline_action": "CANCEL"})
    assert story.escrow.status is Status.INITIATED
    assert story.escrow.look_us == end
    assert story.pass_time(SECOND_US) is None
    event = story.pass_time(LEAD_US)
    assert event is not None
    assert event.type is EventType.ESCROW_CANCELLED


def test_a_clock_that_was_away_passes_the_deadline_at_once() -> None:
    event = reminding().pass_time(WINDOW_US)
    assert event is not None
    assert event.type is EventType.ESCROW_CANCELLED


def test_each_inspection_is_told_of_by_its_milestone() -> None:
    amounts = (40_000, 60_000)
    parts = tuple(c.NewMilestone(f"Part {a}", a) for a in amounts)
    story = Story(create(milestones=parts, remind_before_us=LEAD_US)).pay()
    story.tell(c.AddConfirmation("m1"), SELLER)
    story.pass_time(10 * SECOND_US)
    story.tell(c.AddConfirmation("m2"), SELLER)
    ends = [part.deadline_us or 0 for part in story.escrow.parts]
    assert at(story, ends[0] - LEAD_US - 1) is None
    first = at(story, ends[0] - LEAD_US)
    second = at(story, ends[1] - LEAD_US)
    assert first is not None
    assert second is not None
    assert [(e.type, e.part_id) for e in (first, second)] == [
        (EventType.DEADLINE_NEAR, "m1"),
        (EventType.DEADLINE_NEAR, "m2"),
    ]


@pytest.mark.parametrize("lead_us", [0, WINDOW_US, WINDOW_US + 1])
def test_what_is_near_from_its_start_is_told_of_by_nobody(lead_us: int) -> None:
    story = Story(create(remind_before_us=lead_us))
    assert story.escrow.look_us == story.escrow.deadline_us
    assert story.pass_time(WINDOW_US // 2) is None


def test_the_message_says_what_happens_when() -> None:
    story = Story()
    message = escrow_message(story.escrow)
    assert message.deadline.ToMicroseconds() == story.escrow.create_time_us + WINDOW_US
    assert message.deadline_action == pb.DEADLINE_ACTION_CANCEL
    story.pay()
    assert not escrow_message(story.escrow).HasField("deadline")
    story.tell(c.AddConfirmation(), SELLER)
    message = escrow_message(story.escrow)
    assert message.deadline.ToMicroseconds() == story.now_us + INSPECTION_US
    assert message.deadline_action == pb.DEADLINE_ACTION_RELEASE


def test_a_dispute_stops_the_clock_and_its_withdrawal_starts_it_again() -> None:
    story = reminding().pay()
    story.tell(c.AddConfirmation(), SELLER)
    story.tell(c.RaiseDispute("Scratched"), BUYER)
    assert (story.escrow.deadline_us, story.escrow.look_us) == (None, None)
    story.tell(c.WithdrawDispute(), BUYER)
    assert story.escrow.look_us is not None
    assert story.escrow.deadline_action is DeadlineAction.RELEASE


@pytest.mark.parametrize("status", [Status.SETTLING, Status.RELEASED, Status.CANCELLED])
def test_what_is_decided_has_no_deadline(status: Status) -> None:
    escrow = story_in(status).escrow
    assert (escrow.deadline_us, escrow.deadline_action) == (None, None)


def test_of_what_is_over_nobody_is_reminded() -> None:
    story = reminding().pay()
    assert story.tell(c.PassDeadline(), CLOCK) is None
    story.tell(c.ReleaseEscrow(), BUYER)
    story.tell(c.CompleteSettlement(), SETTLEMENT)
    assert story.escrow.look_us is None
    assert story.escrow.create_time_us > START_US
