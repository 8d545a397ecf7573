"""The reads, and the door to a write transaction.

It decides nothing. A database that is away is a Refusal STORAGE_UNAVAILABLE; anything else that
goes wrong is raised as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Reason, Refusal
from core.law.escrow import Escrow
from core.law.payee import Payee
from core.law.record import load_row
from core.law.status import FINAL, Status
from core.storage import listing, query
from core.storage import tables as t
from core.storage.attachment import Attachments
from core.storage.audit import Audit
from core.storage.batch import Decided, Judge, Wanted, run_on_postgres, run_on_sqlite
from core.storage.condition import Condition
from core.storage.database import (
    Database,
    fetch,
    in_thread,
    on_wire,
    reading,
    ride,
    writing,
)
from core.storage.lane import Outcome
from core.storage.ledger import Ledger
from core.storage.link import Link
from core.storage.listing import Filter, Place, page
from core.storage.plan import Plan, listed
from core.storage.position import Positions
from core.storage.profile import KNOWN_TO, NAMED
from core.storage.recon import Recon
from core.storage.row import Book, Known, PostingRow, payee_row
from core.storage.transaction import Transaction
from core.storage.trip import step
from core.storage.trip.payee import latest
from core.storage.trip.step import Answer, Work
from core.storage.trip.together import run_together
from core.storage.trouble import explain, storage_errors
from core.storage.webhook import Webhooks

# Reading the books of a page of escrows, of which each may have many events.
BOOKS_S = 20.0
# Escrows that one id names; only a caller's own may name several.
MAX_FOUND = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of escrows, and where the next one begins; None where there is no more."""

    escrows: list[Escrow]
    place: Place | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a user's escrows hold, and how many wait for that user; partial where they are many."""

    held_minor: int
    needs: int
    is_partial: bool


class Store:
    """Reads and write transactions on one engine."""

    def __init__(self, engine: Database, *, notifies: bool = True) -> None:
        """With `notifies` a commit on PostgreSQL tells other processes of its escrows (NOTIFY)."""
        self._engine = engine
        self._notifies = notifies
        file = engine.file
        self.condition = Condition(lacks_room=file.lacks_room) if file else Condition()
        self.is_postgres = engine.dialect.name == "postgresql"
        self.ledger = Ledger(engine)
        self.recon = Recon(engine)
        self.audit = Audit(engine)
        self.positions = Positions(engine, notifies=notifies)
        self.webhooks = Webhooks(engine)
        self.attachments = Attachments(engine)
        # SQLite has one writer: waiting here is fairer than its busy time-out.
        self._writer = asyncio.Lock() if not self.is_postgres else None
        self._together = engine.new_lane(self._transact_together)

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Open a write transaction; it commits at the end of the block, or not at all."""
        async with self._committing(), writing(self._engine) as connection:
            yield Transaction(connection, self.is_postgres)

    async def run(
        self, wanted: Wanted, judge: Judge[Decided], *, now_us: Callable[[], int]
    ) -> Decided:
        """Read, judge and write a batch as one transaction; answers what `judge` does.

        `judge` must be pure: it may run in another thread, and more than once.
        """
        async with self._committing():
            if self.is_postgres:

                async def trips(driver: asyncpg.Connection, link: Link) -> Decided:
                    return await run_on_postgres(
                        driver, link, wanted, now_us, judge, notifies=self._notifies
                    )

                return await on_wire(self._engine, trips)
            time_us = now_us()

            def batch(connection: sqlite3.Connection) -> Decided:
                return run_on_sqlite(connection, wanted, time_us, judge)

            judged = await in_thread(self._engine, batch)
            self._engine.require_file()
        return judged

    async def transact(self, work: Work[Answer]) -> Answer:
        """Run a small transaction as one trip; all of it is done, or nothing (see `trip`).

        On SQLite those that wait for the writer share a commit. One whose caller is cancelled
        while it waits is not run.
        """
        if not self.is_postgres:
            with storage_errors():
                answer: Answer = await self._together.go(work)
                return answer

        async def trips(driver: asyncpg.Connection, link: Link) -> Answer:
            return await step.run_on_postgres(driver, link, work)

        async with self._committing():
            return await on_wire(self._engine, trips)

    async def _transact_together(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        async with self._committing():
            outcomes = await ride(self._engine, lambda connection: run_together(connection, works))
            self._engine.require_file()
        return outcomes

    @contextlib.asynccontextmanager
    async def _committing(self) -> AsyncIterator[None]:
        """Wait for the one writer there may be, and remember whether a commit succeeded."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                if self._writer is not None:
                    await stack.enter_async_context(self._writer)
                stack.enter_context(storage_errors())
                yield
        except Refusal as refusal:
            if refusal.reason is Reason.STORAGE_UNAVAILABLE:
                self.condition.failed(explain(refusal))
            raise
        self.condition.committed()

    async def revocations(self, since_us: int) -> list[tuple[str, int, int]]:
        """List (user id, issued before, time of it) of what was revoked since a time, by time."""
        rows = await self._fetch(query.REVOCATIONS, since_us=since_us)
        return [(row[0], row[1], row[2]) for row in rows]

    async def probe(self) -> None:
        """Commit something that changes nothing for anybody, to learn whether one can.

        Raises Refusal STORAGE_UNAVAILABLE.
        """
        async with self.write() as transaction:
            await transaction.beat()

    async def _rows(
        self, statement: sa.Select[*tuple[Any, ...]], **bound: Any
    ) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement, bound))

        with storage_errors():
            return await reading(self._engine, read)

    async def _fetch(self, plan: Plan, **given: Any) -> Sequence[Sequence[Any]]:
        with storage_errors():
            return await fetch(self._engine, plan, **given)

    async def escrow(self, escrow_id: str) -> Escrow | None:
        rows = await self._fetch(query.ESCROW, escrow_id=escrow_id)
        return load_row(rows[0][0]) if rows else None

    async def listed(
        self, which: Filter, *, after: Place | None, limit: int, is_oldest: bool = False
    ) -> Listed:
        """List escrows, the newest first or the oldest.

        Where each has to be judged, a page may be short and not be the last: it looks at
        `listing.SCAN_ROWS` at most, and begins no slice of them after WALK_S.
        """
        found: list[Escrow] = []
        place, left = after, max(limit + 1, listing.SCAN_ROWS)
        now_s = time.monotonic()
        end_s = now_s + listing.WALK_S
        # One more than asked for tells whether there are any.
        wanted = limit + 1
        while True:
            statement, bound, is_judged = page(
                t.escrows.c.body, which, after=place, is_oldest=is_oldest
            )
            most = min(wanted, left) if is_judged else limit + 1
            rows = await self._rows(statement, **bound, most=most)
            for row in rows:
                if row.found is not None:
                    if len(found) == limit:
                        return Listed(found, place)
                    found.append(load_row(row.found))
                place = (row.create_time_us, row.escrow_id)
            if len(rows) < most:
                return Listed(found, None)
            left -= most
            begun_s, now_s = now_s, time.monotonic()
            if left <= 0 or now_s > end_s:
                return Listed(found, place)
            is_quick = now_s - begun_s < listing.WALK_S / 4
            wanted = 2 * wanted if is_quick else listing.SLICE_ROWS

    async def totals(self, user_id: str) -> Totals:
        """Add up what a user's escrows hold, and how many wait for that user."""
        rows = await self._fetch(query.TOTALS, user_id=user_id, most=query.MAX_COUNTED)
        held = [row for row in rows if row[0] == "held"]
        needs = [row for row in rows if row[0] == "needs"]
        return Totals(
            held_minor=sum(row[2] or 0 for row in held),
            needs=sum(row[1] for row in needs),
            is_partial=any(row[1] >= query.MAX_COUNTED for row in rows),
        )

    async def found_by_id(self, word: str) -> list[str]:
        """List escrows that an id of ours, of Razorpay's or of the caller's names: 200 at most."""
        causes = frozenset(form.format(word) for form in query.CAUSES)
        rows = await self._fetch(query.FOUND_BY_ID, word=word, causes=causes, most=MAX_FOUND)
        return sorted({row[0] for row in rows})

    async def events_after(self, escrow_id: str, after: int, limit: int) -> list[bytes]:
        """Read serialized events of one escrow after a version (exclusive), oldest first."""
        rows = await self._fetch(query.EVENTS_AFTER, escrow_id=escrow_id, after=after, most=limit)
        return [row[0] for row in rows]

    async def events_after_each(
        self, places: Sequence[tuple[str, int]], limit: int
    ) -> list[tuple[str, int, bytes]]:
        """Read (escrow id, version, serialized event) of what comes after each of 1 to 64 versions.

        Each escrow's oldest first, `limit` in all: of the last escrow there may then be more, and
        of others nothing.
        """
        size = next(size for size in query.AFTER_EACH if size >= len(places))
        padded = [*places, *[places[-1]] * (size - len(places))]
        bound: dict[str, Any] = {f"escrow_id_{at}": one for at, (one, _) in enumerate(padded)}
        bound |= {f"after_{at}": after for at, (_, after) in enumerate(padded)}
        rows = await self._fetch(query.AFTER_EACH[size], most=limit, **bound)
        return [(row[0], row[1], row[2]) for row in rows]

    async def known(self, cause: str) -> Known | None:
        """Answer which event a cause has made, if it has."""
        rows = await self._fetch(query.KNOWN, cause=cause)
        if not rows:
            return None
        escrow_id, version, fingerprint = rows[0]
        return Known(escrow_id, version, bytes(fingerprint))

    async def event(self, escrow_id: str, version: int) -> bytes:
        rows = await self._fetch(query.EVENT, escrow_id=escrow_id, version=version)
        return bytes(rows[0][0])

    async def versions(self, escrow_ids: Collection[str]) -> dict[str, int]:
        """Answer the current version of each of these escrows."""
        rows = await self._fetch(query.VERSIONS, ids=listed(escrow_ids, self.is_postgres))
        return {row[0]: row[1] for row in rows}

    async def open_of(self, user_id: str, limit: int) -> list[str]:
        """List the escrows of a user that have not ended, the newest first."""
        return await self._ids(Filter((user_id,), tuple(set(Status) - FINAL)), limit)

    async def worrying(self, limit: int) -> list[str]:
        """List the escrows that need a person, the newest first."""
        return await self._ids(Filter(is_worrying=True), limit)

    async def _ids(self, which: Filter, limit: int) -> list[str]:
        statement, bound, _ = page(t.escrows.c.escrow_id, which)
        return [row.found for row in await self._rows(statement, **bound, most=limit)]

    async def unpaid_of(self, user_id: str, *, towards: str = "", limit: int) -> int:
        """Count the escrows that a user created and nobody has paid, up to `limit`.

        With `towards`, those of them in which that user is buyer or seller.
        """
        plan = query.UNPAID_TOWARDS if towards else query.UNPAID
        rows = await self._fetch(plan, user_id=user_id, towards=towards, most=limit)
        return int(rows[0][0])

    async def several(self, escrow_ids: Collection[str]) -> list[Escrow]:
        """Load these escrows, in no order."""
        rows = await self._fetch(query.SEVERAL, ids=listed(escrow_ids, self.is_postgres))
        return [load_row(row[0]) for row in rows]

    async def owner_of_order(self, order_id: str) -> str | None:
        rows = await self._fetch(query.OWNER_OF_ORDER, order_id=order_id)
        return rows[0][0] if rows else None

    async def escrow_of_order(self, order_id: str) -> Escrow | None:
        """Load the escrow that a Razorpay order belongs to."""
        rows = await self._fetch(query.ESCROW_OF_ORDER, order_id=order_id)
        return load_row(rows[0][0]) if rows else None

    async def payee(self, user_id: str) -> Payee | None:
        wanted = latest(user_id)
        return wanted.read(await self._fetch(wanted.plan, **wanted.given))

    async def payee_events(self, user_id: str, after: int, limit: int) -> list[Payee]:
        """Read a payee's record after a version (exclusive), oldest first."""
        c = t.payees.c
        statement = (
            sa.select(t.payees)
            .where(c.user_id == user_id, c.version > after)
            .order_by(c.version)
            .limit(limit)
        )
        return [payee_row(row).payee for row in await self._rows(statement)]

    async def payees(self, *, after: str, waiting: bool, limit: int) -> list[Payee]:
        """List payees as they stand after a user id (exclusive), in the order of the ids.

        With `waiting`, only those whose new account waits.
        """
        plan = query.WAITING_PAYEES if waiting else query.PAYEES
        rows = await self._fetch(plan, after=after, most=limit)
        return [payee_row(row).payee for row in rows]

    async def due_payees(self, now_us: int, limit: int) -> list[str]:
        """List sellers whose new account is to count from now on."""
        rows = await self._fetch(query.DUE_PAYEES, now_us=now_us, most=limit)
        return [row[0] for row in rows]

    async def names(self, user_ids: Collection[str], reader: str | None) -> dict[str, str]:
        """Answer the names of these people that a user may read; None reads all."""
        ids = listed(user_ids, self.is_postgres)
        if reader is None:
            rows = await self._fetch(NAMED, ids=ids)
        else:
            rows = await self._fetch(KNOWN_TO, ids=ids, reader=reader)
        return {row[0]: row[1] for row in rows}

    async def is_owed(self, now_us: int) -> bool:
        """Whether anything is due that nobody works on."""
        return bool(await self._fetch(query.IS_OWED, now_us=now_us))

    async def is_asked(self, now_us: int) -> bool:
        """Whether Razorpay is to be asked about any escrow now."""
        return bool(await self._fetch(query.IS_ASKED, now_us=now_us))

    async def overdue(self, now_us: int, limit: int) -> list[tuple[str, int]]:
        """List escrows whose deadline has passed, with their version, the oldest deadline first."""
        rows = await self._fetch(query.OVERDUE, now_us=now_us, most=limit)
        return [(row[0], row[1]) for row in rows]

    async def waiting_webhooks(self, before_us: int, limit: int) -> list[tuple[str, bytes]]:
        """List webhooks that were stored before a time and not worked off, oldest first."""
        rows = await self._fetch(query.WAITING_WEBHOOKS, before_us=before_us, most=limit)
        return [(row[0], bytes(row[1])) for row in rows]

    async def old_webhooks(self, outcome: str, before_us: int, limit: int) -> list[str]:
        """List webhooks that came before a time and were worked off so, oldest first."""
        c = t.inbox.c
        statement = (
            sa.select(c.event_id)
            .where(c.outcome == outcome, c.receive_time_us < before_us)
            .order_by(c.receive_time_us)
            .limit(limit)
        )
        return [row.event_id for row in await self._rows(statement)]

    async def books(
        self, *, after_id: str = "", limit: int, escrow_ids: Collection[str] | None = None
    ) -> list[Book]:
        """Read all that is written of some escrows, as of one moment, in the order of their ids."""
        c = t.escrows.c
        which = c.escrow_id > after_id if escrow_ids is None else c.escrow_id.in_(escrow_ids)
        rows = sa.select(c.escrow_id, c.body, c.last_hash).where(which)
        rows = rows.order_by(c.escrow_id).limit(limit)

        async def read(connection: AsyncConnection) -> Any:
            escrows = (await connection.execute(rows)).all()
            ids = [row.escrow_id for row in escrows]
            events = await _grouped(connection, sa.select(t.events), t.events, ids)
            postings = await _grouped(connection, sa.select(t.postings), t.postings, ids)
            owed = await _grouped(connection, sa.select(t.owed.c.escrow_id), t.owed, ids)
            places = sa.select(t.positions.c.escrow_id, t.positions.c.version)
            placed = await _grouped(connection, places, t.positions, ids)
            waiting = sa.select(t.outbox.c.escrow_id, t.outbox.c.version)
            unplaced = await _grouped(connection, waiting, t.outbox, ids)
            return escrows, events, postings, owed, placed, unplaced

        with storage_errors():
            escrows, events, postings, owed, placed, unplaced = await reading(
                self._engine, read, limit_s=BOOKS_S, is_snapshot=True
            )
        return [
            Book(
                load_row(row.body),
                bytes(row.last_hash),
                [bytes(event.body) for event in events[row.escrow_id]],
                [PostingRow(**posting._mapping) for posting in postings[row.escrow_id]],
                bool(owed[row.escrow_id]),
                [place.version for place in placed[row.escrow_id]],
                [place.version for place in unplaced[row.escrow_id]],
            )
            for row in escrows
        ]

    async def orders_of(self, escrow_id: str) -> list[str]:
        """List all Razorpay orders that an escrow has had."""
        return [row[0] for row in await self._fetch(query.ORDERS_OF, escrow_id=escrow_id)]

    async def started_since(self, since_us: int, after_id: str, limit: int) -> list[str]:
        """List escrows with an order that changed since a time, in the order of their ids."""
        c = t.escrows.c
        ordered = sa.select(t.orders.c.escrow_id)
        statement = (
            sa.select(c.escrow_id)
            .where(c.escrow_id > after_id, c.update_time_us >= since_us, c.escrow_id.in_(ordered))
            .order_by(c.escrow_id)
            .limit(limit)
        )
        return [row.escrow_id for row in await self._rows(statement)]


async def _grouped(
    connection: AsyncConnection,
    select: sa.Select[*tuple[Any, ...]],
    table: sa.Table,
    ids: Sequence[str],
) -> defaultdict[str, list[sa.Row[Any]]]:
    """Read the rows of some escrows, in the order of the table's key, by escrow."""
    groups: defaultdict[str, list[sa.Row[Any]]] = defaultdict(list)
    statement = select.where(table.c.escrow_id.in_(ids)).order_by(*table.primary_key.columns)
    for row in await connection.execute(statement):
        groups[row.escrow_id].append(row)
    return groups
