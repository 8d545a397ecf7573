"""Matching: a line is explained to the paisa, once, or it is a finding with both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from core.books.match import ADJUSTMENTS, BANK, Key, Matcher, Outcome, Verdict
from core.law.ledger import BALANCE
from core.settlement.recon import ReconLine, Settlement
from core.storage.row import Movement

PAYMENT = ReconLine("pay_1", "payment", credit_minor=97_640, currency="INR", settlement_id="setl_1")
REFUND = ReconLine("rfnd_1", "refund", debit_minor=50_000, currency="INR", settlement_id="setl_1")
ADJUSTMENT = ReconLine("adj_1", "adjustment", debit_minor=700, currency="INR")
TAKEN = replace(ADJUSTMENT, dispute_id="disp_1", payment_id="pay_1", settlement_id="setl_2")
GIVEN = replace(TAKEN, entity_id="adj_2", debit_minor=0, credit_minor=700, settlement_id="setl_3")
PAID = Settlement("setl_1", 47_640, "processed", "utr1", 1_700_000_000)


def moved(entity_id: str, *amounts: int, currency: str = "INR") -> list[Movement]:
    """Events of one escrow, from version 3 on, that moved these amounts."""
    return [
        Movement(entity_id, "escrow-1", version, currency, amount)
        for version, amount in enumerate(amounts, start=3)
    ]


def judge(
    *lines: ReconLine,
    books: Sequence[Movement] = (),
    explained: Mapping[Key, str] | None = None,
) -> list[Verdict]:
    by_id: dict[str, list[Movement]] = {}
    for movement in books:
        by_id.setdefault(movement.entity_id, []).append(movement)
    matcher = Matcher(by_id, explained or {})
    return [matcher.judge(line) for line in lines]


def test_a_line_that_the_books_have_to_the_paisa_is_matched() -> None:
    (payment, refund) = judge(
        PAYMENT, REFUND, books=[*moved("pay_1", 100_000, -2_360), *moved("rfnd_1", -50_000)]
    )
    assert (payment.outcome, payment.escrow_id) == (Outcome.MATCHED, "escrow-1")
    assert (refund.outcome, refund.message, refund.postings) == (Outcome.MATCHED, "", ())


@pytest.mark.parametrize(
    ("books", "outcome", "message"),
    [
        ([], Outcome.MISSING, "Razorpay: pay_1 credit ₹976.40; the books: nothing"),
        (
            moved("pay_1", 97_639),
            Outcome.DIFFERENT,
            "Razorpay: pay_1 credit ₹976.40; the books: credit ₹976.39",
        ),
        (
            moved("pay_1", 97_640, 97_640),
            Outcome.DIFFERENT,
            "Razorpay: pay_1 credit ₹976.40; the books: credit ₹1,952.80",
        ),
        (
            moved("pay_1", -97_640),
            Outcome.DIFFERENT,
            "Razorpay: pay_1 credit ₹976.40; the books: debit ₹976.40",
        ),
        (
            moved("pay_1", 97_640, currency="USD"),
            Outcome.DIFFERENT,
            "Razorpay: pay_1 credit ₹976.40; the books: credit USD 976.40",
        ),
    ],
)
def test_a_line_that_the_books_have_otherwise_is_a_finding_with_both_sides(
    books: list[Movement], outcome: Outcome, message: str
) -> None:
    (verdict,) = judge(PAYMENT, books=books)
    assert (verdict.outcome, verdict.message) == (outcome, message)
    assert verdict.postings == ()


def test_a_line_of_an_unknown_type_is_matched_by_its_id_like_any_other() -> None:
    line = ReconLine("xyz_1", "something_new", debit_minor=5, currency="INR")
    assert judge(line, books=moved("xyz_1", -5))[0].outcome is Outcome.MATCHED
    assert judge(line)[0].outcome is Outcome.MISSING


def test_one_posting_explains_one_line_only() -> None:
    books = moved("rfnd_1", -50_000)
    first, again = judge(REFUND, replace(REFUND, settlement_id="setl_2"), books=books)
    assert first.outcome is Outcome.MATCHED
    assert again.outcome is Outcome.DOUBLE
    assert "once more, in setl_2; the books: in setl_1" in again.message
    (late,) = judge(REFUND, books=books, explained={("rfnd_1", None): "setl_0"})
    assert late.outcome is Outcome.DOUBLE


def test_an_adjustment_of_no_dispute_is_posted_from_the_report_once() -> None:
    (verdict,) = judge(ADJUSTMENT)
    assert (verdict.outcome, verdict.message) == (Outcome.POSTED, "")
    lines = [(p.account, p.amount_minor, p.entity_id) for p in verdict.postings]
    assert lines == [(BALANCE, -700, "adj_1"), (ADJUSTMENTS, 700, "adj_1")]
    (later,) = judge(ADJUSTMENT, books=[Movement("adj_1", "adj_1", 0, "INR", -700)])
    assert (later.outcome, later.postings, later.escrow_id) == (Outcome.POSTED, (), "")
    (other,) = judge(ADJUSTMENT, books=[Movement("adj_1", "adj_1", 0, "INR", -600)])
    assert other.message == "Razorpay: adj_1 debit ₹7; the books: debit ₹6"


def test_an_adjustment_that_is_there_twice_is_posted_once() -> None:
    first, again = judge(ADJUSTMENT, ADJUSTMENT)
    assert first.postings
    assert (again.outcome, again.postings) == (Outcome.DOUBLE, ())


def test_the_adjustments_of_a_dispute_are_matched_with_one_event_each() -> None:
    books = [*moved("pay_1", 97_640), *moved("disp_1", -700, 700)]
    taken, given = judge(TAKEN, GIVEN, books=books)
    assert (taken.outcome, taken.subject_id, taken.version) == (Outcome.MATCHED, "disp_1", 3)
    assert (given.outcome, given.subject_id, given.version) == (Outcome.MATCHED, "disp_1", 4)
    # The day of the first line is looked at again when the bank has given the money back.
    (alone,) = judge(TAKEN, books=books, explained={("disp_1", 4): "setl_3"})
    assert (alone.outcome, alone.version) == (Outcome.MATCHED, 3)
    (twice,) = judge(TAKEN, books=books, explained={("disp_1", 3): "setl_2"})
    assert twice.outcome is Outcome.DOUBLE


def test_a_dispute_of_ours_that_the_books_do_not_have_is_a_finding() -> None:
    (unposted,) = judge(TAKEN, books=moved("pay_1", 97_640))
    assert unposted.outcome is Outcome.MISSING
    assert unposted.message == "Razorpay: adj_1 of disp_1 debit ₹7; the books: nothing"
    (unclear,) = judge(replace(TAKEN, payment_id=""))
    assert unclear.outcome is Outcome.MISSING
    (other,) = judge(TAKEN, books=moved("disp_1", -600))
    assert other.outcome is Outcome.DIFFERENT


def test_a_dispute_of_a_payment_that_is_not_ours_is_an_adjustment() -> None:
    (verdict,) = judge(TAKEN)
    assert (verdict.outcome, verdict.subject_id) == (Outcome.POSTED, "adj_1")


def test_a_line_that_cannot_be_read_is_a_finding() -> None:
    (verdict,) = judge(ReconLine("pay_1", "payment", problem="Razorpay's field is odd."))
    assert verdict.outcome is Outcome.UNREADABLE
    assert "pay_1" in verdict.message
    assert "odd" in verdict.message


def settle(settlement: Settlement, lines_minor: int | None, *books: Movement) -> Verdict:
    """Hold a settlement against the books; its one line is of so much."""
    brought = None
    if lines_minor is not None:
        brought = [Verdict(replace(PAYMENT, credit_minor=lines_minor), "pay_1", Outcome.MATCHED)]
    matcher = Matcher({settlement.settlement_id: list(books)}, {})
    return matcher.judge_settlement(settlement, "INR", brought)


def test_a_settlement_at_the_bank_is_posted_once() -> None:
    verdict = settle(PAID, 47_640)
    assert (verdict.outcome, verdict.line.utr) == (Outcome.POSTED, "utr1")
    lines = [(p.account, p.amount_minor, p.entity_id) for p in verdict.postings]
    assert lines == [(BALANCE, -47_640, "setl_1"), (BANK, 47_640, "setl_1")]
    later = settle(PAID, 47_640, Movement("setl_1", "setl_1", 0, "INR", -47_640))
    assert (later.outcome, later.message, later.postings) == (Outcome.POSTED, "", ())


def test_a_settlement_that_is_not_at_the_bank_waits_and_one_that_came_back_is_found() -> None:
    underway = replace(PAID, status="created")
    assert settle(underway, 47_640).outcome is Outcome.WAITING
    failed = settle(replace(PAID, status="failed"), 47_640, *moved("setl_1", -47_640))
    assert failed.message == "Razorpay: setl_1 is failed; the books: debit ₹476.40"


def test_a_settlement_that_is_not_the_sum_of_its_lines_is_found_and_posted_as_it_was_paid() -> None:
    verdict = settle(PAID, 47_000)
    assert verdict.outcome is Outcome.DIFFERENT
    assert verdict.message == (
        "Razorpay: setl_1 pays ₹476.40 to the bank; its lines come to credit ₹470"
    )
    assert [p.amount_minor for p in verdict.postings] == [-47_640, 47_640]
    # Where a line cannot be read, nobody knows what they come to.
    assert settle(PAID, None).message == ""


def test_a_settlement_of_what_the_books_have_is_no_second_finding_beside_its_wrong_line() -> None:
    (wrong,) = judge(replace(PAYMENT, credit_minor=47_000), books=moved("pay_1", 47_640))
    assert wrong.outcome is Outcome.DIFFERENT
    assert Matcher({}, {}).judge_settlement(PAID, "INR", [wrong]).message == ""
    short = replace(PAID, amount_minor=47_100)
    assert Matcher({}, {}).judge_settlement(short, "INR", [wrong]).outcome is Outcome.DIFFERENT
