"""What people read: amounts as India writes them, and refusals that say what can be done."""

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law.command import RAZORPAY, Caller, Command
from core.law.rules import TABLE
from core.law.status import Status
from core.law.words import money
from tests.core.law.story import ADMIN, ARBITER, BUYER, SELLER, Story, milestones, story_in


@pytest.mark.parametrize(
    ("amount_minor", "written"),
    [
        (5, "₹0.05"),
        (100, "₹1"),
        (99_900, "₹999"),
        (1_218_799, "₹12,187.99"),
        (12_345_678_900, "₹12,34,56,789"),
        (10**12, "₹10,00,00,00,000"),
    ],
)
def test_rupees_are_grouped_as_in_india(amount_minor: int, written: str) -> None:
    assert money(amount_minor, "INR") == written


def test_another_currency_is_named() -> None:
    assert money(123_456_789, "USD") == "USD 1,234,567.89"


def said(status: Status, command: Command, caller: Caller) -> str:
    with pytest.raises(Refusal) as failed:
        story_in(status).tell(command, caller)
    return failed.value.message


def test_a_refusal_says_what_the_person_did_not_which_command_needs_what() -> None:
    assert (
        said(Status.CANCELLED, c.RecordOrder("order_1"), BUYER)
        == "This escrow was cancelled and can no longer be paid."
    )
    assert (
        said(Status.INITIATED, c.AddConfirmation(), SELLER)
        == "This escrow has not been paid yet and cannot be confirmed."
    )
    assert (
        said(Status.HELD, c.ResolveDispute(1, 2, "x"), ARBITER) == "This escrow is not in dispute."
    )
    assert (
        said(Status.HELD, c.ReleaseEscrow(), SELLER)
        == "Only the buyer, an administrator or a service of the platform can have this escrow"
        " paid out."
    )


def test_a_milestone_is_called_one() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(c.ReleaseEscrow(part_id="m1"), BUYER)
    with pytest.raises(Refusal) as failed:
        story.tell(c.RaiseDispute("No", "m1"), BUYER)
    assert failed.value.message == (
        "This milestone is decided and its money is on its way, so that it can no longer be"
        " disputed."
    )


@pytest.mark.parametrize("status", Status)
def test_no_refusal_names_a_command_or_a_status(status: Status) -> None:
    words = {command.__name__ for command in TABLE} | set(Status)
    for command in (
        c.RecordOrder("order_1"),
        c.CancelEscrow(),
        c.AcceptEscrow(),
        c.AddConfirmation(),
        c.ReleaseEscrow(),
        c.RefundEscrow(),
        c.RaiseDispute("No"),
        c.WithdrawDispute(),
        c.ResolveDispute(1, 1, "x"),
        c.OverrideSettlement(1, 1, "x"),
        c.PublishUpdate("x"),
        c.PassDeadline(),
    ):
        for caller in (BUYER, SELLER, ARBITER, ADMIN, RAZORPAY):
            sentence = answer(status, command, caller)
            assert not words & set(sentence.replace(".", " ").split())


def answer(status: Status, command: Command, caller: Caller) -> str:
    """What the caller is told; empty where the command is not refused."""
    try:
        story_in(status).tell(command, caller)
    except Refusal as refusal:
        return refusal.message
    return ""
