"""A batch of commands as one transaction: what is read for it, what it writes, and its statements.

The decision between reading and writing is pure, so that on SQLite all of it is one trip to the
connection's thread.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from core.law.command import File
from core.law.escrow import Event
from core.law.record import dump_row, load_row
from core.storage import tables as t
from core.storage.attachment import FILES, MARK_SENT
from core.storage.database import insert_into, write_at_once
from core.storage.ledger import deltas
from core.storage.link import STATEMENT_S, Link, give_up
from core.storage.listing import listed_row
from core.storage.plan import Compiled, Plan, listed, one_of
from core.storage.row import Known, Loaded

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be read before a batch is decided."""

    escrow_ids: Collection[str]
    causes: Collection[str]
    # Escrows whose lease of settlement's work counts.
    leased: Collection[str] = ()
    # Files that messages show.
    file_ids: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What was read: events of these causes, locked escrows, and who works on them.

    `files` are those of the wanted ones that wait to be sent, locked.
    """

    known: dict[str, Known]
    loaded: dict[str, Loaded]
    leases: dict[str, str]
    files: dict[str, File] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Writes:
    """The rows that a batch writes, by table."""

    escrows: Sequence[Row] = ()
    events: Sequence[Row] = ()
    # What the events need to get their positions.
    places: Sequence[Row] = ()
    postings: Sequence[Row] = ()
    orders: Sequence[Row] = ()
    checks: Sequence[Row] = ()
    owed: Sequence[Row] = ()
    # Escrows for which nothing is owed any more.
    settled: Sequence[str] = ()
    # Files that are now part of a message.
    sent: Sequence[str] = ()
    # Whom to tell other processes of: escrow and version.
    rung: Sequence[tuple[str, int]] = field(default=())


def escrow_row(loaded: Loaded) -> dict[str, Any]:
    """Make the row of an escrow as it stands."""
    escrow = loaded.escrow
    return {
        "escrow_id": escrow.escrow_id,
        "version": escrow.version,
        "status": escrow.status.value,
        "buyer_id": escrow.buyer_id,
        "seller_id": escrow.seller_id,
        "arbiter_id": escrow.arbiter_id,
        "created_by": escrow.created_by,
        "attention_code": escrow.attention_code,
        "create_time_us": escrow.create_time_us,
        "update_time_us": escrow.update_time_us,
        "deadline_us": escrow.look_us,
        "last_hash": loaded.last_hash,
        "body": dump_row(escrow),
        **listed_row(escrow),
    }


def place_row(event: Event) -> dict[str, Any]:
    """Make what is written down with an event's position, so that its readers can choose."""
    escrow = event.escrow
    return {
        "type": event.type.value,
        "new_status": escrow.status.value,
        "buyer_id": escrow.buyer_id,
        "seller_id": escrow.seller_id,
        "arbiter_id": escrow.arbiter_id,
    }


class Judged(Protocol):
    """A decided batch."""

    @property
    def writes(self) -> Writes: ...


Decided = TypeVar("Decided", bound=Judged)
Judge = Callable[[Found, int], Decided]

# The columns that a batch writes, in the order of its statements. SQLite has one writer at a time:
# the order in which its rows get their ids is the order of the commits.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "escrows": tuple(column.name for column in t.escrows.columns),
    "events": tuple(column.name for column in t.events.columns),
    "positions": tuple(column.name for column in t.positions.columns if column.name != "position"),
    "outbox": tuple(column.name for column in t.outbox.columns),
    "postings": tuple(column.name for column in t.postings.columns),
    "balance_deltas": ("account", "currency", "amount_minor"),
    "orders": ("order_id", "escrow_id"),
    "checks": ("escrow_id", "due_us", "attempts"),
    "owed": ("escrow_id", "version", "due_us", "attempts", "stirs"),
}
# What a new version of a row changes, where there may be one already.
_CHANGES: Mapping[str, tuple[str, ...]] = {
    "escrows": (
        "version",
        "status",
        "update_time_us",
        "deadline_us",
        "attention_code",
        "last_hash",
        "body",
        "held_minor",
        "needs_buyer",
        "needs_seller",
        "needs_arbiter",
    ),
    "checks": ("due_us", "attempts"),
    "owed": ("version", "due_us", "attempts"),
}


def batch_insert(name: str, is_postgres: bool) -> Any:
    """Begin the insert of a table, with what to do where the row is there already."""
    insert = insert_into(t.metadata.tables[name], is_postgres)
    if name in _CHANGES:
        return insert.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={column: insert.excluded[column] for column in _CHANGES[name]},
        )
    return insert.on_conflict_do_nothing() if name == "orders" else insert


def _locked(is_postgres: bool) -> sa.Select[Any]:
    c = t.escrows.c
    return (
        sa.select(c.escrow_id, c.body, c.last_hash)
        .where(one_of(c.escrow_id, "ids", is_postgres))
        .order_by(c.escrow_id)
        .with_for_update()
    )


def _known(is_postgres: bool) -> sa.Select[Any]:
    c = t.events.c
    return sa.select(c.cause, c.escrow_id, c.version, c.fingerprint).where(
        one_of(c.cause, "ids", is_postgres)
    )


def _leases(is_postgres: bool) -> sa.Select[Any]:
    c = t.owed.c
    return (
        sa.select(c.escrow_id, c.lease_id)
        .where(one_of(c.escrow_id, "ids", is_postgres), c.lease_id.is_not(None))
        .order_by(c.escrow_id)
        .with_for_update()
    )


def _settled(is_postgres: bool) -> sa.Delete:
    return sa.delete(t.owed).where(one_of(t.owed.c.escrow_id, "ids", is_postgres))


LOCKED, KNOWN, LEASES, SETTLED = Plan(_locked), Plan(_known), Plan(_leases), Plan(_settled)


# Characters of a NOTIFY; PostgreSQL allows less than 8,000 bytes.
NOTIFY_LIMIT = 7_900
NOTIFY_CHANNEL = "holdfast"


def payloads(rung: Iterable[tuple[str, int]]) -> Iterable[str]:
    """Write down escrows and versions, as many in one NOTIFY as it takes."""
    line = ""
    for escrow_id, version in rung:
        item = f"{escrow_id}:{version}"
        if line and len(line) + 1 + len(item) > NOTIFY_LIMIT:
            yield line
            line = ""
        line = f"{line},{item}" if line else item
    if line:
        yield line


def run_on_sqlite(
    connection: sqlite3.Connection, wanted: Wanted, now_us: int, judge: Judge[Decided]
) -> Decided:
    """Run a batch; the connection is in no transaction, before and after."""
    with write_at_once(connection):
        judged = judge(_read(connection, wanted), now_us)
        _write(connection, judged.writes)
    return judged


def _read(connection: sqlite3.Connection, wanted: Wanted) -> Found:
    def rows(plan: Plan, ids: Collection[str]) -> list[Any]:
        if not ids:
            return []
        lite = plan.lite
        return connection.execute(lite.text, lite.values(_ids(ids))).fetchall()

    return Found(
        loaded=loaded_by_id(rows(LOCKED, wanted.escrow_ids)),
        known=known_by_cause(rows(KNOWN, wanted.causes)),
        leases=dict(rows(LEASES, wanted.leased)),
        files=files_by_id(rows(FILES, wanted.file_ids)),
    )


def loaded_by_id(rows: Iterable[Sequence[Any]]) -> dict[str, Loaded]:
    """Read rows of escrow id, body and last hash."""
    return {row[0]: Loaded(load_row(row[1]), bytes(row[2])) for row in rows}


def known_by_cause(rows: Iterable[Sequence[Any]]) -> dict[str, Known]:
    """Read rows of cause, escrow id, version and fingerprint."""
    return {row[0]: Known(row[1], row[2], bytes(row[3])) for row in rows}


def files_by_id(rows: Iterable[Sequence[Any]]) -> dict[str, File]:
    """Read rows of files."""
    return {row[0]: File(*row) for row in rows}


def by_table(writes: Writes, is_postgres: bool) -> dict[str, Sequence[Row]]:
    """The rows of a batch by their tables' names, what they change of balances among them."""
    return {
        "escrows": writes.escrows,
        "events": writes.events,
        "outbox" if is_postgres else "positions": writes.places,
        "postings": writes.postings,
        "balance_deltas": deltas(writes.postings),
        "orders": writes.orders,
        "checks": writes.checks,
        "owed": writes.owed,
    }


def _write(connection: sqlite3.Connection, writes: Writes) -> None:
    for name, rows in by_table(writes, False).items():
        if rows:
            insert = _lite_insert(name)
            connection.executemany(insert.text, insert.rows(rows))
    if writes.settled:
        connection.execute(SETTLED.lite.text, (listed(writes.settled, False),))
    if writes.sent:
        connection.execute(MARK_SENT.lite.text, MARK_SENT.lite.values(_ids(writes.sent)))


async def run_on_postgres(
    driver: asyncpg.Connection,
    link: Link,
    wanted: Wanted,
    now_us: Callable[[], int],
    judge: Judge[Decided],
    *,
    notifies: bool,
) -> Decided:
    """Run a batch; the connection is in no transaction, before and after.

    What is written is one statement. Where nothing has to stay locked until then, it is the
    transaction by itself.
    """
    is_alone = not wanted.escrow_ids and not wanted.leased
    try:
        with link.within(STATEMENT_S):
            if not is_alone:
                await driver.execute("BEGIN")
            found = await _read_wire(driver, wanted)
        judged = judge(found, now_us())
        with link.within(STATEMENT_S):
            await _write_wire(driver, judged.writes, notifies=notifies)
            if not is_alone:
                await driver.execute("COMMIT")
    except BaseException:
        await give_up(driver, link)
        raise
    return judged


async def _read_wire(driver: asyncpg.Connection, wanted: Wanted) -> Found:
    async def rows(plan: Plan, ids: Collection[str]) -> Sequence[Any]:
        if not ids:
            return []
        wire = plan.postgres
        found: Sequence[Any] = await driver.fetch(wire.text, *wire.values(_ids(ids)))
        return found

    # Locked before the causes are read, so that another process's event of a cause is seen.
    loaded = await rows(LOCKED, wanted.escrow_ids)
    return Found(
        loaded=loaded_by_id(loaded),
        known=known_by_cause(await rows(KNOWN, wanted.causes)),
        leases={row[0]: row[1] for row in await rows(LEASES, wanted.leased)},
        files=files_by_id(await rows(FILES, wanted.file_ids)),
    )


async def _write_wire(driver: asyncpg.Connection, writes: Writes, *, notifies: bool) -> None:
    """Write all tables by one statement, which rings the other processes too if it `notifies`."""
    if not writes.events:
        return
    given: dict[str, Any] = {
        "ids": list(writes.settled),
        "payloads": list(payloads(writes.rung)) if notifies else [],
    }
    for name, rows in by_table(writes, True).items():
        for column in _COLUMNS[name]:
            given[f"{name}_{column}"] = [row[column] for row in rows]
    if writes.sent:
        marking = MARK_SENT.postgres
        await driver.execute(marking.text, *marking.values(_ids(writes.sent)))
    wire = _WRITE.postgres
    await driver.execute(wire.text, *wire.values(given))


def _ids(items: Collection[str]) -> Mapping[str, Any]:
    return {"ids": frozenset(items)}


def _write_all(_is_postgres: bool) -> Any:
    """All inserts as one statement: each table's rows come as one list for each column."""
    names = [name for name in _COLUMNS if name != "positions"]
    parts: list[Any] = [_insert_lists(name).cte(f"write_{name}") for name in names]
    parts.append(_settled(True).cte("settle"))
    payload = sa.func.unnest(sa.bindparam("payloads", type_=postgresql.ARRAY(sa.Text)))
    ring = sa.func.pg_notify(NOTIFY_CHANNEL, payload.column_valued("payload"))
    return sa.select(ring).add_cte(*parts)


def _insert_lists(name: str) -> Any:
    columns, table = _COLUMNS[name], t.metadata.tables[name]
    lists = [
        sa.bindparam(f"{name}_{column}", type_=postgresql.ARRAY(_wire_type(table.c[column])))
        for column in columns
    ]
    rows = sa.func.unnest(*lists).table_valued(*columns).render_derived(name=f"{name}_rows")
    return batch_insert(name, True).from_select(
        list(columns), sa.select(*(rows.c[column] for column in columns)), include_defaults=False
    )


def _wire_type(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    """The type of a list's items: a cast to the column's own would cut what is too long."""
    if isinstance(column.type, sa.LargeBinary):
        return sa.LargeBinary()
    return sa.BigInteger() if isinstance(column.type, sa.Integer) else sa.Text()


_WRITE = Plan(_write_all)


@functools.cache
def _lite_insert(name: str) -> Compiled:
    def make(is_postgres: bool) -> Any:
        values: dict[str, Any] = {column: sa.bindparam(column) for column in _COLUMNS[name]}
        return batch_insert(name, is_postgres).values(values)

    return Plan(make).lite
