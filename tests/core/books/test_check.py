"""The check of the books: each kind of mistake is found and named, and none where there is none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from escrow.v1 import escrow_pb2 as pb
from msgspec.structs import replace as changed

from core.books import check as books
from core.law import ledger
from core.law.escrow import Escrow
from core.law.record import dump_row, event_hash, event_message
from core.law.rules import outstanding
from core.law.status import Status
from core.storage import tables as t
from core.storage.row import Book, PostingRow
from tests.core.law.story import (
    ESCROW_ID,
    Story,
    story_in,
)
from tests.core.room import Room


def book_of(story: Story) -> Book:
    """The record of a story, as execute would have written it."""
    messages: list[pb.EscrowEvent] = []
    rows: list[PostingRow] = []
    before: Escrow | None = None
    for event in story.events:
        messages.append(event_message(event, messages[-1].hash if messages else b""))
        for position, line in enumerate(ledger.postings(before, event)):
            where = (ESCROW_ID, event.version, position)
            rows.append(PostingRow(*where, line.account, line.amount_minor, line.currency, 0))
        before = event.escrow
    bodies = [message.SerializeToString() for message in messages]
    versions = [message.version for message in messages]
    owed = outstanding(story.escrow)
    return Book(story.escrow, messages[-1].hash, bodies, rows, owed, versions[:-1], versions[-1:])


def checks(book: Book) -> list[str]:
    findings = books.check(book)
    assert {finding.escrow_id for finding in findings} <= {ESCROW_ID}
    return [finding.check for finding in findings]


@pytest.mark.parametrize("status", Status)
def test_a_record_as_it_was_written_is_right(status: Status) -> None:
    assert books.check(book_of(story_in(status))) == []


SETTLING = book_of(story_in(Status.SETTLING))


def test_an_event_that_no_reader_of_the_feed_will_see_is_found() -> None:
    *placed, last = SETTLING.placed
    lost = replace(SETTLING, placed=placed)
    assert checks(lost) == ["POSITIONS"]
    assert f"version {last} " in books.check(lost)[0].message
    mixed = replace(SETTLING, placed=[last, *placed])
    assert checks(mixed) == ["POSITIONS"]


def edited(book: Book, version: int, edit: Callable[[pb.EscrowEvent], object]) -> Book:
    """Change one event as a forger would who knows nothing of hashes."""
    event = pb.EscrowEvent.FromString(book.events[version - 1])
    edit(event)
    bodies = list(book.events)
    bodies[version - 1] = event.SerializeToString()
    return replace(book, events=bodies)


def sealed(book: Book) -> Book:
    """Make the chain anew, as a forger would who knows how."""
    previous, bodies = b"", []
    for body in book.events:
        event = pb.EscrowEvent.FromString(body)
        event.previous_hash = previous
        event.hash = previous = event_hash(event)
        bodies.append(event.SerializeToString())
    return replace(book, events=bodies, last_hash=previous)


def _other_actor(event: pb.EscrowEvent) -> None:
    event.actor_id = "mallory"


def _sealed_alone(event: pb.EscrowEvent) -> None:
    event.actor_id = "mallory"
    event.hash = event_hash(event)


def _a_paisa_less(event: pb.EscrowEvent) -> None:
    event.escrow.held.amount_minor -= 1


def _negative(event: pb.EscrowEvent) -> None:
    event.escrow.held.amount_minor += 1
    event.escrow.fee.amount_minor -= 1


@pytest.mark.parametrize("gone", [slice(0, 1), slice(1, 2), slice(-1, None), slice(None)])
def test_an_event_that_is_missing_is_found(gone: slice) -> None:
    bodies = list(SETTLING.events)
    del bodies[gone]
    assert checks(replace(SETTLING, events=bodies)) == ["VERSIONS"]


def test_an_event_that_is_there_twice_is_found() -> None:
    assert checks(replace(SETTLING, events=[*SETTLING.events[:1], *SETTLING.events])) == [
        "VERSIONS"
    ]


def test_an_event_that_was_changed_is_found_by_its_hash() -> None:
    (finding,) = books.check(edited(SETTLING, 2, _other_actor))
    assert finding.check == "HASHES"
    assert "version 2" in finding.message


def test_an_event_that_was_changed_and_sealed_anew_is_found_by_the_next_ones() -> None:
    (finding,) = books.check(edited(SETTLING, 2, _sealed_alone))
    assert finding.check == "HASHES"
    assert "version 3" in finding.message


def test_an_event_that_cannot_be_read_is_found() -> None:
    bodies = [*SETTLING.events[:1], b"\xff no event", *SETTLING.events[2:]]
    (finding,) = books.check(replace(SETTLING, events=bodies))
    assert (finding.check, finding.message) == ("HASHES", "version 2 cannot be read")


def test_a_history_that_was_written_anew_is_found_by_its_amounts() -> None:
    (finding,) = books.check(sealed(edited(SETTLING, 3, _a_paisa_less)))
    assert (finding.check, finding.message) == (
        "AMOUNTS",
        "version 3: 100000 was paid, 99999 is held, released, refunded and fee",
    )
    (finding,) = books.check(sealed(edited(SETTLING, 3, _negative)))
    assert (finding.check, finding.message) == ("AMOUNTS", "version 3: an amount is negative")


@pytest.mark.parametrize(
    "change",
    [
        lambda book: replace(book, last_hash=b"x" * 32),
        lambda book: replace(book, escrow=changed(book.escrow, title="A car")),
        lambda book: sealed(edited(book, len(book.events), lambda event: _title(event, "A car"))),
    ],
)
def test_a_row_that_its_last_event_did_not_leave_is_found(change: Callable[[Book], Book]) -> None:
    assert checks(change(SETTLING)) == ["FOLD"]


def _title(event: pb.EscrowEvent, title: str) -> None:
    event.escrow.title = title


def moved(book: Book, *accounts: str) -> Sequence[PostingRow]:
    """Move a paisa: out of the first line of the first account, into that of the second."""
    rows = list(book.postings)
    for account, change in zip(accounts, (-1, 1), strict=False):
        index = next(i for i, row in enumerate(rows) if row.account == account)
        rows[index] = replace(rows[index], amount_minor=rows[index].amount_minor + change)
    return rows


def test_postings_that_do_not_sum_to_zero_are_found() -> None:
    # No account is held against the escrow here: what Razorpay keeps is derived.
    (finding,) = books.check(replace(SETTLING, postings=moved(SETTLING, ledger.BALANCE)))
    assert (finding.check, finding.message) == (
        "POSTINGS",
        "those of version 3 sum to -1 INR, not to zero",
    )


def test_accounts_that_are_not_what_the_escrow_says_are_found() -> None:
    payee = ledger.payee_account(SETTLING.escrow)
    rows = moved(SETTLING, payee, ledger.PLATFORM_FEES)
    assert [(f.check, f.message) for f in books.check(replace(SETTLING, postings=rows))] == [
        ("LEDGER", f"{payee} stands at -97501 INR, the escrow says -97500"),
        ("LEDGER", f"{ledger.PLATFORM_FEES} stands at -2499 INR, the escrow says -2500"),
    ]


def test_postings_that_are_missing_are_found() -> None:
    assert set(checks(replace(SETTLING, postings=[]))) == {"LEDGER"}


@pytest.mark.parametrize("status", Status)
def test_work_that_nobody_has_written_down_is_found_where_there_is_work(status: Status) -> None:
    book = book_of(story_in(status))
    wanted = ["OWED"] if outstanding(book.escrow) else []
    assert checks(replace(book, is_owed=False)) == wanted
    assert checks(replace(book, is_owed=True)) == []


async def stored(room: Room, escrow_id: str) -> Book:
    (book,) = await room.store.books(limit=2, escrow_ids=[escrow_id])
    return book


async def other_title(room: Room, escrow_id: str) -> sa.Update:
    row = changed((await stored(room, escrow_id)).escrow, title="A car")
    return sa.update(t.escrows).values(body=dump_row(row))


async def other_event(room: Room, escrow_id: str) -> sa.Update:
    book = edited(await stored(room, escrow_id), 2, _other_actor)
    return sa.update(t.events).where(t.events.c.version == 2).values(body=book.events[1])


async def no_event(room: Room, escrow_id: str) -> sa.Delete:
    return sa.delete(t.events).where(t.events.c.version == 2)


async def other_posting(room: Room, escrow_id: str) -> sa.Update:
    row = t.postings.c
    more = row.amount_minor + 1
    return sa.update(t.postings).where(row.account == ledger.BALANCE).values(amount_minor=more)


async def no_postings(room: Room, escrow_id: str) -> sa.Delete:
    return sa.delete(t.postings)


async def no_owed(room: Room, escrow_id: str) -> sa.Delete:
    return sa.delete(t.owed)


@pytest.mark.parametrize(
    ("tamper", "check"),
    [
        (other_title, "FOLD"),
        (other_event, "HASHES"),
        (no_event, "VERSIONS"),
        (other_posting, "POSTINGS"),
        (no_postings, "LEDGER"),
        (no_owed, "OWED"),
    ],
)
async def test_what_somebody_did_to_the_tables_is_found_and_only_there(
    room: Room, tamper: Any, check: str
) -> None:
    escrow_id, other_id = await room.paid(), await room.paid()
    for one in (escrow_id, other_id):
        assert books.check(await stored(room, one)) == []
    statement = await tamper(room, escrow_id)
    async with room.store._engine.begin() as connection:
        await connection.execute(statement.where(statement.table.c.escrow_id == escrow_id))
    findings = books.check(await stored(room, escrow_id))
    assert {(finding.escrow_id, finding.check) for finding in findings} == {(escrow_id, check)}
    assert books.check(await stored(room, other_id)) == []
