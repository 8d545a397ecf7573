"""Razorpay's news: twice, late and in any order, they end in the same state."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.escrow import Escrow
from core.law.rules import decide, outstanding
from core.law.status import AttentionCode, EventType, PaymentStatus, Status
from core.settlement.step import payments_of
from tests.core.law.story import (
    AMOUNT,
    BUYER,
    ORDER_ID,
    PAYMENT_ID,
    SELLER,
    Story,
    bank_dispute,
    create,
    payment,
    story_in,
)

News = c.ReportPayment | c.ReportBankDispute | c.ReportRefund


def refund(amount: int = 500, part_id: str | None = None, refund_id: str = "rfnd_1") -> News:
    return c.ReportRefund(refund_id, PAYMENT_ID, amount, part_id)


OF_ONE_PAYMENT: dict[str, list[News]] = {
    "a late authorisation": [payment("failed"), payment("authorized"), payment()],
    "a payment and its order": [payment("failed"), payment("authorized"), payment(), payment()],
    "the bank disputes and loses": [
        payment("authorized"),
        payment(),
        bank_dispute("created"),
        bank_dispute("under_review"),
        bank_dispute("won"),
    ],
    "the bank disputes and wins": [
        payment(),
        bank_dispute("created"),
        bank_dispute("action_required"),
        bank_dispute("under_review"),
        bank_dispute("lost"),
    ],
    "the bank gives the buyer the money and closes": [
        payment(),
        bank_dispute("created"),
        bank_dispute("lost"),
        bank_dispute("closed"),
    ],
    "two disputes": [
        payment(),
        bank_dispute("created", "disp_1"),
        bank_dispute("closed", "disp_1"),
        bank_dispute("closed", "disp_2"),
        bank_dispute("created", "disp_2"),
    ],
    "a refund by hand": [payment("failed"), payment("authorized"), payment(), refund()],
    "a wrong amount": [
        payment("failed", amount_minor=500),
        payment("authorized", amount_minor=500),
        payment(amount_minor=500),
        payment(amount_minor=500),
    ],
}


def cause(news: News) -> str:
    """What makes a piece of news count once, as the executor sees to it."""
    if isinstance(news, c.ReportPayment):
        return f"{news.payment_id}:{news.status}"
    if isinstance(news, c.ReportBankDispute):
        return f"{news.dispute_id}:{news.phase}"
    return f"{news.refund_id}:processed"


def ends(start: Escrow, several: list[News]) -> set[Escrow]:
    """Every state in which some order of the news, each once or twice, can end."""

    @cache
    def rest(escrow: Escrow, left: tuple[int, ...], used: frozenset[str]) -> frozenset[Escrow]:
        found: set[Escrow] = set()
        if all(count < 2 for count in left):  # Each has come at least once.
            found.add(escrow)
        for i, count in enumerate(left):
            if not count:
                continue
            news = several[i]
            after, causes = escrow, used
            event = None if cause(news) in used else decide(escrow, news, RAZORPAY, 1)
            if event is not None:
                after = replace(event.escrow, version=0, update_time_us=0)
                causes = used | {cause(news)}
            found |= rest(after, (*left[:i], count - 1, *left[i + 1 :]), causes)
        return frozenset(found)

    bare = replace(start, version=0, update_time_us=0)
    return set(rest(bare, (2,) * len(several), frozenset()))


@pytest.mark.parametrize("name", OF_ONE_PAYMENT)
def test_all_orders_of_the_news_of_one_payment_end_alike(name: str) -> None:
    story = Story()
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    assert len(ends(story.escrow, OF_ONE_PAYMENT[name])) == 1


@pytest.mark.parametrize("name", ["a late authorisation", "the bank disputes and loses"])
def test_all_orders_end_alike_for_a_cancelled_escrow_too(name: str) -> None:
    assert len(ends(story_in(Status.CANCELLED).escrow, OF_ONE_PAYMENT[name])) == 1


def test_a_failed_payment_may_still_be_captured() -> None:
    story = Story()
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    story.tell(payment("failed"), RAZORPAY)
    assert story.escrow.payment.status is PaymentStatus.FAILED
    story.tell(payment(), RAZORPAY)
    assert story.escrow.status is Status.HELD


@pytest.mark.parametrize("status", ["authorized", "failed"])
def test_nothing_takes_a_captured_payment_back(status: str) -> None:
    story = story_in(Status.HELD)
    assert story.tell(payment(status), RAZORPAY) is None
    assert story.tell(payment(status, "pay_2"), RAZORPAY) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": AMOUNT - 1},
        {"amount_minor": AMOUNT + 1, "order_amount_minor": AMOUNT + 1},
        {"currency": "USD"},
    ],
)
def test_a_payment_of_another_amount_is_flagged_and_owed_back(wrong: dict[str, Any]) -> None:
    story = Story()
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    event = story.tell(payment(**wrong), RAZORPAY)
    assert event is not None
    assert event.type is EventType.ATTENTION_RAISED
    escrow = story.escrow
    assert (escrow.status, escrow.held_minor) == (Status.INITIATED, 0)
    assert PAYMENT_ID in escrow.attention
    assert outstanding(escrow)
    assert payments_of(escrow) == [PAYMENT_ID]
    # Its order is spent: the buyer needs another one, and may pay with that.
    assert (escrow.payment.order_id, escrow.spent_orders) == ("", 1)
    story.tell(c.RecordOrder("order_2"), BUYER)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    assert story.escrow.status is Status.HELD
    returned = c.ReportRefund("rfnd_1", PAYMENT_ID, wrong.get("amount_minor", AMOUNT), "")
    story.tell(returned, RAZORPAY)
    assert story.escrow.attention == ""
    assert story.escrow.held_minor == AMOUNT


def test_a_second_payment_is_owed_back_and_the_first_stays_held() -> None:
    story = story_in(Status.HELD)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    assert story.escrow.held_minor == AMOUNT
    assert payments_of(story.escrow) == ["pay_2", PAYMENT_ID]
    assert story.tell(payment(payment_id="pay_2"), RAZORPAY) is None
    story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, ""), RAZORPAY)
    assert story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, ""), RAZORPAY) is None
    assert story.escrow.held_minor == AMOUNT
    assert payments_of(story.escrow) == [PAYMENT_ID]


def test_a_refused_refund_of_a_surplus_payment_is_over_once_it_has_gone_through() -> None:
    story = story_in(Status.HELD)
    for payment_id in ("pay_2", "pay_3"):
        story.tell(payment(payment_id=payment_id), RAZORPAY)
    story.tell(c.FailSettlement("Razorpay refuses: too little balance"), SETTLEMENT)
    story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, None), RAZORPAY)
    codes = [one.code for one in story.escrow.attentions]
    assert codes == [AttentionCode.GATEWAY_REFUSED, AttentionCode.SURPLUS_PAYMENT]
    story.tell(c.ReportRefund("rfnd_3", "pay_3", AMOUNT, None), RAZORPAY)
    assert (story.escrow.status, story.escrow.attentions) == (Status.HELD, ())


@pytest.mark.parametrize("status", [Status.SETTLING, Status.RELEASED, Status.REFUNDED])
def test_a_surplus_payment_is_owed_back_whatever_the_status(status: Status) -> None:
    story = story_in(status)
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    assert outstanding(story.escrow)
    assert story.escrow.status is status
    story.tell(c.ReportRefund("rfnd_2", "pay_2", AMOUNT, None), RAZORPAY)
    assert outstanding(story.escrow) == (status is Status.SETTLING)


def test_a_late_payment_leaves_the_escrow_cancelled_and_is_owed_back_whole() -> None:
    story = story_in(Status.CANCELLED)
    event = story.tell(payment(), RAZORPAY)
    assert event is not None
    assert event.data["late"] is True
    assert (story.escrow.status, story.escrow.held_minor) == (Status.CANCELLED, AMOUNT)
    assert outstanding(story.escrow)
    story.tell(refund(AMOUNT, ""), RAZORPAY)
    assert (story.escrow.status, story.escrow.refunded_minor) == (Status.CANCELLED, AMOUNT)
    assert not outstanding(story.escrow)
    assert story.escrow.attention == ""
    assert story.tell(refund(AMOUNT, "", "rfnd_9"), RAZORPAY) is None


def test_a_late_payment_of_milestones_is_owed_back_in_one() -> None:
    three = tuple(c.NewMilestone("Part", amount) for amount in (50_000, 30_000, 20_000))
    story = Story(create(milestones=three))
    story.tell(c.CancelEscrow(), SELLER)
    story.tell(payment(), RAZORPAY)
    story.tell(refund(AMOUNT, ""), RAZORPAY)
    assert [p.refunded_minor for p in story.escrow.parts] == [50_000, 30_000, 20_000]


@pytest.mark.parametrize("status", [Status.HELD, Status.DISPUTED, Status.SETTLING])
def test_a_refund_by_hand_is_flagged_and_moves_nothing_in_the_books(status: Status) -> None:
    story = story_in(status)
    held = story.escrow.held_minor
    story.tell(refund(), RAZORPAY)
    assert "rfnd_1" in story.escrow.attention
    assert (story.escrow.status, story.escrow.held_minor) == (status, held)


def test_a_refund_of_another_amount_than_was_decided_does_not_count() -> None:
    story = story_in(Status.HELD)
    story.tell(c.RefundEscrow(), SELLER)
    story.tell(refund(AMOUNT - 1, ""), RAZORPAY)
    assert story.escrow.refunded_minor == 0
    assert story.tell(c.CompleteSettlement(), SETTLEMENT) is None
    assert story.escrow.status is Status.SETTLING


def test_a_dispute_of_the_bank_keeps_attention_until_the_last_is_over() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("created", "disp_1"), RAZORPAY)
    story.tell(bank_dispute("created", "disp_2"), RAZORPAY)
    story.tell(bank_dispute("won", "disp_2"), RAZORPAY)
    assert list(story.escrow.bank_disputes) == ["disp_1"]
    assert story.hold().escrow.attention
    story.tell(bank_dispute("closed", "disp_1"), RAZORPAY)
    assert list(story.escrow.bank_disputes) == []
    assert story.escrow.attention == ""
    assert story.tell(bank_dispute("created", "disp_1"), RAZORPAY) is None


def test_a_dispute_about_another_payment_is_none_of_ours() -> None:
    story = story_in(Status.HELD)
    assert story.tell(bank_dispute("created", payment_id="pay_9"), RAZORPAY) is None


def test_a_dispute_bars_a_release_only_until_its_payment_turns_out_to_be_surplus() -> None:
    story = story_in(Status.INITIATED)
    story.tell(bank_dispute("created", payment_id="pay_2"), RAZORPAY)
    assert list(story.escrow.bank_disputes) == ["disp_1"]
    story.tell(payment(), RAZORPAY)
    assert list(story.escrow.bank_disputes) == []
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    story.tell(bank_dispute("won", payment_id="pay_2"), RAZORPAY)
    assert [item.code for item in story.escrow.attentions] == ["SURPLUS_PAYMENT"]


def test_a_dispute_in_a_state_that_is_not_known_stops_a_release() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("unheard_of"), RAZORPAY)
    assert list(story.escrow.bank_disputes) == ["disp_1"]


def test_a_hold_counts_once() -> None:
    story = story_in(Status.HELD).hold()
    before = Counter(event.type for event in story.events)
    story.hold()
    assert Counter(event.type for event in story.events) == before
