"""The transaction: load, write, append, and read what was appended. The only room of SQL.

It decides nothing. A database that is away is a Refusal STORAGE_UNAVAILABLE; anything else that
goes wrong is raised as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core import tables as t
from core.errors import Reason, Refusal
from core.escrow import Escrow, Status
from core.record import load_row

# One writer and readers beside it; PostgreSQL's own default allows 100 to all replicas.
POOL_SIZE = 10
POOL_WAIT_S = 5.0
SQLITE_BUSY_S = 5.0
# Parameters of one IN list; SQLite allows 32,766 in all, PostgreSQL 32,767.
IN_LIMIT = 500
# A NOTIFY payload must stay under 8,000 bytes (PostgreSQL, NOTIFY).
NOTIFY_LIMIT = 7_900
NOTIFY_CHANNEL = "holdfast"


@dataclass(frozen=True, slots=True)
class Known:
    """An event that a cause has made before."""

    escrow_id: str
    version: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """An escrow with the hash of its last event."""

    escrow: Escrow
    last_hash: bytes


@dataclass(frozen=True, slots=True)
class Owed:
    """A leased piece of settlement's work."""

    escrow_id: str
    version: int
    attempts: int
    lease_id: str
    asked: str | None
    asked_us: int | None


@dataclass(frozen=True, slots=True)
class PayeeRow:
    user_id: str
    version: int
    account_id: str
    cause: str
    fingerprint: bytes
    create_time_us: int


def connect(url: str) -> AsyncEngine:
    """Make the engine for a SQLite or PostgreSQL address. Opens nothing yet."""
    if url.startswith("sqlite"):
        engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            pool_timeout=POOL_WAIT_S,
            connect_args={"timeout": SQLITE_BUSY_S},
        )
        sa.event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_size=POOL_SIZE,
        pool_timeout=POOL_WAIT_S,
        pool_use_lifo=True,
        connect_args={
            "timeout": POOL_WAIT_S,
            "server_settings": {"synchronous_commit": "on", "application_name": "holdfast"},
        },
    )


def _set_up_sqlite(dbapi_connection: Any, _record: Any) -> None:
    # The driver must not begin by itself: what writes begins IMMEDIATE (see _begin_sqlite).
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # Read-then-write under a plain BEGIN fails with SQLITE_BUSY_SNAPSHOT and ignores the time-out.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, PoolTimeoutError) as error:
        raise _away() from error
    except DBAPIError as error:
        if is_away(error):
            raise _away() from error
        raise


def _away() -> Refusal:
    return Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away; try again in a moment.")


# SQLSTATE classes of a server that is going, gone or full (PostgreSQL, appendix A).
_AWAY_STATES = ("08", "57P", "53", "40", "55P")


def is_away(error: DBAPIError) -> bool:
    """Whether an error says that the database is away or busy, rather than that we are wrong."""
    if error.connection_invalidated or isinstance(error.orig, OSError):
        return True
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if state is not None:
        return str(state).startswith(_AWAY_STATES)
    text = str(error.orig).lower()
    return any(hint in text for hint in ("locked", "connection", "disk i/o", "is closed"))


class Store:
    """Reads and write transactions on one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.is_postgres = engine.dialect.name == "postgresql"
        # SQLite has one writer: waiting here is fairer than its busy time-out.
        self._writer = asyncio.Lock() if not self.is_postgres else None

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Open a write transaction; it commits at the end of the block, or not at all."""
        async with contextlib.AsyncExitStack() as stack:
            if self._writer is not None:
                await stack.enter_async_context(self._writer)
            stack.enter_context(_storage_errors())
            connection = await stack.enter_async_context(self._engine.connect())
            await connection.execution_options(writes=True)
            async with connection.begin():
                yield Transaction(connection, self.is_postgres)

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with _storage_errors():
            async with self._engine.connect() as connection:
                return list(await connection.execute(statement))

    async def ping(self) -> None:
        """Answer when the database does."""
        await self._rows(sa.select(sa.literal(1)))

    async def escrow(self, escrow_id: str) -> Escrow | None:
        rows = await self._rows(
            sa.select(t.escrows.c.body).where(t.escrows.c.escrow_id == escrow_id)
        )
        return load_row(rows[0].body) if rows else None

    async def escrows(
        self,
        *,
        parties: Sequence[str],
        status: Status | None,
        before: tuple[int, str] | None,
        limit: int,
    ) -> list[Escrow]:
        """List escrows, newest first, that every one of `parties` belongs to."""
        c = t.escrows.c
        statement = sa.select(c.body).order_by(c.create_time_us.desc(), c.escrow_id.desc())
        for user_id in parties:
            statement = statement.where(
                sa.or_(c.buyer_id == user_id, c.seller_id == user_id, c.arbiter_id == user_id)
            )
        if status is not None:
            statement = statement.where(c.status == status.value)
        if before is not None:
            statement = statement.where(sa.tuple_(c.create_time_us, c.escrow_id) < before)
        return [load_row(row.body) for row in await self._rows(statement.limit(limit))]

    async def events_after(self, escrow_id: str, after: int, limit: int) -> list[bytes]:
        """Read serialized events of one escrow after a version (exclusive), oldest first."""
        c = t.events.c
        statement = (
            sa.select(c.body)
            .where(c.escrow_id == escrow_id, c.version > after)
            .order_by(c.version)
            .limit(limit)
        )
        return [row.body for row in await self._rows(statement)]

    async def event(self, escrow_id: str, version: int) -> bytes:
        c = t.events.c
        rows = await self._rows(
            sa.select(c.body).where(c.escrow_id == escrow_id, c.version == version)
        )
        return bytes(rows[0].body)

    async def versions(self, escrow_ids: Collection[str]) -> dict[str, int]:
        """Answer the current version of each of these escrows."""
        c = t.escrows.c
        found: dict[str, int] = {}
        for chunk in _chunks(list(escrow_ids), IN_LIMIT):
            statement = sa.select(c.escrow_id, c.version).where(c.escrow_id.in_(chunk))
            found.update((row.escrow_id, row.version) for row in await self._rows(statement))
        return found

    async def owner_of_order(self, order_id: str) -> str | None:
        c = t.orders.c
        rows = await self._rows(sa.select(c.escrow_id).where(c.order_id == order_id))
        return rows[0].escrow_id if rows else None

    async def payee(self, user_id: str) -> PayeeRow | None:
        rows = await self._rows(_latest_payee(user_id))
        return PayeeRow(**rows[0]._mapping) if rows else None

    async def is_owed(self, now_us: int) -> bool:
        """Whether anything is due that nobody works on."""
        c = t.owed.c
        free = sa.or_(c.lease_until_us.is_(None), c.lease_until_us < now_us)
        statement = sa.select(c.escrow_id).where(c.due_us <= now_us, free).limit(1)
        return bool(await self._rows(statement))

    async def overdue(self, now_us: int, limit: int) -> list[tuple[str, int]]:
        """List escrows whose deadline has passed, with the deadline, the oldest first."""
        c = t.escrows.c
        statement = (
            sa.select(c.escrow_id, c.deadline_us)
            .where(c.deadline_us <= now_us)
            .order_by(c.deadline_us)
            .limit(limit)
        )
        return [(row.escrow_id, row.deadline_us) for row in await self._rows(statement)]

    async def next_deadline_us(self) -> int | None:
        rows = await self._rows(sa.select(sa.func.min(t.escrows.c.deadline_us)))
        return rows[0][0] if rows else None

    async def waiting_webhooks(self, limit: int) -> list[tuple[str, bytes]]:
        """List webhooks that were stored and not worked off, oldest first."""
        c = t.inbox.c
        statement = (
            sa.select(c.event_id, c.body)
            .where(c.outcome.is_(None))
            .order_by(c.receive_time_us)
            .limit(limit)
        )
        return [(row.event_id, bytes(row.body)) for row in await self._rows(statement)]


class Transaction:
    """One write transaction. Everything here is done, or nothing."""

    def __init__(self, connection: AsyncConnection, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    def _insert(self, table: sa.Table) -> Any:
        return (postgresql if self._is_postgres else sqlite).insert(table)

    async def known(self, causes: Collection[str]) -> dict[str, Known]:
        """Answer which of these causes have made an event."""
        c = t.events.c
        found: dict[str, Known] = {}
        for chunk in _chunks(list(causes), IN_LIMIT):
            statement = sa.select(c.cause, c.escrow_id, c.version, c.fingerprint)
            rows = await self._connection.execute(statement.where(c.cause.in_(chunk)))
            found.update(
                (row.cause, Known(row.escrow_id, row.version, bytes(row.fingerprint)))
                for row in rows
            )
        return found

    async def load(self, escrow_ids: Collection[str]) -> dict[str, Loaded]:
        """Load escrows and keep others from changing them: locked in the order of their ids."""
        c = t.escrows.c
        found: dict[str, Loaded] = {}
        for chunk in _chunks(sorted(escrow_ids), IN_LIMIT):
            statement = (
                sa.select(c.escrow_id, c.body, c.last_hash)
                .where(c.escrow_id.in_(chunk))
                .order_by(c.escrow_id)
                .with_for_update()
            )
            rows = await self._connection.execute(statement)
            found.update(
                (row.escrow_id, Loaded(load_row(row.body), bytes(row.last_hash))) for row in rows
            )
        return found

    async def save(
        self,
        *,
        escrows: Sequence[Mapping[str, Any]],
        events: Sequence[Mapping[str, Any]],
        postings: Sequence[Mapping[str, Any]],
        orders: Sequence[Mapping[str, Any]],
        owed: Sequence[Mapping[str, Any]],
        settled: Sequence[str],
    ) -> None:
        """Write rows, events, postings and what is owed, one statement for each table."""
        upsert = self._insert(t.escrows)
        changing = ("version", "status", "update_time_us", "deadline_us", "last_hash", "body")
        upsert = upsert.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={name: upsert.excluded[name] for name in changing},
        )
        await self._many(upsert, escrows)
        await self._many(sa.insert(t.events), events)
        await self._many(sa.insert(t.postings), postings)
        await self._many(self._insert(t.orders).on_conflict_do_nothing(), orders)
        stir = self._insert(t.owed)
        stir = stir.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={
                "version": stir.excluded.version,
                "due_us": stir.excluded.due_us,
                "attempts": 0,
            },
        )
        await self._many(stir, owed)
        for chunk in _chunks(settled, IN_LIMIT):
            await self._connection.execute(sa.delete(t.owed).where(t.owed.c.escrow_id.in_(chunk)))

    async def _many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            await self._connection.execute(statement, list(rows))

    async def notify(self, rung: Iterable[tuple[str, int]]) -> None:
        """Ring the other processes at commit (PostgreSQL only): which escrows, at which version."""
        if not self._is_postgres:
            return
        for payload in _payloads(rung):
            await self._connection.execute(sa.select(sa.func.pg_notify(NOTIFY_CHANNEL, payload)))

    async def lease(
        self, *, lease_id: str, now_us: int, until_us: int, limit: int, escrow_id: str | None = None
    ) -> list[Owed]:
        """Take up to `limit` pieces of work that are due and that nobody else has."""
        c = t.owed.c
        free = sa.or_(c.lease_until_us.is_(None), c.lease_until_us < now_us)
        statement = (
            sa.select(c.escrow_id, c.version, c.attempts, c.asked, c.asked_us)
            .where(c.due_us <= now_us, free)
            .order_by(c.due_us)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if escrow_id is not None:
            statement = statement.where(c.escrow_id == escrow_id)
        rows = (await self._connection.execute(statement)).all()
        ids = [row.escrow_id for row in rows]
        if ids:
            await self._connection.execute(
                sa.update(t.owed)
                .where(c.escrow_id.in_(ids))
                .values(lease_id=lease_id, lease_until_us=until_us)
            )
        return [
            Owed(row.escrow_id, row.version, row.attempts, lease_id, row.asked, row.asked_us)
            for row in rows
        ]

    async def renew(
        self, work: Owed, *, until_us: int, asked: str | None, asked_us: int | None
    ) -> bool:
        """Keep a lease and remember the call about to be made; False when it is ours no more."""
        c = t.owed.c
        result = await self._connection.execute(
            sa.update(t.owed)
            .where(c.escrow_id == work.escrow_id, c.lease_id == work.lease_id)
            .values(lease_until_us=until_us, asked=asked, asked_us=asked_us)
        )
        return bool(result.rowcount)

    async def give_back(
        self, work: Owed, *, due_us: int | None, attempts: int, seen_version: int
    ) -> None:
        """End a lease and say when to look again; what was owed anew meanwhile stays due."""
        c = t.owed.c
        mine = sa.and_(c.escrow_id == work.escrow_id, c.lease_id == work.lease_id)
        free = {"lease_id": None, "lease_until_us": None}
        result = await self._connection.execute(
            sa.update(t.owed)
            .where(mine, c.version <= seen_version)
            .values(due_us=due_us, attempts=attempts, **free)
        )
        if not result.rowcount:
            await self._connection.execute(sa.update(t.owed).where(mine).values(**free))

    async def drop(self, work: Owed, *, seen_version: int) -> None:
        """Forget a piece of work that turned out to be done."""
        c = t.owed.c
        await self._connection.execute(
            sa.delete(t.owed).where(
                c.escrow_id == work.escrow_id,
                c.lease_id == work.lease_id,
                c.version <= seen_version,
            )
        )

    async def stir(self, *, now_us: int, escrow_id: str = "", seller_id: str = "") -> None:
        """Make what is owed for an escrow, or to a seller, due now."""
        c = t.owed.c
        which: sa.ColumnElement[bool]
        if seller_id:
            which = c.escrow_id.in_(
                sa.select(t.escrows.c.escrow_id).where(t.escrows.c.seller_id == seller_id)
            )
        else:
            which = c.escrow_id == escrow_id
        await self._connection.execute(
            sa.update(t.owed).where(which).values(due_us=now_us, attempts=0)
        )

    async def payee(self, user_id: str) -> PayeeRow | None:
        row = (await self._connection.execute(_latest_payee(user_id))).one_or_none()
        return PayeeRow(**row._mapping) if row else None

    async def payee_by_cause(self, cause: str) -> PayeeRow | None:
        statement = sa.select(t.payees).where(t.payees.c.cause == cause)
        row = (await self._connection.execute(statement)).one_or_none()
        return PayeeRow(**row._mapping) if row else None

    async def add_payee(self, row: PayeeRow) -> None:
        await self._connection.execute(
            sa.insert(t.payees).values(
                user_id=row.user_id,
                version=row.version,
                account_id=row.account_id,
                cause=row.cause,
                fingerprint=row.fingerprint,
                create_time_us=row.create_time_us,
            )
        )

    async def keep_webhook(self, *, event_id: str, body: bytes, now_us: int) -> str | None:
        """Store a webhook unless it is there; answer the outcome it has already, or None."""
        statement = self._insert(t.inbox).values(
            event_id=event_id, body=body, receive_time_us=now_us
        )
        await self._connection.execute(statement.on_conflict_do_nothing())
        c = t.inbox.c
        rows = await self._connection.execute(sa.select(c.outcome).where(c.event_id == event_id))
        outcome: str | None = rows.scalar_one()
        return outcome

    async def finish_webhook(self, *, event_id: str, outcome: str) -> None:
        await self._connection.execute(
            sa.update(t.inbox).where(t.inbox.c.event_id == event_id).values(outcome=outcome)
        )


def _latest_payee(user_id: str) -> sa.Select[Any]:
    c = t.payees.c
    return sa.select(t.payees).where(c.user_id == user_id).order_by(c.version.desc()).limit(1)


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _payloads(rung: Iterable[tuple[str, int]]) -> Iterable[str]:
    line = ""
    for escrow_id, version in rung:
        item = f"{escrow_id}:{version}"
        if line and len(line) + 1 + len(item) > NOTIFY_LIMIT:
            yield line
            line = ""
        line = f"{line},{item}" if line else item
    if line:
        yield line
