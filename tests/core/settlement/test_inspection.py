"""The inspection: each entity gets the verdict that a person would give it."""

from dataclasses import replace
from typing import Any

import pytest

from core.law import command as c
from core.law.command import SETTLEMENT
from core.law.escrow import Escrow
from core.law.part import Move
from core.law.status import Status
from core.razorpay import Order, Payment, Reversal, Transfer
from core.settlement.act import Found
from core.settlement.inspection import Kind, Line, Listings, Verdict, lines
from tests.core.law.story import AMOUNT, ESCROW_ID, ORDER_ID, PAYMENT_ID, story_in
from tests.core.settlement.test_compare import (
    GIVEN_BACK,
    LET_GO,
    NET,
    ON_HOLD,
    PAID,
    REFUNDED,
)

ORDER = Order(ORDER_ID, ESCROW_ID, AMOUNT, "INR", "paid", AMOUNT)
KNOWN = replace(GIVEN_BACK, refund_id=REFUNDED.payment.refunds[0].refund_id)
HELD = story_in(Status.HELD)
HELD.tell(c.ReportHold("trf_1", NET, "", (Move("trf_1", NET),)), SETTLEMENT)


def inspect(
    *things: Any, escrow: Escrow = HELD.escrow, paid: Payment | None = PAID, order: Any = ORDER
) -> list[Line]:
    transfers = [one for one in things if isinstance(one, Transfer)]
    reversals = [one for one in things if isinstance(one, Reversal)]
    refunds = [one for one in things if not isinstance(one, Transfer | Reversal)]
    found = Found(paid, transfers, {"trf_1": reversals}, refunds) if paid else None
    return lines(escrow, Listings({ORDER_ID: order}, {PAYMENT_ID: found}))


def verdict(kind: Kind, told: list[Line]) -> tuple[str, str]:
    (line,) = (one for one in told if one.kind is kind)
    return line.verdict, line.message


def test_what_razorpay_and_the_record_share_agrees_line_by_line() -> None:
    told = inspect(ON_HOLD)
    assert [(line.kind, line.verdict) for line in told] == [
        (kind, Verdict.AGREES) for kind in (Kind.ORDER, Kind.PAYMENT, Kind.TRANSFER)
    ]
    assert [line.parent_id for line in told] == ["", ORDER_ID, PAYMENT_ID]


@pytest.mark.parametrize(
    ("kind", "told", "wanted", "words"),
    [
        (Kind.ORDER, inspect(ON_HOLD, order=None), Verdict.NOT_SEEN, "does not show it"),
        (
            Kind.PAYMENT,
            inspect(ON_HOLD, paid=replace(PAID, amount_minor=AMOUNT + 5_000)),
            Verdict.DIFFERS,
            "Razorpay has ₹50 more.",
        ),
        (
            Kind.PAYMENT,
            inspect(ON_HOLD, paid=replace(PAID, status="failed")),
            Verdict.DIFFERS,
            "Razorpay says failed",
        ),
        (Kind.PAYMENT, inspect(paid=None), Verdict.NOT_SEEN, "does not show it"),
        (
            Kind.TRANSFER,
            inspect(replace(ON_HOLD, amount_minor=NET - 100)),
            Verdict.DIFFERS,
            "₹1 less",
        ),
        (Kind.TRANSFER, inspect(LET_GO), Verdict.DIFFERS, "No longer on hold"),
        (Kind.TRANSFER, inspect(), Verdict.NOT_SEEN, "does not show it"),
        (
            Kind.REVERSAL,
            inspect(ON_HOLD, Reversal("rvrsl_1", "trf_1", 500, {})),
            Verdict.NOT_RECORDED,
            "the record does not say so",
        ),
        (
            Kind.REFUND,
            inspect(ON_HOLD, replace(GIVEN_BACK, status="pending")),
            Verdict.NOT_RECORDED,
            "Under way",
        ),
        (
            Kind.REFUND,
            inspect(ON_HOLD, replace(GIVEN_BACK, status="failed")),
            Verdict.AGREES,
            "nothing moved",
        ),
        (Kind.REFUND, inspect(ON_HOLD, escrow=REFUNDED), Verdict.NOT_SEEN, "does not show it"),
        (Kind.REFUND, inspect(KNOWN, escrow=REFUNDED), Verdict.AGREES, "the same"),
    ],
)
def test_what_differs_is_told_with_how_much(
    kind: Kind, told: list[Line], wanted: Verdict, words: str
) -> None:
    found, message = verdict(kind, told)
    assert found == wanted
    assert words in message


def test_an_attempt_that_failed_beside_the_payment_is_no_difference() -> None:
    found = Found(replace(PAID, payment_id="pay_0", status="failed"))
    told = lines(HELD.escrow, Listings({}, {"pay_0": found}))
    assert [(one.verdict, one.recorded_minor) for one in told] == [(Verdict.AGREES, None)]


def test_a_transfer_of_somebody_else_is_told_to_be_so() -> None:
    foreign = replace(ON_HOLD, transfer_id="trf_2", notes={})
    told = {one.entity_id: one.message for one in inspect(ON_HOLD, foreign)}
    assert told["trf_2"] == "Not made by Holdfast."
