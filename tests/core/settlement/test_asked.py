"""What was asked of Razorpay is seen to be done, or may still be on its way."""

import pytest

from core.law import command as c
from core.settlement.act import Capture, Found, Hold, Repay, Reverse, Step, Stuck, Unhold, Wait
from core.settlement.asked import has_no_key, is_shown, mark, must_wait_for
from core.settlement.report import Report, tags
from tests.core.law.story import ESCROW_ID, PAYMENT_ID
from tests.core.settlement.test_step import ACCOUNT, NET, paid, refund, transfer

Call = Hold | Reverse | Unhold | Repay
HOLD = Hold(PAYMENT_ID, "", ACCOUNT, NET)
REVERSE = Reverse("trf_1", "", 500)
UNHOLD = Unhold("trf_1")
REPAY = Repay(PAYMENT_ID, "", 500, "key")
BEFORE = {PAYMENT_ID: Found(paid(), [transfer()])}
DONE: dict[Call, Found] = {
    HOLD: Found(paid(), [transfer(), transfer(number=2)]),
    REVERSE: Found(paid(), [transfer(reversed_minor=500)]),
    UNHOLD: Found(paid(), [transfer(on_hold=False)]),
    REPAY: Found(paid(), [transfer()], refunds=[refund(500, "pending")]),
}
TOLD = Report(c.ReportHold("trf_1", NET), "razorpay:trf_1:held")
TAKEN = Report(c.TakeBack("disp_1", 500), "settle:disp_1:whole:v1", is_exclusive=True)


def asked(step: Call) -> str:
    made = mark(step, BEFORE)
    assert made is not None
    return made


@pytest.mark.parametrize("step", DONE, ids=lambda step: type(step).__name__)
def test_a_call_is_known_by_what_the_listings_show_later(
    step: Call,
) -> None:
    assert not is_shown(asked(step), BEFORE)
    for other, found in DONE.items():
        assert is_shown(asked(step), {PAYMENT_ID: found}) == (other is step)
    assert has_no_key(asked(step)) == isinstance(step, Hold | Reverse)


def test_what_may_be_repeated_and_counts_for_nothing_leaves_no_trace() -> None:
    assert mark(Capture(PAYMENT_ID, 500), BEFORE) is None
    assert mark(TOLD, BEFORE) is None


@pytest.mark.parametrize(
    "other",
    [refund(500, notes={}), refund(500, part="m2"), refund(500, notes=tags(ESCROW_ID, "m1"))],
)
def test_the_refund_of_somebody_else_does_not_show_ours(other: object) -> None:
    found = {PAYMENT_ID: Found(paid(), refunds=[other])}  # type: ignore[list-item]
    assert not is_shown(asked(REPAY), found)


def test_the_same_refund_of_another_amount_is_another_call() -> None:
    assert asked(REPAY) == asked(Repay(PAYMENT_ID, "", 500, "another key"))
    assert asked(REPAY) != asked(Repay(PAYMENT_ID, "", 499, "key"))


CALLS: list[Step] = [*DONE]
STEPS: list[Step | None] = [None, Wait(), Stuck("", "no"), TOLD, TAKEN, *CALLS]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", [HOLD, REVERSE])
def test_beside_a_call_without_key_nothing_is_done(
    first: Hold | Reverse, step: Step | None
) -> None:
    assert must_wait_for(asked(first), step, BEFORE)


@pytest.mark.parametrize("first", [UNHOLD, REPAY])
def test_beside_a_call_with_a_key_only_that_call_is_made(first: Unhold | Repay) -> None:
    free = (None, Wait(), Stuck("", "no"), TOLD, first)
    for step in STEPS:
        assert must_wait_for(asked(first), step, BEFORE) == (step not in free)
