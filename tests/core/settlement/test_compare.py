"""The comparison with Razorpay: each difference is found, and none where there is none."""

from dataclasses import replace

import pytest

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.escrow import Escrow
from core.law.status import Status
from core.razorpay import Payment, Refund, Transfer
from core.settlement.act import Found
from core.settlement.compare import Finding, compare
from core.settlement.report import tags
from tests.core.law.story import (
    AMOUNT,
    ESCROW_ID,
    ORDER_ID,
    PAYMENT_ID,
    Story,
    milestones,
    payment,
    story_in,
)

NET = 97_500
PAID = Payment(PAYMENT_ID, ORDER_ID, "captured", AMOUNT, "INR", 2_360, 360, 0, "")
ON_HOLD = Transfer(
    transfer_id="trf_1",
    payment_id=PAYMENT_ID,
    account_id="acc_12345678901234",
    amount_minor=NET,
    reversed_minor=0,
    currency="INR",
    on_hold=True,
    status="processed",
    settlement_status="on_hold",
    notes=tags(ESCROW_ID, ""),
    error_reason="",
)
LET_GO = replace(ON_HOLD, on_hold=False)
REVERSED = replace(ON_HOLD, reversed_minor=NET, status="reversed")
GIVEN_BACK = Refund("rfnd_1", PAYMENT_ID, AMOUNT, "INR", "processed", tags(ESCROW_ID, ""))

HELD = story_in(Status.HELD).hold().escrow
RELEASED = story_in(Status.RELEASED).escrow
REFUNDED = story_in(Status.REFUNDED).escrow
SPLIT = story_in(Status.SPLIT).escrow


def late() -> Escrow:
    """Cancelled before the payment came, and given back."""
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    story.tell(c.ReportRefund("rfnd_1", PAYMENT_ID, AMOUNT, ""), RAZORPAY)
    return story.escrow


def found(*things: Transfer | Refund, paid: Payment = PAID) -> dict[str, Found]:
    transfers = [one for one in things if isinstance(one, Transfer)]
    refunds = [one for one in things if isinstance(one, Refund)]
    return {paid.payment_id: Found(paid, transfers, {}, refunds)}


AGREE = {
    "held": (HELD, found(ON_HOLD)),
    "released": (RELEASED, found(LET_GO)),
    "refunded": (
        REFUNDED,
        found(REVERSED, GIVEN_BACK, paid=replace(PAID, status="refunded", refunded_minor=AMOUNT)),
    ),
    "split": (
        SPLIT,
        found(
            replace(LET_GO, reversed_minor=NET - 58_500),
            replace(GIVEN_BACK, amount_minor=40_000),
        ),
    ),
    "late": (late(), found(GIVEN_BACK)),
    "a transfer that failed before": (
        HELD,
        found(replace(ON_HOLD, transfer_id="trf_0", status="failed"), ON_HOLD),
    ),
    "a refund that is not through": (
        HELD,
        found(ON_HOLD, replace(GIVEN_BACK, status="pending"), replace(GIVEN_BACK, status="failed")),
    ),
    "a transfer of somebody else": (
        HELD,
        found(ON_HOLD, replace(LET_GO, transfer_id="trf_2", notes={})),
    ),
    "not asked for": (HELD, {}),
}


@pytest.mark.parametrize("name", AGREE)
def test_where_razorpay_and_the_escrow_agree_nothing_is_found(name: str) -> None:
    escrow, have = AGREE[name]
    assert compare(escrow, have) == []


DIFFER = {
    "payment status": (
        HELD,
        found(ON_HOLD, paid=replace(PAID, status="authorized")),
        "payment pay_1 is authorized, not captured",
    ),
    "payment amount": (
        HELD,
        found(ON_HOLD, paid=replace(PAID, amount_minor=AMOUNT - 1)),
        "the payment is of 99999, not 100000",
    ),
    "fee": (
        HELD,
        found(ON_HOLD, paid=replace(PAID, fee_minor=2_361)),
        "Razorpay's fee is another than the one that was posted",
    ),
    "a refund too much": (
        HELD,
        found(ON_HOLD, replace(GIVEN_BACK, amount_minor=500)),
        "Razorpay has refunded 500, the escrow says 0",
    ),
    "a refund too few": (
        SPLIT,
        found(replace(LET_GO, reversed_minor=NET - 58_500)),
        "Razorpay has refunded 0, the escrow says 40000",
    ),
    "too little stands": (
        HELD,
        found(replace(ON_HOLD, reversed_minor=1)),
        "transfers of whole come to 97499, the escrow says 97500",
    ),
    "too much stands": (
        RELEASED,
        found(LET_GO, replace(LET_GO, transfer_id="trf_2", amount_minor=100)),
        "transfers of whole come to 97600, the escrow says 97500",
    ),
    "nothing stands": (HELD, found(), "transfers of whole come to 0, the escrow says 97500"),
    "something stands of a refund": (
        REFUNDED,
        found(replace(ON_HOLD, reversed_minor=NET - 100), GIVEN_BACK),
        "transfers of whole come to 100, the escrow says 0",
    ),
    "on hold after the release": (RELEASED, found(ON_HOLD), "transfer trf_1 is still on hold"),
    "let go while held": (HELD, found(LET_GO), "transfer trf_1 is no longer on hold"),
}


@pytest.mark.parametrize("name", DIFFER)
def test_each_difference_from_razorpay_is_found_and_named(name: str) -> None:
    escrow, have, message = DIFFER[name]
    assert compare(escrow, have) == [Finding(ESCROW_ID, "RAZORPAY", message)]


def test_the_transfers_of_each_milestone_are_compared_by_themselves() -> None:
    story = Story(milestones(60_000, 40_000)).pay().hold("m1").hold("m2")
    first = replace(ON_HOLD, amount_minor=58_500, notes=tags(ESCROW_ID, "m1"))
    second = replace(ON_HOLD, amount_minor=39_000, notes=tags(ESCROW_ID, "m2"))
    assert compare(story.escrow, found(first, second)) == []
    swapped = found(replace(first, amount_minor=39_000), replace(second, amount_minor=58_500))
    assert [finding.message for finding in compare(story.escrow, swapped)] == [
        "transfers of m1 come to 39000, the escrow says 58500",
        "transfers of m2 come to 58500, the escrow says 39000",
    ]


def test_all_that_differs_is_told_at_once() -> None:
    have = found(LET_GO, GIVEN_BACK, paid=replace(PAID, fee_minor=1))
    assert len(compare(HELD, have)) == 3
