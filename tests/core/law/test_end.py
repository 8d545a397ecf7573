"""From every state that random paths lead to, what people and Razorpay can do leads to an end."""

import contextlib
import random

import pytest

from core.errors import Refusal
from core.law import command as c
from core.law.chargeback import unsettled
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.part import Part
from core.law.payment import Chargeback
from core.law.rules import outstanding
from core.law.status import FINAL, Status
from tests.core.law.story import ADMIN, Story, bank_dispute, milestones
from tests.core.law.test_ledger import any_command

PATHS, STEPS = 150, 40


def settle_disputes(story: Story) -> None:
    """Let the bank decide for the buyer, and settlement take the money from where it is."""
    for one in story.escrow.chargebacks:
        if not one.is_over:
            amount = one.amount_minor
            story.tell(bank_dispute("lost", one.dispute_id, one.payment_id, amount), RAZORPAY)
    for one in unsettled(story.escrow):
        for part in story.escrow.parts:
            take(story, one, part)
        for surplus in story.escrow.surplus:
            rest = surplus.amount_minor - surplus.refunded_minor
            if surplus.payment_id == one.payment_id and rest:
                amount = min(left_of(story, one), rest)
                command = c.TakeBack(one.dispute_id, amount, payment_id=one.payment_id)
                story.tell(command, SETTLEMENT)
        story.tell(c.WriteOff(one.dispute_id), SETTLEMENT)


def take(story: Story, one: Chargeback, part: Part) -> None:
    is_ours = story.escrow.payment.payment_id == one.payment_id
    amount = min(left_of(story, one), part.held_minor)
    if is_ours and amount and part.repaid_minor == 0:
        story.tell(c.TakeBack(one.dispute_id, amount, part.part_id), SETTLEMENT)


def left_of(story: Story, one: Chargeback) -> int:
    left = {other.dispute_id: other.unsettled_minor for other in unsettled(story.escrow)}
    return left.get(one.dispute_id, 0)


def return_surplus(story: Story) -> None:
    for number, surplus in enumerate(story.escrow.surplus):
        rest = surplus.amount_minor - surplus.refunded_minor
        if rest:
            refund = c.ReportRefund(f"rfnd_s{number}", surplus.payment_id, rest, None)
            story.tell(refund, RAZORPAY)


def end_part(story: Story, part: Part) -> None:
    """What an admin and Razorpay can do for a part, whatever it waits for."""
    if part.status is Status.DISPUTED:
        verdict = c.ResolveDispute(0, part.held_minor, "Both heard", part.part_id)
        story.tell(verdict, ADMIN)
    elif part.status is Status.HELD:
        story.tell(c.RefundEscrow(part_id=part.part_id), ADMIN)
    now = story.escrow.part(part.part_id)
    assert now is not None
    if now.status is not Status.SETTLING:
        return
    settlement = now.settlement
    assert settlement is not None
    payment_id, rest = story.escrow.payment.payment_id, settlement.repay_minor - now.repaid_minor
    if rest:
        story.tell(c.ReportRefund(f"rfnd_{part.part_id}", payment_id, rest, part.part_id), RAZORPAY)
    story.tell(c.CompleteSettlement(part.part_id), SETTLEMENT)


def end(story: Story) -> None:
    settle_disputes(story)
    if story.escrow.status is Status.INITIATED:
        story.tell(c.CancelEscrow(), ADMIN)
    if story.escrow.status is Status.CANCELLED and story.escrow.held_minor:
        whole = c.ReportRefund(
            "rfnd_w", story.escrow.payment.payment_id, story.escrow.held_minor, ""
        )
        story.tell(whole, RAZORPAY)
    for part in story.escrow.parts:
        end_part(story, part)
    return_surplus(story)


@pytest.mark.parametrize("is_in_parts", [False, True])
def test_every_path_can_be_brought_to_an_end(is_in_parts: bool) -> None:
    rng = random.Random(11)
    for _ in range(PATHS):
        story = Story(milestones(40_000, 35_000, 25_000) if is_in_parts else None)
        if rng.random() < 0.8:
            story.pay()
        for _ in range(rng.randrange(STEPS)):
            command, caller = any_command(rng, story)
            if isinstance(command, c.FailSettlement) and story.escrow.status in FINAL:
                continue  # Settlement has no work there.
            with contextlib.suppress(Refusal):
                story.tell(command, caller)
        end(story)
        escrow = story.escrow
        assert escrow.status in FINAL, escrow
        assert not outstanding(escrow), escrow
        left = {item.code for item in escrow.attentions} - {"PLATFORM_LOSS", "FOREIGN_REFUND"}
        if not escrow.payment.is_captured:
            left -= {"BANK_DISPUTE"}  # Its payment may still come.
        assert not left, escrow.attentions
