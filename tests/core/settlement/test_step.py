"""The comparison: for each situation at Razorpay the one next step."""

from typing import Any

import pytest

from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.escrow import Escrow
from core.law.part import Move
from core.law.rules import decide
from core.law.status import AttentionCode, Status
from core.razorpay import Dispute, Order, Payment, Refund, Reversal, Transfer
from core.settlement.act import (
    MAX_FAILED,
    Blocked,
    Capture,
    Found,
    Hold,
    Repay,
    Reverse,
    Stuck,
    Unhold,
    Wait,
)
from core.settlement.report import Report, dispute_report, tags
from core.settlement.step import next_step
from tests.core.law.story import (
    ADMIN,
    AMOUNT,
    ARBITER,
    BUYER,
    ESCROW_ID,
    ORDER_ID,
    PAYMENT_ID,
    SELLER,
    Story,
    bank_dispute,
    milestones,
    payment,
    story_in,
)

ACCOUNT = "acc_12345678901234"
NET = 97_500


def paid(status: str = "captured", **more: Any) -> Payment:
    fields: dict[str, Any] = {
        "payment_id": PAYMENT_ID,
        "order_id": ORDER_ID,
        "status": status,
        "amount_minor": AMOUNT,
        "currency": "INR",
        "fee_minor": 2_360,
        "tax_minor": 360,
        "refunded_minor": 0,
        "error_reason": "",
        **more,
    }
    return Payment(**fields)


def transfer(amount: int = NET, part: str = "", number: int = 1, **more: Any) -> Transfer:
    fields: dict[str, Any] = {
        "transfer_id": f"trf_{number}",
        "payment_id": PAYMENT_ID,
        "account_id": ACCOUNT,
        "amount_minor": amount,
        "reversed_minor": 0,
        "currency": "INR",
        "on_hold": True,
        "status": "processed",
        "settlement_status": "on_hold",
        "notes": tags(ESCROW_ID, part),
        "error_reason": "",
        **more,
    }
    return Transfer(**fields)


def refund(amount: int, status: str = "processed", number: int = 1, **more: Any) -> Refund:
    notes = more.pop("notes", tags(ESCROW_ID, more.pop("part", "")))
    return Refund(f"rfnd_{number}", PAYMENT_ID, amount, "INR", status, notes)


def step(escrow: Escrow, *things: Transfer | Refund | Reversal, **more: Any) -> Any:
    """The next step where Razorpay has these things."""
    reversals: dict[str, list[Reversal]] = {}
    for thing in things:
        if isinstance(thing, Reversal):
            reversals.setdefault(thing.transfer_id, []).append(thing)
    found = Found(
        more.get("payment", paid()),
        [t for t in things if isinstance(t, Transfer)],
        reversals,
        [r for r in things if isinstance(r, Refund)],
    )
    return next_step(escrow, {found.payment.payment_id: found}, more.get("account", ACCOUNT))


def decided(release: int) -> Escrow:
    story = story_in(Status.HELD).hold()
    story.tell(c.RaiseDispute("Broken"), BUYER)
    story.tell(c.ResolveDispute(release, AMOUNT - release, "Both heard"), ARBITER)
    return story.escrow


RELEASE, REFUND, SPLIT = decided(AMOUNT), decided(0), decided(60_000)
SPLIT_NET = 58_500


def test_what_is_paid_is_held_then_reported_then_left_alone() -> None:
    held = story_in(Status.HELD).escrow
    assert step(held) == Hold(PAYMENT_ID, "", ACCOUNT, NET)
    assert step(held, transfer(status="pending")) == Wait()
    report = step(held, transfer())
    assert isinstance(report, Report)
    assert report.command == c.ReportHold("trf_1", NET, "", (Move("trf_1", NET),))
    assert step(story_in(Status.HELD).hold().escrow, transfer()) is None


def test_without_an_account_nobody_is_alarmed_until_the_decision() -> None:
    assert step(story_in(Status.HELD).escrow, account=None) == Blocked()
    stuck = step(story_in(Status.SETTLING).escrow, account=None)
    assert isinstance(stuck, Stuck)
    assert stuck.problem.startswith("PAYEE_MISSING")


def test_a_release_takes_off_hold_and_then_completes() -> None:
    assert step(RELEASE, transfer()) == Unhold("trf_1")
    done = step(RELEASE, transfer(on_hold=False, fee_minor=288, tax_minor=44))
    assert isinstance(done, Report)
    assert done.command == c.CompleteSettlement("", (Move("trf_1", NET, 288, 44),))


def test_a_refund_reverses_repays_and_then_completes() -> None:
    assert step(REFUND, transfer()) == Reverse("trf_1", "", NET)
    gone = transfer(reversed_minor=NET, status="reversed")
    back = Reversal("rvrsl_1", "trf_1", NET, tags(ESCROW_ID, ""))
    assert step(REFUND, gone, back) == Repay(PAYMENT_ID, "", AMOUNT, f"{ESCROW_ID}--0")
    assert step(REFUND, gone, back, refund(AMOUNT, "pending")) == Wait()
    report = step(REFUND, gone, back, refund(AMOUNT))
    assert isinstance(report, Report)
    assert report.command == c.ReportRefund("rfnd_1", PAYMENT_ID, AMOUNT, "")


def test_a_split_reverses_in_part_before_it_repays_and_releases_last() -> None:
    assert step(SPLIT, transfer()) == Reverse("trf_1", "", NET - SPLIT_NET)
    part = transfer(reversed_minor=NET - SPLIT_NET, status="partially_reversed")
    repay = step(SPLIT, part)
    assert isinstance(repay, Repay)
    assert repay.amount_minor == 40_000
    assert isinstance(step(SPLIT, part, refund(40_000)), Report)


def test_too_little_to_reverse_is_taken_back_whole_and_made_anew() -> None:
    escrow = decided(AMOUNT - 100)
    wanted = AMOUNT - 100 - 2_497
    assert NET - wanted < 100
    assert step(escrow, transfer()) == Reverse("trf_1", "", NET)
    gone = transfer(reversed_minor=NET, status="reversed")
    assert step(escrow, gone) == Hold(PAYMENT_ID, "", ACCOUNT, wanted)
    anew = transfer(wanted, number=2)
    assert isinstance(step(escrow, gone, anew), Repay)


def test_no_transfer_is_tried_once_a_refund_has_begun() -> None:
    stuck = step(story_in(Status.SETTLING).escrow, refund(500, notes={}))
    assert isinstance(stuck, Stuck)
    assert "refund" in stuck.problem


@pytest.mark.parametrize("failures", range(MAX_FAILED + 1))
def test_a_failed_transfer_is_made_anew_a_few_times(failures: int) -> None:
    failed = [
        transfer(number=n, status="failed", error_reason="insufficient_balance")
        for n in range(failures)
    ]
    answer = step(story_in(Status.HELD).escrow, *failed)
    if failures < MAX_FAILED:
        assert answer == Hold(PAYMENT_ID, "", ACCOUNT, NET)
    else:
        assert isinstance(answer, Stuck)
        assert "insufficient_balance" in answer.problem


@pytest.mark.parametrize("failures", range(MAX_FAILED + 1))
def test_a_failed_refund_is_made_anew_under_a_key_of_its_own(failures: int) -> None:
    escrow = story_in(Status.HELD)
    escrow.tell(c.RefundEscrow(), SELLER)
    failed = [refund(AMOUNT, "failed", n) for n in range(failures)]
    answer = step(escrow.escrow, *failed)
    if failures < MAX_FAILED:
        assert answer == Repay(PAYMENT_ID, "", AMOUNT, f"{ESCROW_ID}--{failures}")
    else:
        assert isinstance(answer, Stuck)


def test_another_account_has_chances_of_its_own() -> None:
    failed = [transfer(number=n, status="failed") for n in range(MAX_FAILED)]
    escrow = story_in(Status.HELD).escrow
    assert isinstance(step(escrow, *failed), Stuck)
    assert step(escrow, *failed, account="acc_2") == Hold(PAYMENT_ID, "", "acc_2", NET)


@pytest.mark.parametrize("is_transfer", [True, False])
def test_who_was_told_of_failures_or_asks_again_has_new_tries(is_transfer: bool) -> None:
    story = story_in(Status.HELD)
    ask = c.ReleaseEscrow() if is_transfer else c.RefundEscrow()
    story.tell(ask, BUYER if is_transfer else SELLER)

    def failures(count: int) -> list[Transfer | Refund]:
        if is_transfer:
            return [transfer(number=n, status="failed") for n in range(count)]
        return [refund(AMOUNT, "failed", n) for n in range(count)]

    def fails(count: int) -> bool:
        stuck = step(story.escrow, *failures(count))
        if isinstance(stuck, Stuck):
            story.tell(c.FailSettlement(stuck.problem), SETTLEMENT)
            return True
        assert isinstance(stuck, Hold if is_transfer else Repay)
        return False

    # Told once, tried once more.
    assert [fails(MAX_FAILED), fails(MAX_FAILED), fails(MAX_FAILED + 1)] == [True, False, True]
    story.tell(ask, ADMIN)
    assert not any(fails(count) for count in range(MAX_FAILED, 2 * MAX_FAILED))
    assert fails(2 * MAX_FAILED)


def test_a_lost_dispute_takes_the_place_of_a_refund() -> None:
    told = story_in(Status.HELD)
    told.tell(c.RefundEscrow(), SELLER)
    late = story_in(Status.CANCELLED)
    late.tell(payment(), RAZORPAY)
    for story in (told, late):
        assert isinstance(step(story.escrow), Repay)
        story.tell(bank_dispute("created"), RAZORPAY)
        assert isinstance(step(story.escrow), Repay)
        story.tell(bank_dispute("lost"), RAZORPAY)
        # A refund that was faster is reported as any other.
        assert step(story.escrow, refund(AMOUNT, "pending")) == Wait()
        done = step(story.escrow, refund(AMOUNT))
        assert isinstance(done, Report)
        assert isinstance(done.command, c.ReportRefund)
        taken = step(story.escrow)
        assert isinstance(taken, Report)
        assert taken.command == c.TakeBack("disp_1", AMOUNT)


def test_what_was_paid_out_before_a_dispute_was_lost_is_the_platforms() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(c.ReleaseEscrow(), BUYER)
    story.tell(bank_dispute("lost"), RAZORPAY)
    assert step(story.escrow, transfer()).command == c.TakeBack("disp_1", AMOUNT)
    assert step(story.escrow, transfer(on_hold=False)).command == c.CompleteSettlement(
        "", (Move("trf_1", NET),)
    )
    story.tell(c.CompleteSettlement(), SETTLEMENT)
    assert step(story.escrow, transfer(on_hold=False)).command == c.WriteOff("disp_1")


def test_what_the_bank_took_is_not_over_while_a_transfer_to_the_seller_is_being_made() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("lost"), RAZORPAY)
    story.tell(c.TakeBack("disp_1", AMOUNT), SETTLEMENT)
    for status in ("created", "pending"):
        assert step(story.escrow, transfer(status=status)) == Wait()
    assert step(story.escrow, transfer()) == Reverse("trf_1", "", NET)
    # A milestone is over without the other one, whose transfer is still being made.
    other = Story(milestones(40_000, 60_000)).pay()
    other.tell(bank_dispute("lost", amount=40_000), RAZORPAY)
    other.tell(c.TakeBack("disp_1", 40_000, "m1"), SETTLEMENT)
    done = step(other.escrow, transfer(58_500, "m2", status="pending"))
    assert done.command == c.CompleteSettlement("m1")


def test_what_the_bank_took_is_taken_back_from_the_seller_and_not_refunded() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(bank_dispute("lost"), RAZORPAY)
    story.tell(c.TakeBack("disp_1", AMOUNT), SETTLEMENT)
    assert step(story.escrow, transfer()) == Reverse("trf_1", "", NET)
    back = Reversal("rvrsl_1", "trf_1", NET, tags(ESCROW_ID, ""))
    done = step(story.escrow, transfer(reversed_minor=NET), back)
    assert done.command == c.CompleteSettlement("", (Move("trf_1", NET), Move("rvrsl_1", -NET)))


def test_a_partial_dispute_brings_the_held_transfer_down() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(bank_dispute("lost", amount=40_000), RAZORPAY)
    assert step(story.escrow, transfer()).command == c.TakeBack("disp_1", 40_000)
    story.tell(c.TakeBack("disp_1", 40_000), SETTLEMENT)
    assert step(story.escrow, transfer()) == Reverse("trf_1", "", NET - 58_500)
    back = Reversal("rvrsl_1", "trf_1", NET - 58_500, tags(ESCROW_ID, ""))
    told = step(story.escrow, transfer(reversed_minor=NET - 58_500), back)
    assert told.command.amount_minor == 58_500
    story.tell(told.command, SETTLEMENT)
    assert step(story.escrow, transfer(reversed_minor=NET - 58_500), back) is None


@pytest.mark.parametrize(
    ("lost", "release", "taken", "beside_refund"),
    [
        (100, 50_000, 100, False),
        (100, 50_000, 0, True),
        (200, 50_000, 200, True),
        (50_000, 50_000, 50_000, True),
        # The buyer's share is taken; what lies below the smallest reversal is not.
        (20_050, 30_000, 20_000, True),
        # A rest of the refund that is too small to be made would go to the seller.
        (19_950, 30_000, 19_900, True),
        (20_200, 30_000, 20_200, True),
    ],
)
def test_of_a_lost_dispute_the_platform_bears_what_razorpay_cannot_move(
    lost: int, release: int, taken: int, beside_refund: bool
) -> None:
    story = Story(milestones(50_000, 50_000)).pay().hold("m2")
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    if release < 50_000:
        story.tell(c.RaiseDispute("It is blue", "m2"), BUYER)
        story.tell(c.ResolveDispute(release, 50_000 - release, "Both heard", "m2"), ADMIN)
    story.settle("m1")
    refunds = [refund(50_000, part="m1")] if beside_refund else []
    seller_gets = transfer(48_750 if release == 50_000 else 29_250, "m2")
    story.tell(bank_dispute("lost", amount=lost), RAZORPAY)
    if taken:
        told = step(story.escrow, seller_gets, *refunds)
        assert told.command == c.TakeBack("disp_1", taken, "m2")
        story.tell(told.command, SETTLEMENT)
    if taken < lost:
        assert step(story.escrow, seller_gets, *refunds).command == c.WriteOff("disp_1")


def test_a_part_without_its_transfer_gives_to_the_bank_beside_a_refund() -> None:
    story = Story(milestones(50_000, 50_000)).pay()
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    story.settle("m1")
    story.tell(bank_dispute("lost", amount=100), RAZORPAY)
    told = step(story.escrow, refund(50_000, part="m1"), account=None)
    assert told.command == c.TakeBack("disp_1", 100, "m2")


def test_a_dispute_of_a_surplus_payment_holds_its_refund_until_it_is_over() -> None:
    story = story_in(Status.HELD).hold()
    story.tell(payment(payment_id="pay_2"), RAZORPAY)

    def next_of(*refunds: Refund) -> Any:
        found = {
            PAYMENT_ID: Found(paid(), [transfer()]),
            "pay_2": Found(paid(payment_id="pay_2"), refunds=refunds),
        }
        return next_step(story.escrow, found, ACCOUNT)

    assert next_of() == Repay("pay_2", "", AMOUNT, "pay_2-0")
    story.tell(bank_dispute("created", payment_id="pay_2"), RAZORPAY)
    assert next_of() == Blocked()
    story.tell(bank_dispute("lost", payment_id="pay_2"), RAZORPAY)
    assert next_of().command == c.TakeBack("disp_1", AMOUNT, payment_id="pay_2")
    assert next_of(refund(AMOUNT, "pending")) == Wait()


def test_a_reversal_by_hand_stops_what_it_leaves_too_little_for() -> None:
    foreign = Reversal("rvrsl_9", "trf_1", 500, {})
    stuck = step(RELEASE, transfer(reversed_minor=500), foreign)
    assert isinstance(stuck, Stuck)
    assert "rvrsl_9" in stuck.problem
    assert step(REFUND, transfer(reversed_minor=500), foreign) == Reverse("trf_1", "", NET - 500)
    again = decide(flagged(RELEASE), c.ReleaseEscrow(), ADMIN, 1)
    assert again is not None
    assert step(again.escrow, transfer(reversed_minor=500), foreign) == Hold(
        PAYMENT_ID, "", ACCOUNT, 500
    )


def flagged(escrow: Escrow) -> Escrow:
    event = decide(escrow, c.FailSettlement("A reversal by hand"), SETTLEMENT, 1)
    assert event is not None
    return event.escrow


def test_a_refund_by_hand_stops_a_release_and_counts_as_a_refund() -> None:
    by_hand = refund(40_000, notes={})
    stuck = step(RELEASE, transfer(), by_hand)
    assert isinstance(stuck, Stuck)
    assert (stuck.code, stuck.subject) == (AttentionCode.FOREIGN_REFUND, "rfnd_1")
    down = transfer(reversed_minor=NET - SPLIT_NET)
    adopted = step(SPLIT, down, by_hand)
    assert (adopted.command.is_adopted, adopted.command.part_id) == (True, "")
    event = decide(SPLIT, adopted.command, RAZORPAY, 1)
    assert event is not None
    assert step(event.escrow, down, by_hand) == Unhold("trf_1")


def test_of_a_refund_by_hand_only_the_rest_is_refunded() -> None:
    by_hand = refund(30_000, notes={})
    empty = transfer(reversed_minor=NET)
    adopted = step(REFUND, empty, by_hand)
    event = decide(REFUND, adopted.command, RAZORPAY, 1)
    assert event is not None
    rest = Repay(PAYMENT_ID, "", 70_000, f"{ESCROW_ID}--0-70000")
    assert step(event.escrow, empty, by_hand) == rest
    done = step(event.escrow, empty, by_hand, refund(70_000, number=2))
    event = decide(event.escrow, done.command, RAZORPAY, 1)
    assert event is not None
    assert event.escrow.payment.status == "REFUNDED"
    assert step(event.escrow, empty, by_hand, refund(70_000, number=2)).command == (
        c.CompleteSettlement("", (Move("trf_1", NET),))
    )


def test_a_fee_that_the_customer_bears_is_captured_too_and_needs_the_orders_word() -> None:
    story = Story()
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    story.tell(payment("authorized", amount_minor=AMOUNT + 2_360), RAZORPAY)
    more = AMOUNT + 2_360
    reserved = paid("authorized", amount_minor=more, fee_minor=None)
    assert step(story.escrow, payment=reserved) == Capture(PAYMENT_ID, more)
    order = Order(ORDER_ID, ESCROW_ID, AMOUNT, "INR", "paid", AMOUNT)
    found = Found(paid(amount_minor=more), order=order)
    report = next_step(story.escrow, {PAYMENT_ID: found}, ACCOUNT)
    assert isinstance(report, Report)
    story.tell(report.command, RAZORPAY)
    assert (story.escrow.status, story.escrow.held_minor) == (Status.HELD, AMOUNT)


def test_a_transfer_of_somebody_else_is_not_ours() -> None:
    other = transfer(notes={"escrow_id": "another", "part": "whole"})
    assert step(story_in(Status.HELD).escrow, other) == Hold(PAYMENT_ID, "", ACCOUNT, NET)


def test_a_transfer_that_was_released_by_hand_is_told() -> None:
    stuck = step(story_in(Status.HELD).escrow, transfer(on_hold=False))
    assert isinstance(stuck, Stuck)
    assert "by hand" in stuck.problem


def test_the_banks_dispute_stops_the_release_and_not_the_refund() -> None:
    assert step(_disputed(RELEASE), transfer()) == Blocked()
    assert isinstance(step(_disputed(REFUND), transfer()), Reverse)
    # What is out already is out.
    assert isinstance(step(_disputed(RELEASE), transfer(on_hold=False)), Report)


def _disputed(escrow: Escrow) -> Escrow:
    event = decide(escrow, bank_dispute("created"), RAZORPAY, 1)
    assert event is not None
    return event.escrow


def test_an_authorized_payment_is_captured() -> None:
    story = Story()
    story.tell(c.RecordOrder(ORDER_ID), BUYER)
    story.tell(payment("authorized"), RAZORPAY)
    authorized = paid("authorized", fee_minor=None)
    assert step(story.escrow, payment=authorized) == Capture(PAYMENT_ID, AMOUNT)
    assert isinstance(step(story.escrow), Report)
    # What was given back before anybody captured it has never arrived.
    given_back = step(story.escrow, payment=paid("refunded", fee_minor=None))
    assert given_back.command.status == "failed"


@pytest.mark.parametrize("notes", [tags(ESCROW_ID, ""), {}])
def test_a_late_payment_is_repaid_once_whoever_repays_it(notes: dict[str, str]) -> None:
    story = story_in(Status.CANCELLED)
    story.tell(payment(), RAZORPAY)
    assert step(story.escrow) == Repay(PAYMENT_ID, "", AMOUNT, f"{ESCROW_ID}-0")
    assert step(story.escrow, refund(AMOUNT, "pending", notes=notes)) == Wait()
    assert isinstance(step(story.escrow, refund(AMOUNT, notes=notes)), Report)


def test_milestones_hold_all_before_the_first_refund() -> None:
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    assert step(story.escrow) == Hold(PAYMENT_ID, "m2", ACCOUNT, 58_500)
    stuck = step(story.escrow, account=None)
    assert isinstance(stuck, Stuck)
    story.hold("m2")
    repay = step(story.escrow, transfer(58_500, "m2"))
    assert isinstance(repay, Repay)
    assert (repay.part_id, repay.amount_minor) == ("m1", 40_000)


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("open", "created"),
        ("under_review", "under_review"),
        ("won", "won"),
        ("lost", "lost"),
        ("closed", "closed"),
    ],
)
def test_a_dispute_is_told_in_the_webhooks_words_and_under_their_cause(
    status: str, phase: str
) -> None:
    report = dispute_report(Dispute("disp_1", PAYMENT_ID, AMOUNT, "fraud", status))
    assert report.command == c.ReportBankDispute("disp_1", PAYMENT_ID, phase, AMOUNT, "fraud")
    assert report.cause == f"razorpay:disp_1:{phase}"


def test_what_razorpay_takes_for_a_dispute_later_is_news() -> None:
    story = story_in(Status.HELD)
    story.tell(bank_dispute("created"), RAZORPAY)
    taken = Dispute("disp_1", PAYMENT_ID, AMOUNT, "fraud", "open", deducted_minor=AMOUNT)
    report = dispute_report(taken)
    assert report.cause == f"razorpay:disp_1:created:{AMOUNT}"
    assert story.tell(report.command, RAZORPAY)
    assert story.escrow.chargebacks[0].deducted_minor == AMOUNT
