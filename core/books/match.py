"""Holds the lines of Razorpay's settlement reports against the books. Pure.

A line is explained by what the books have posted to Razorpay's balance under the same id, to the
paisa, and each posting explains one line only. What belongs to no escrow is posted from the report
itself: a settlement to the platform's bank, and an adjustment that is not of a dispute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.law.ledger import BALANCE, Posting
from core.law.words import money
from core.settlement.recon import ReconLine, Settlement
from core.storage.row import Movement

ADJUSTMENTS = "razorpay:adjustments"
BANK = "platform:bank"

ADJUSTMENT = "adjustment"
SETTLEMENT = "settlement"
# What Razorpay calls a settlement that has reached the bank.
_PAID = "processed"
_UNSETTLED = "no settlement"


class Outcome(StrEnum):
    """What the books say to a line."""

    MATCHED = "MATCHED"
    # Belongs to no escrow, and the report is what the books have it from.
    POSTED = "POSTED"
    # A settlement that is not at the bank yet.
    WAITING = "WAITING"
    MISSING = "MISSING"
    DIFFERENT = "DIFFERENT"
    DOUBLE = "DOUBLE"
    UNREADABLE = "UNREADABLE"


# A line that one event of several explains has that event's version, any other None.
Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line, what its postings are named by, and what came of holding it against the books."""

    line: ReconLine
    subject_id: str
    outcome: Outcome
    message: str = ""
    escrow_id: str = ""
    version: int | None = None
    # What is to be posted from the report; nothing where it has been.
    postings: tuple[Posting, ...] = ()
    # What the books have instead of what a line says.
    books_minor: int | None = None


class Matcher:
    """Judges the lines of one day.

    `movements` is what the books have posted to Razorpay's balance, by id; `explained` has the
    settlements in which lines of other days were explained.
    """

    def __init__(
        self, movements: Mapping[str, Sequence[Movement]], explained: Mapping[Key, str]
    ) -> None:
        self._movements = movements
        self._explained = dict(explained)

    def judge(self, line: ReconLine) -> Verdict:
        """Hold one line against the books."""
        if line.problem:
            text = f"Razorpay: a line cannot be read: {line.entity_id} {line.problem}"
            return Verdict(line, line.entity_id, Outcome.UNREADABLE, text)
        if line.type != ADJUSTMENT:
            return self._hold(line, line.entity_id, Outcome.MATCHED)
        if line.dispute_id and not self._is_foreign(line):
            return self._judge_dispute(line)
        if self._movements.get(line.entity_id):
            return self._hold(line, line.entity_id, Outcome.POSTED)
        return self._post(line, debit=BALANCE, credit=ADJUSTMENTS)

    def judge_settlement(
        self, settlement: Settlement, currency: str, brought: Sequence[Verdict] | None
    ) -> Verdict:
        """Hold a settlement against the books, and against its lines where all could be read."""
        settlement_id, paid = settlement.settlement_id, settlement.amount_minor
        line = ReconLine(
            settlement_id,
            SETTLEMENT,
            debit_minor=paid,
            amount_minor=paid,
            currency=currency,
            settlement_id=settlement_id,
            utr=settlement.utr,
            settle_time_s=settlement.create_time_s,
        )
        found = self._movements.get(settlement_id, ())
        if settlement.status != _PAID:
            if not found:
                return Verdict(line, settlement_id, Outcome.WAITING)
            text = f"Razorpay: {settlement_id} is {settlement.status}; the books: {_said(found)}"
            return Verdict(line, settlement_id, Outcome.DIFFERENT, text)
        if found:
            verdict = self._hold(line, settlement_id, Outcome.POSTED)
        else:
            verdict = self._post(line, debit=BALANCE, credit=BANK)
        if brought is None or verdict.message or paid in _totals(brought):
            return verdict
        said, _ = _totals(brought)
        text = (
            f"Razorpay: {settlement_id} pays {money(paid, currency)} to the bank; "
            f"its lines come to {_signed(said, currency)}"
        )
        return replace(verdict, outcome=Outcome.DIFFERENT, message=text)

    def _is_foreign(self, line: ReconLine) -> bool:
        """Whether a dispute is of a payment that is none of ours."""
        is_known = self._movements.get(line.dispute_id) or self._movements.get(line.payment_id)
        return bool(line.payment_id) and not is_known

    def _hold(self, line: ReconLine, subject_id: str, outcome: Outcome) -> Verdict:
        """Expect all that was posted for an id to be what the line says."""
        found = self._movements.get(subject_id, ())
        same = [m for m in found if m.currency == line.currency]
        is_alike = len(same) == len(found) and sum(m.amount_minor for m in same) == line.net_minor
        if not found or not is_alike:
            return _differing(line, subject_id, found)
        return self._explain(Verdict(line, subject_id, outcome, escrow_id=_escrow_of(found)))

    def _judge_dispute(self, line: ReconLine) -> Verdict:
        """Expect one of the events that took a disputed amount, or gave it back."""
        subject_id = line.dispute_id
        found = self._movements.get(subject_id, ())
        alike = [
            m for m in found if (m.currency, m.amount_minor) == (line.currency, line.net_minor)
        ]
        if not alike:
            return _differing(line, subject_id, found)
        free = [m for m in alike if (subject_id, m.version) not in self._explained]
        one = (free or alike)[0]
        verdict = Verdict(line, subject_id, Outcome.MATCHED, escrow_id=one.escrow_id)
        return self._explain(replace(verdict, version=one.version))

    def _post(self, line: ReconLine, *, debit: str, credit: str) -> Verdict:
        net, currency, entity_id = line.net_minor, line.currency, line.entity_id
        postings = (
            Posting(debit, net, currency, entity_id),
            Posting(credit, -net, currency, entity_id),
        )
        verdict = self._explain(Verdict(line, entity_id, Outcome.POSTED))
        is_new = verdict.outcome is Outcome.POSTED and net != 0
        return replace(verdict, postings=postings) if is_new else verdict

    def _explain(self, verdict: Verdict) -> Verdict:
        """Let the same postings explain no second line."""
        key = (verdict.subject_id, verdict.version)
        line = verdict.line
        if key in self._explained:
            text = (
                f"Razorpay: {line.entity_id} {_signed(line.net_minor, line.currency)} once more, "
                f"in {line.settlement_id or _UNSETTLED}; the books: in {self._explained[key]}"
            )
            return replace(verdict, outcome=Outcome.DOUBLE, message=text)
        self._explained[key] = line.settlement_id or _UNSETTLED
        return verdict


def by_settlement(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Group a report's lines by the settlement that brought them; what has none is left out."""
    found: defaultdict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.line.settlement_id and not verdict.line.problem:
            found[verdict.line.settlement_id].append(verdict)
    return dict(found)


def _totals(brought: Sequence[Verdict]) -> tuple[int, int]:
    """What lines come to as they are, and with the amounts of the books where those differ.

    A settlement of the second is one whose lines are wrong, and that is a finding already.
    """
    said = sum(verdict.line.net_minor for verdict in brought)
    ours = sum(
        verdict.line.net_minor if verdict.books_minor is None else verdict.books_minor
        for verdict in brought
    )
    return said, ours


def _differing(line: ReconLine, subject_id: str, found: Sequence[Movement]) -> Verdict:
    outcome = Outcome.DIFFERENT if found else Outcome.MISSING
    named = line.entity_id if subject_id == line.entity_id else f"{line.entity_id} of {subject_id}"
    text = f"Razorpay: {named} {_signed(line.net_minor, line.currency)}; the books: {_said(found)}"
    ours = sum(m.amount_minor for m in found if m.currency == line.currency) if found else None
    return Verdict(line, subject_id, outcome, text, _escrow_of(found), books_minor=ours)


def _escrow_of(found: Sequence[Movement]) -> str:
    return found[0].escrow_id if found and found[0].version else ""


def _said(found: Sequence[Movement]) -> str:
    totals: defaultdict[str, int] = defaultdict(int)
    for movement in found:
        totals[movement.currency] += movement.amount_minor
    said = [_signed(total, currency) for currency, total in sorted(totals.items())]
    return " and ".join(said) or "nothing"


def _signed(net_minor: int, currency: str) -> str:
    """Write what comes into Razorpay's balance as its reports do: credit in, debit out."""
    return f"{'debit' if net_minor < 0 else 'credit'} {money(abs(net_minor), currency)}"
