"""The whole table of the contract, section 4: every command in every status by everybody."""

import dataclasses
import itertools
from typing import NamedTuple

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT, Caller, Command
from core.law.rules import TABLE, decide
from core.law.status import AttentionCode, Status
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    INSPECTION_US,
    PAYMENT_ID,
    SECOND_US,
    SELLER,
    SERVICE,
    STRANGER,
    Story,
    bank_dispute,
    create,
    override,
    payment,
    story_in,
)

EVERYBODY = {
    "buyer": BUYER,
    "seller": SELLER,
    "arbiter": ARBITER,
    "stranger": STRANGER,
    "admin": ADMIN,
    "service": SERVICE,
    "razorpay": RAZORPAY,
    "settlement": SETTLEMENT,
    "clock": CLOCK,
}
S = Status


class Row(NamedTuple):
    """Who may give a command, and from which status it leads to which."""

    command: Command
    by: str
    leads: dict[Status, Status]


def _stays(*statuses: Status) -> dict[Status, Status]:
    return {status: status for status in statuses}


# As the contract says it, and by the words of escrow_service.proto; not read from the code.
EXPECTED = [
    Row(c.RecordOrder("order_1"), "buyer service admin", _stays(S.INITIATED)),
    Row(c.CancelEscrow(), "buyer seller service admin", {S.INITIATED: S.CANCELLED}),
    Row(c.AddConfirmation(), "buyer seller", _stays(S.HELD)),
    Row(c.ReleaseEscrow(), "buyer admin service", {S.HELD: S.SETTLING}),
    # By the buyer because the seller of these stories does nothing; see test_acceptance.
    Row(c.RefundEscrow(), "buyer seller admin service", {S.HELD: S.SETTLING}),
    # What stands in the way is told first: see test_deal.
    Row(c.RetrySettlement(), "admin service", {}),
    Row(c.AcceptEscrow(), "seller", _stays(S.INITIATED, S.HELD)),
    Row(c.RaiseDispute("Broken"), "buyer seller", {S.HELD: S.DISPUTED}),
    Row(c.WithdrawDispute(), "buyer", {S.DISPUTED: S.HELD}),
    Row(c.ResolveDispute(60_000, 40_000, "Both heard"), "arbiter admin", {S.DISPUTED: S.SETTLING}),
    Row(c.AddDisputeMessage("It is dented"), "buyer seller arbiter admin", _stays(S.DISPUTED)),
    Row(override(60_000, 40_000), "admin", _stays(S.SETTLING)),
    Row(c.PublishUpdate("parcel_sent"), "service", _stays(*Status)),
    Row(payment(), "razorpay", {S.INITIATED: S.HELD, S.CANCELLED: S.CANCELLED}),
    Row(payment("failed", "pay_9", order_id=""), "razorpay", _stays(S.INITIATED)),
    Row(c.ReportHold("trf_1", 97_500), "settlement", _stays(S.HELD, S.DISPUTED, S.SETTLING)),
    Row(c.CompleteSettlement(), "settlement", {S.SETTLING: S.RELEASED}),
    Row(c.FailSettlement("It cannot be"), "settlement", _stays(*Status)),
    Row(c.PassDeadline(), "clock", {}),
    # Where there is nothing to end, and no lost dispute.
    Row(c.EndAttention(AttentionCode.BOOKS_DIFFER), "settlement", {}),
    Row(c.TakeBack("disp_1", 500), "settlement", {}),
    Row(c.WriteOff("disp_1"), "settlement", {}),
    # Of a payment and a refund that are not the escrow's.
    Row(bank_dispute("created", payment_id="pay_9"), "razorpay", _stays(S.INITIATED, S.CANCELLED)),
    Row(c.ReportRefund("rfnd_1", "pay_9", 500, None), "razorpay", _stays(S.INITIATED)),
]
NEWS = (
    c.ReportPayment,
    c.ReportHold,
    c.CompleteSettlement,
    c.FailSettlement,
    c.PassDeadline,
    c.ReportBankDispute,
    c.ReportRefund,
    c.EndAttention,
    c.TakeBack,
    c.WriteOff,
)


def test_the_expected_table_leaves_no_command_out() -> None:
    assert {type(row.command) for row in EXPECTED} == set(TABLE)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: type(row.command).__name__)
@pytest.mark.parametrize("who", EVERYBODY)
def test_a_command_does_what_the_contract_says_or_leaves_no_trace(
    row: Row, status: Status, who: str
) -> None:
    before = story_in(status).escrow
    story = story_in(status)
    if who not in row.by.split():
        assert _refusal(story, row.command, EVERYBODY[who]) in _reasons_to_keep_out(who, row)
        assert story.escrow == before
        return
    if status in row.leads:
        event = story.tell(_now(row.command, story), EVERYBODY[who])
        assert event is not None
        assert (event.old_status, event.new_status) == (status, row.leads[status])
        return
    assert _refusal(story, row.command, EVERYBODY[who]) in _reasons_to_come_too_early(row)
    assert story.escrow == before


def _now(command: Command, story: Story) -> Command:
    if isinstance(command, c.OverrideSettlement):
        return dataclasses.replace(command, seen_version=story.escrow.version)
    return command


def _refusal(story: Story, command: Command, caller: Caller) -> Reason | None:
    """The reason of the refusal, or None where nothing happened."""
    try:
        assert story.tell(command, caller) is None, "this must not happen"
    except Refusal as refusal:
        return refusal.reason
    return None


def _reasons_to_keep_out(who: str, row: Row) -> set[Reason]:
    return {Reason.ESCROW_NOT_FOUND} if who == "stranger" else {Reason.NOT_A_PARTY}


def _reasons_to_come_too_early(row: Row) -> set[Reason | None]:
    if isinstance(row.command, NEWS):
        return {None}
    # Nobody has raised a dispute where there has been none.
    # And a seller who has refunded a buyer has been there.
    if isinstance(row.command, c.WithdrawDispute | c.RefundEscrow):
        return {Reason.WRONG_STATUS, Reason.NOT_A_PARTY}
    return {Reason.WRONG_STATUS}


@pytest.mark.parametrize("who", EVERYBODY)
def test_an_escrow_is_created_by_its_parties_or_by_a_trusted_role(who: str) -> None:
    if who in ("buyer", "seller", "service", "admin"):
        event = decide(None, create(), EVERYBODY[who], 1)
        assert event is not None
        assert (event.old_status, event.new_status, event.version) == (None, S.INITIATED, 1)
        return
    with pytest.raises(Refusal) as refused:
        decide(None, create(), EVERYBODY[who], 1)
    assert refused.value.reason is Reason.NOT_A_PARTY


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: type(row.command).__name__)
def test_what_does_not_exist_is_not_found(row: Row) -> None:
    with pytest.raises(Refusal) as refused:
        decide(None, row.command, ADMIN, 1)
    assert refused.value.reason is Reason.ESCROW_NOT_FOUND


@pytest.mark.parametrize("first", [c.ReleaseEscrow(), c.RefundEscrow()])
@pytest.mark.parametrize("second", [c.ReleaseEscrow(), c.RefundEscrow()])
def test_release_and_refund_never_both_win(first: Command, second: Command) -> None:
    story = story_in(Status.HELD)
    story.tell(first, ADMIN)
    decided = story.escrow.parts[0].settlement
    for caller in (BUYER, SELLER, ADMIN, SERVICE):
        with pytest.raises(Refusal):
            story.tell(second, caller)
    assert story.escrow.parts[0].settlement == decided
    story.settle()
    with pytest.raises(Refusal):
        story.tell(second, ADMIN)
    assert story.escrow.released_minor * story.escrow.refunded_minor == 0


def test_the_two_confirmations_release_in_either_order() -> None:
    for first, second in itertools.permutations((BUYER, SELLER)):
        story = story_in(Status.HELD)
        one = story.tell(c.AddConfirmation(), first)
        assert one is not None
        assert one.new_status is S.HELD
        with pytest.raises(Refusal) as refused:
            story.tell(c.AddConfirmation(), first)
        assert refused.value.reason is Reason.ALREADY_CONFIRMED
        both = story.tell(c.AddConfirmation(), second)
        assert both is not None
        assert both.new_status is S.SETTLING
        assert story.settle().escrow.released_minor == AMOUNT - 2_500


@pytest.mark.parametrize("who", ["admin", "service", "buyer"])
def test_a_settlement_that_waits_for_a_person_is_tried_again_by_a_trusted_role(who: str) -> None:
    story = story_in(Status.SETTLING)
    with pytest.raises(Refusal):
        story.tell(c.ReleaseEscrow(), EVERYBODY[who])
    story.tell(c.FailSettlement("PAYEE_MISSING"), SETTLEMENT)
    if who == "buyer":
        with pytest.raises(Refusal) as refused:
            story.tell(c.ReleaseEscrow(), BUYER)
        assert refused.value.reason is Reason.WRONG_STATUS
        return
    again = story.tell(c.ReleaseEscrow(), EVERYBODY[who])
    assert again is not None
    assert again.new_status is S.SETTLING
    assert story.escrow.attention == ""


def test_trying_again_does_not_turn_a_release_into_a_refund() -> None:
    story = story_in(Status.SETTLING)
    story.tell(c.FailSettlement("PAYEE_MISSING"), SETTLEMENT)
    with pytest.raises(Refusal) as refused:
        story.tell(c.RefundEscrow(), ADMIN)
    assert refused.value.reason is Reason.WRONG_STATUS
    assert story.settle().escrow.status is S.RELEASED


def test_the_payment_window_cancels_and_not_a_moment_before() -> None:
    story = Story()
    end_us = story.escrow.create_time_us + story.escrow.payment_window_us
    story.now_us = end_us - SECOND_US - 1
    assert story.tell(c.PassDeadline(), CLOCK) is None
    story.now_us = end_us - SECOND_US
    assert story.tell(c.PassDeadline(), CLOCK) is not None
    assert story.escrow.status is S.CANCELLED
    assert story.pass_time(INSPECTION_US) is None


def test_the_inspection_period_releases_after_the_sellers_confirmation_alone() -> None:
    story = story_in(Status.HELD)
    story.tell(c.AddConfirmation(), BUYER)
    assert story.pass_time(10 * INSPECTION_US) is None
    story = story_in(Status.HELD)
    story.tell(c.AddConfirmation(), SELLER)
    confirmed_us = story.now_us
    story.now_us = confirmed_us + INSPECTION_US - SECOND_US - 1
    assert story.tell(c.PassDeadline(), CLOCK) is None
    story.now_us -= SECOND_US - 1
    assert story.tell(c.PassDeadline(), CLOCK) is not None
    assert story.settle().escrow.status is S.RELEASED


def test_no_clock_releases_what_is_disputed() -> None:
    story = story_in(Status.HELD)
    story.tell(c.AddConfirmation(), SELLER)
    story.tell(c.RaiseDispute("Broken"), BUYER)
    assert story.pass_time(10 * INSPECTION_US) is None
    assert story.escrow.status is S.DISPUTED


def test_only_who_raised_a_dispute_withdraws_it() -> None:
    story = story_in(Status.HELD)
    story.tell(c.RaiseDispute("Not paid for the extras"), SELLER)
    for caller in (BUYER, ARBITER, ADMIN, SERVICE):
        with pytest.raises(Refusal) as refused:
            story.tell(c.WithdrawDispute(), caller)
        assert refused.value.reason is Reason.NOT_A_PARTY
    story.tell(c.WithdrawDispute(), SELLER)
    assert story.escrow.status is S.HELD


@pytest.mark.parametrize(
    ("release", "refund"),
    [
        (AMOUNT, 1),
        (AMOUNT - 1, 0),
        (AMOUNT - 99, 99),
        (99, AMOUNT - 99),
        (-100, AMOUNT + 100),
        (AMOUNT + 100, -100),
        (0, 0),
        (2**62, -(2**62) + AMOUNT),
    ],
)
def test_a_dispute_is_resolved_with_all_that_is_held_in_amounts_that_move(
    release: int, refund: int
) -> None:
    story = story_in(Status.DISPUTED)
    with pytest.raises(Refusal) as refused:
        story.tell(c.ResolveDispute(release, refund, "Both heard"), ARBITER)
    assert refused.value.reason is Reason.AMOUNT_INVALID
    assert story.escrow.status is S.DISPUTED


@pytest.mark.parametrize(
    ("release", "refund", "ends"),
    [
        (AMOUNT, 0, S.RELEASED),
        (0, AMOUNT, S.REFUNDED),
        (100, AMOUNT - 100, S.SPLIT),
        (AMOUNT - 100, 100, S.SPLIT),
    ],
)
def test_a_resolved_dispute_ends_as_its_amounts_say(
    release: int, refund: int, ends: Status
) -> None:
    story = story_in(Status.DISPUTED)
    story.hold()
    story.tell(c.ResolveDispute(release, refund, "Both heard"), ADMIN)
    escrow = story.settle().escrow
    assert escrow.status is ends
    assert (escrow.released_minor + escrow.fee_minor, escrow.refunded_minor) == (release, refund)
    assert escrow.payment.payment_id == PAYMENT_ID
