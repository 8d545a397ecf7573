"""Acceptance: who has to agree, by what, and the buyer's way back from an absent seller."""

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import RAZORPAY, Caller, Command
from core.law.record import dump_row, load_row
from core.law.rules import decide
from core.law.status import EventType, Party, Status
from tests.core.law.story import (
    ADMIN,
    ARBITER,
    BUYER,
    ORDER_ID,
    SELLER,
    SERVICE,
    Story,
    create,
    payment,
    story_in,
)


def refused(story: Story, command: Command, caller: Caller) -> Reason:
    with pytest.raises(Refusal) as failed:
        story.tell(command, caller)
    return failed.value.reason


def created_by(caller: Caller, **more: object) -> Story:
    return Story(create(**more), caller)


def parties(story: Story) -> list[Party]:
    return [one.party for one in story.escrow.acceptances]


def test_the_other_side_accepts_once() -> None:
    story = Story()
    event = story.tell(c.AcceptEscrow(), SELLER)
    assert event is not None
    assert (event.type, event.data) == (EventType.ESCROW_ACCEPTED, {"party": "seller"})
    assert parties(story) == [Party.SELLER]
    assert refused(story, c.AcceptEscrow(), SELLER) is Reason.ALREADY_ACCEPTED


def test_who_created_it_has_nothing_to_accept() -> None:
    assert refused(Story(), c.AcceptEscrow(), BUYER) is Reason.NOT_A_PARTY
    assert refused(created_by(SELLER), c.AcceptEscrow(), SELLER) is Reason.NOT_A_PARTY
    assert refused(Story(), c.AcceptEscrow(), ARBITER) is Reason.NOT_A_PARTY


def test_both_accept_what_a_service_created() -> None:
    story = created_by(SERVICE)
    story.tell(c.AcceptEscrow(), BUYER)
    story.tell(c.AcceptEscrow(), SELLER)
    assert parties(story) == [Party.BUYER, Party.SELLER]


@pytest.mark.parametrize(
    "act", [c.AddConfirmation(), c.RaiseDispute("It never came")], ids=["confirm", "dispute"]
)
def test_another_act_accepts_too(act: Command) -> None:
    story = story_in(Status.HELD)
    story.tell(act, SELLER)
    assert parties(story) == [Party.SELLER]
    story = created_by(SELLER)
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    assert parties(story) == [Party.BUYER]


def test_calling_it_off_accepts_nothing() -> None:
    story = Story()
    story.tell(c.CancelEscrow(), SELLER)
    assert parties(story) == []
    story = story_in(Status.HELD)
    story.tell(c.RefundEscrow(), SELLER)
    assert parties(story) == []


def test_a_payment_waits_for_the_acceptance_that_was_asked_for() -> None:
    story = Story(create(acceptance_required=True))
    for caller in (BUYER, SERVICE, ADMIN):
        assert refused(story, c.RecordOrder(ORDER_ID), caller) is Reason.ACCEPTANCE_MISSING
    story.tell(c.AcceptEscrow(), SELLER)
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    story.tell(payment(), RAZORPAY)
    assert story.escrow.status is Status.HELD


def test_the_buyers_own_start_is_the_buyers_acceptance() -> None:
    story = created_by(SELLER, acceptance_required=True)
    assert refused(story, c.RecordOrder(ORDER_ID), SERVICE) is Reason.ACCEPTANCE_MISSING
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    assert parties(story) == [Party.BUYER]


def test_a_payment_that_came_all_the_same_is_held() -> None:
    story = Story(create(acceptance_required=True))
    story.tell(payment(), RAZORPAY)
    assert story.escrow.status is Status.HELD


def test_a_buyer_takes_back_what_nobody_has_answered_for() -> None:
    story = story_in(Status.HELD)
    story.tell(c.RefundEscrow("Nobody is there"), BUYER)
    assert story.settle().escrow.status is Status.REFUNDED


@pytest.mark.parametrize(
    "acts", [[c.AcceptEscrow()], [c.AddConfirmation()], [c.RaiseDispute("No"), c.WithdrawDispute()]]
)
def test_a_seller_who_is_there_keeps_the_buyer_from_it(acts: list[Command]) -> None:
    story = story_in(Status.HELD)
    for act in acts:
        story.tell(act, SELLER)
    assert refused(story, c.RefundEscrow(), BUYER) is Reason.NOT_A_PARTY


def test_a_seller_who_created_it_is_there() -> None:
    story = created_by(SELLER).pay()
    assert refused(story, c.RefundEscrow(), BUYER) is Reason.NOT_A_PARTY


def test_acts_from_before_acceptances_were_recorded_count() -> None:
    story = story_in(Status.HELD)
    story.tell(c.AddConfirmation(), SELLER)
    earlier = load_row(dump_row(story.escrow).replace('"acceptances"', '"unheard_of"'))
    assert earlier.acceptances == ()
    with pytest.raises(Refusal) as failed:
        decide(earlier, c.RefundEscrow(), BUYER, story.now_us)
    assert failed.value.reason is Reason.NOT_A_PARTY


def test_of_an_unknown_creator_nobody_is_missing() -> None:
    story = story_in(Status.HELD)
    earlier = load_row(dump_row(story.escrow).replace('"created_by":"buyer-1"', '"created_by":""'))
    with pytest.raises(Refusal) as failed:
        decide(earlier, c.RefundEscrow(), BUYER, story.now_us)
    assert failed.value.reason is Reason.NOT_A_PARTY
