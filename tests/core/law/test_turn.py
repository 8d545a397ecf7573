"""Whom an escrow waits for."""

from collections.abc import Callable

import pytest

from core.law import command as c
from core.law.command import SETTLEMENT
from core.law.status import AttentionCode, Status
from core.law.turn import waits_for_arbiter, waits_for_buyer, waits_for_seller
from tests.core.law.story import (
    ARBITER,
    BUYER,
    SELLER,
    SERVICE,
    Story,
    create,
    milestones,
    story_in,
)

Make = Callable[[], Story]


def told(story: Story, *acts: tuple[c.Command, c.Caller]) -> Story:
    for command, caller in acts:
        story.tell(command, caller)
    return story


def held() -> Story:
    return story_in(Status.HELD)


def stuck() -> Story:
    story = story_in(Status.SETTLING)
    problem = c.FailSettlement("No account.", code=AttentionCode.PAYEE_MISSING)
    return told(story, (problem, SETTLEMENT))


# What has happened, and who has to do something then: b, s and a.
TURNS: dict[str, tuple[Make, str]] = {
    "created by the buyer": (lambda: Story(), "bs"),
    "created by the seller": (lambda: Story(create(), SELLER), "b"),
    "created by a service": (lambda: Story(create(), SERVICE), "bs"),
    "to be accepted first": (lambda: Story(create(acceptance_required=True)), "s"),
    "accepted": (
        lambda: told(Story(create(acceptance_required=True)), (c.AcceptEscrow(), SELLER)),
        "b",
    ),
    "paid": (held, "bs"),
    "confirmed by the seller": (lambda: told(held(), (c.AddConfirmation(), SELLER)), "b"),
    "confirmed by the buyer": (lambda: told(held(), (c.AddConfirmation(), BUYER)), "s"),
    "disputed": (lambda: told(held(), (c.RaiseDispute("Broken"), BUYER)), "a"),
    "disputed without an arbiter": (
        lambda: told(Story(create(arbiter_id="")).pay(), (c.RaiseDispute("Broken"), BUYER)),
        "",
    ),
    "one milestone disputed, one held": (
        lambda: told(
            Story(milestones(60_000, 40_000)).pay(), (c.RaiseDispute("Broken", "m1"), BUYER)
        ),
        "bsa",
    ),
    "settling": (lambda: story_in(Status.SETTLING), ""),
    "settling without an account": (stuck, "s"),
    **{
        status.lower(): (lambda status=status: story_in(status), "")  # type: ignore[misc]
        for status in (Status.RELEASED, Status.REFUNDED, Status.SPLIT, Status.CANCELLED)
    },
}


@pytest.mark.parametrize("name", TURNS)
def test_an_escrow_waits_for_whoever_has_to_do_something(name: str) -> None:
    make, turns = TURNS[name]
    escrow = make().escrow
    waits = {"b": waits_for_buyer, "s": waits_for_seller, "a": waits_for_arbiter}
    assert {who for who, asks in waits.items() if asks(escrow)} == set(turns)


def test_who_is_waited_for_can_do_something() -> None:
    story = told(Story(create(arbiter_id=ARBITER.user_id)).pay(), (c.RaiseDispute("No"), SELLER))
    assert waits_for_arbiter(story.escrow)
    assert story.tell(c.ResolveDispute(100_000, 0, "Delivered"), ARBITER)
    assert not waits_for_arbiter(story.escrow)
