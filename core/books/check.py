"""Checks the books of one escrow: its events, their hashes, its row and its postings.

Recomputes everything from the record and reports what does not add up. Does no I/O.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.message import DecodeError

from core.law import ledger
from core.law.escrow import Escrow
from core.law.message import escrow_message
from core.law.record import event_hash, written_in_form_0
from core.law.rules import outstanding
from core.settlement.compare import Finding
from core.storage.row import Book


def check(book: Book) -> list[Finding]:
    """Answer what is wrong with one escrow's record; empty when nothing is."""
    escrow_id = book.escrow.escrow_id
    problems = [
        *_check_chain(book),
        *_check_postings(book),
        *_check_owed(book),
        *_check_positions(book),
    ]
    return [Finding(escrow_id, check, message) for check, message in problems]


def _check_chain(book: Book) -> Iterator[tuple[str, str]]:
    previous = b""
    last = pb.EscrowEvent()
    for version, body in enumerate(book.events, start=1):
        try:
            event = last = pb.EscrowEvent.FromString(body)
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
    elif book.last_hash != previous or last.escrow != _as_written(book.escrow):
        yield "FOLD", "the row is not what its last event left"


def _as_written(escrow: Escrow) -> pb.Escrow:
    message = escrow_message(escrow)
    return message if escrow.form else written_in_form_0(message)


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


def _check_positions(book: Book) -> Iterator[tuple[str, str]]:
    # A version waits or has its position, as of any moment: nothing is in between.
    known = {*book.placed, *book.unplaced}
    versions = range(1, min(len(book.events), book.escrow.version) + 1)
    missing = [version for version in versions if version not in known]
    if missing:
        yield "POSITIONS", f"version {missing[0]} has no position, and will get none"
    if list(book.placed) != sorted(book.placed):
        yield "POSITIONS", "versions have positions in another order than their own"
