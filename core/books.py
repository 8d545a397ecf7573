"""The check of the books: recomputes what must always hold, and says what does not. Pure.

Everything is derived anew from the record: the events' own arithmetic, their chain, the postings,
and, where Razorpay was asked, its listings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.message import DecodeError

from core import ledger
from core.escrow import Escrow, Part, Status
from core.record import escrow_message, event_hash
from core.report import WHOLE, payment_report
from core.row import Book
from core.rules import outstanding
from core.step import Found


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up: which check, what was expected and what was found."""

    escrow_id: str
    check: str
    message: str


def check(book: Book) -> list[Finding]:
    """Answer what is wrong with one escrow's record; empty when nothing is."""
    escrow_id = book.escrow.escrow_id
    problems = [*_check_chain(book), *_check_postings(book), *_check_owed(book)]
    return [Finding(escrow_id, check, message) for check, message in problems]


def _check_chain(book: Book) -> Iterator[tuple[str, str]]:
    previous = b""
    for version, body in enumerate(book.events, start=1):
        try:
            event = pb.EscrowEvent.FromString(body)
        except DecodeError:
            yield "HASHES", f"version {version} cannot be read"
            return
        if event.version != version:
            yield "VERSIONS", f"version {event.version} stands where {version} is expected"
            return
        if event.previous_hash != previous or event.hash != event_hash(event):
            yield "HASHES", f"version {version} does not follow from the one before it"
        if problem := _off_balance(event.escrow):
            yield "AMOUNTS", f"version {version}: {problem}"
        previous = event.hash
    if not book.events or len(book.events) != book.escrow.version:
        yield "VERSIONS", f"the row says {book.escrow.version}, the record has {len(book.events)}"
    elif book.last_hash != previous or event.escrow != escrow_message(book.escrow):
        yield "FOLD", "the row is not what its last event left"


def _off_balance(escrow: pb.Escrow) -> str:
    parts = [escrow.held, escrow.released, escrow.refunded, escrow.fee]
    if any(amount.amount_minor < 0 for amount in parts):
        return "an amount is negative"
    paid = escrow.payment.amount.amount_minor if escrow.payment.HasField("refunded") else 0
    total = sum(amount.amount_minor for amount in parts)
    return "" if total == paid else f"{paid} was paid, {total} is held, released, refunded and fee"


def _check_postings(book: Book) -> Iterator[tuple[str, str]]:
    events: defaultdict[tuple[int, str], int] = defaultdict(int)
    accounts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for posting in book.postings:
        events[posting.version, posting.currency] += posting.amount_minor
        accounts[posting.account, posting.currency] += posting.amount_minor
    for (version, currency), total in events.items():
        if total:
            yield "POSTINGS", f"those of version {version} sum to {total} {currency}, not to zero"
    wanted = ledger.balances(book.escrow)
    for account, currency in sorted(accounts.keys() | wanted.keys()):
        if account in ledger.DERIVED:
            continue
        has, wants = accounts[account, currency], wanted.get((account, currency), 0)
        if has != wants:
            yield "LEDGER", f"{account} stands at {has} {currency}, the escrow says {wants}"


def _check_owed(book: Book) -> Iterator[tuple[str, str]]:
    if outstanding(book.escrow) and not book.is_owed:
        yield "OWED", "settlement has work that nobody has written down"


def compare(escrow: Escrow, found: Mapping[str, Found]) -> list[Finding]:
    """Answer where Razorpay and a settled or resting escrow differ; `found` has its payment."""
    have = found.get(escrow.payment.payment_id)
    if have is None:
        return []
    problems = [*_compare_payment(escrow, have)]
    for part in escrow.parts:
        problems += _compare_transfers(escrow, part, have)
    return [Finding(escrow.escrow_id, "RAZORPAY", problem) for problem in problems]


def _compare_payment(escrow: Escrow, have: Found) -> Iterator[str]:
    report = payment_report(have.payment).command
    if have.payment.status not in ("captured", "refunded"):
        yield f"payment {have.payment.payment_id} is {have.payment.status}, not captured"
    if have.payment.amount_minor != escrow.payment.amount_minor:
        yield f"the payment is of {have.payment.amount_minor}, not {escrow.payment.amount_minor}"
    if getattr(report, "gateway_fee_minor", 0) != escrow.payment.gateway_fee_minor:
        yield "Razorpay's fee is another than the one that was posted"
    refunded = sum(r.amount_minor for r in have.refunds if r.status == "processed")
    if refunded != escrow.payment.refunded_minor:
        yield f"Razorpay has refunded {refunded}, the escrow says {escrow.payment.refunded_minor}"


def _compare_transfers(escrow: Escrow, part: Part, have: Found) -> Iterator[str]:
    tag = {"escrow_id": escrow.escrow_id, "part": part.part_id or WHOLE}
    live = [
        t for t in have.transfers if t.status != "failed" and tag.items() <= dict(t.notes).items()
    ]
    standing = sum(t.amount_minor - t.reversed_minor for t in live)
    is_paid = part.status in (Status.RELEASED, Status.SPLIT)
    wanted = part.released_minor if is_paid else part.on_hold_minor
    if standing != wanted:
        yield f"transfers of {tag['part']} come to {standing}, the escrow says {wanted}"
    for transfer in live:
        if transfer.amount_minor > transfer.reversed_minor and transfer.on_hold == is_paid:
            state = "still on hold" if is_paid else "no longer on hold"
            yield f"transfer {transfer.transfer_id} is {state}"
