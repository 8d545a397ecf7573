"""The engine: how each kind of database is opened, and one use of a connection begun and ended."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from core.storage.file import File
from core.storage.lane import Job, Lane, Outcome, Travel
from core.storage.link import DIAL_S, STATEMENT_S, Link, Links, dial, lost_on_goodbye
from core.storage.plan import Plan

# Connections of one process: one writer and readers beside it. PostgreSQL's own default allows 100
# to all replicas.
POOL_SIZE = 10
# How long a statement waits for a free connection, and a connection for the server.
POOL_WAIT_S = 5.0
# How long SQLite waits for a lock.
SQLITE_BUSY_S = 5.0
# What one connection to SQLite may cache of the file.
SQLITE_CACHE_KB = 32_768
# Pages of SQLite's log after which they are copied into the file: 16 MB. A page that changes often
# is then copied once for many changes.
SQLITE_CHECKPOINT_PAGES = 4_000
# What closing all connections may take before they are cut.
CLOSE_S = 2.0
# Taking a connection out of the pool: a wait for one, or a dial.
TAKE_S = POOL_WAIT_S + DIAL_S
# What a batch may take in all: to read, to write, and to give up.
WIRE_S = 3 * STATEMENT_S

Answer = TypeVar("Answer")
# A statement, and what is bound to it.
Asked = tuple[str, Any]


class Database(AsyncEngine):
    """An engine that knows its connections to PostgreSQL, or its SQLite file."""

    def __init__(self, engine: sa.Engine, file: File | None) -> None:
        super().__init__(engine)
        self.file = file
        self.links = Links(engine) if file is None else None
        self.lanes: list[Lane[Any]] = []
        self._reads = self.new_lane(self._read)

    def require_file(self) -> None:
        """Raise Gone where what was just committed went to a file that is not there any more."""
        if self.file is not None:
            self.file.require_same()

    def new_lane(self, travel: Travel[Job]) -> Lane[Job]:
        """Make a way to SQLite's threads; nothing is closed while something is on it."""
        lane = Lane(travel)
        self.lanes.append(lane)
        return lane

    async def read(self, plan: Plan, given: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run a planned read on SQLite, in one trip with all that wait; answers its rows."""
        rows: Sequence[Sequence[Any]] = await self._reads.go(
            (plan.lite.text, plan.lite.values(given))
        )
        return rows

    async def _read(self, asked: Sequence[Asked]) -> list[Outcome]:
        return await ride(self, lambda connection: [_read(connection, *one) for one in asked])

    async def dispose(self, close: bool = True) -> None:
        """Close all connections; those that do not answer, or are still used, are cut."""
        for lane in self.lanes:
            await lane.arrive()
        closing = asyncio.ensure_future(super().dispose(close))
        await asyncio.wait({closing}, timeout=CLOSE_S)
        if self.links is not None:
            # One that is used would come back to a pool that nobody closes any more.
            self.links.cut_all()
        await closing


def connect(url: str) -> Database:
    """Make the engine for a SQLite or PostgreSQL address. Opens nothing yet."""
    if url.startswith("sqlite"):
        return _sqlite(url)
    engine = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        pool_timeout=POOL_WAIT_S,
        pool_use_lifo=True,
        connect_args={
            "async_creator_fn": dial,
            "server_settings": {"application_name": "holdfast"},
        },
    )
    return Database(engine.sync_engine, None)


def insert_into(table: sa.Table, is_postgres: bool) -> Any:
    """Begin an INSERT that may say what to do on conflict, which is each dialect's own."""
    return (postgresql if is_postgres else sqlite).insert(table)


def _sqlite(url: str) -> Database:
    engine = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        pool_timeout=POOL_WAIT_S,
        # It would cost each use a trip to the connection's thread; whoever begins ends it himself.
        pool_reset_on_return=None,
        # What a connection has cached counts until another one writes: mostly the same one does.
        pool_use_lifo=True,
        connect_args={"timeout": SQLITE_BUSY_S},
    )
    file = File(engine.url.database or "")

    def make_private(*_: Any) -> None:
        file.make()

    def set_up(connection: Any, _record: Any) -> None:
        _set_up_sqlite(connection)
        file.remember()

    event.listen(engine.sync_engine, "do_connect", make_private)
    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return Database(engine.sync_engine, file)


def _set_up_sqlite(dbapi_connection: Any) -> None:
    # The driver must not begin by itself: what writes begins IMMEDIATE (see _begin_sqlite).
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{SQLITE_CACHE_KB}",
        f"wal_autocheckpoint={SQLITE_CHECKPOINT_PAGES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("writes"):
        # Read-then-write under a plain BEGIN fails with SQLITE_BUSY_SNAPSHOT, and does not wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif options.get("snapshot"):
        connection.exec_driver_sql("BEGIN")
    # A lone read is a transaction of its own, and a third cheaper without these words.


class Unbroken:
    """A connection whose statements are never broken off, and end in time."""

    def __init__(self, connection: AsyncConnection, link: Link) -> None:
        self._connection = connection
        self._link = link

    async def execute(
        self, statement: sa.Executable, parameters: Any = None
    ) -> sa.CursorResult[Any]:
        return await self._link.unbroken(self._connection.execute(statement, parameters))

    async def fetch(
        self, plan: Plan, given: Mapping[str, Any], is_postgres: bool
    ) -> Sequence[Sequence[Any]]:
        """Run a planned statement; answers its rows."""
        compiled = plan.postgres if is_postgres else plan.lite
        asking = self._connection.exec_driver_sql(compiled.text, compiled.values(given))
        result = await self._link.unbroken(asking)
        return result.all() if result.returns_rows else []


@contextlib.asynccontextmanager
async def writing(database: Database) -> AsyncIterator[Unbroken]:
    """Open a connection with a write transaction; it commits at the end, or not at all."""
    link = Link(database.links)
    connection = database.connect()
    try:
        await link.unbroken(connection.start(), TAKE_S)
        link.hold(connection)
        await connection.execution_options(writes=True)
        transaction = connection.begin()
        await link.unbroken(transaction.start())
        try:
            yield Unbroken(connection, link)
        except BaseException:
            await link.unbroken(transaction.rollback())
            raise
        await link.unbroken(transaction.commit())
    finally:
        if connection.sync_connection is not None:
            await link.unbroken(connection.close())
    database.require_file()


async def _take(database: Database) -> sa.PoolProxiedConnection:
    """Take a connection out of the pool; what the driver says to a dial becomes SQLAlchemy's."""
    try:
        return await database.raw_connection()
    except database.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(None, None, error) from error


def as_sqlalchemy(error: Exception) -> Exception:
    """Say what SQLite's driver raised as SQLAlchemy does; other errors are left as they are."""
    if isinstance(error, sqlite3.IntegrityError):
        return IntegrityError(None, None, error)
    return DBAPIError(None, None, error) if isinstance(error, sqlite3.Error) else error


@contextlib.contextmanager
def write_at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Let a block write in the connection's thread; it commits at the end, or not at all.

    The connection is in no transaction, before and after.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


async def in_thread(database: Database, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Give a connection of SQLite to a function, in that connection's own thread: one trip.

    The function must leave no transaction open.
    """
    return await Link(None).unbroken(ride(database, work))


async def ride(database: Database, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Do the same for a caller that is never cancelled, as a lane."""
    pooled = await _take(database)
    driver: Any = pooled.driver_connection
    try:
        # SQLAlchemy's dialect reaches into the driver at the same place.
        answer: Answer = await driver._execute(work, driver._conn)
    except sqlite3.Error as error:
        raise as_sqlalchemy(error) from error
    finally:
        await greenlet_spawn(pooled.close)
    return answer


def _read(connection: sqlite3.Connection, text: str, values: Any) -> Outcome:
    try:
        return connection.execute(text, values).fetchall(), None
    except Exception as error:
        return None, as_sqlalchemy(error)


async def on_wire(
    database: Database, work: Callable[[asyncpg.Connection, Link], Awaitable[Answer]]
) -> Answer:
    """Let a function use a connection to PostgreSQL as its driver has it, unbroken.

    The function must set its own limits (Link.within), and leave no transaction open.
    """
    link = Link(database.links)

    async def go() -> Answer:
        pooled = await _open_wire(database)
        driver: Any = pooled.driver_connection
        link.hold_driver(driver)
        try:
            with lost_on_goodbye(driver):
                return await work(driver, link)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(None, None, error) from error
        except asyncpg.PostgresError as error:
            raise DBAPIError(None, None, error) from error
        finally:
            await greenlet_spawn(pooled.invalidate if driver.is_closed() else pooled.close)

    return await link.unbroken(go(), TAKE_S + WIRE_S)


async def _open_wire(database: Database) -> sa.PoolProxiedConnection:
    """Take a connection out of the pool, but none that was lost while it was idle."""
    while True:
        pooled = await _take(database)
        driver: Any = pooled.driver_connection
        if not driver.is_closed():
            return pooled
        await greenlet_spawn(pooled.invalidate)


async def fetch(database: Database, plan: Plan, **given: Any) -> Sequence[Sequence[Any]]:
    """Run a planned statement by itself; answers its rows."""
    if database.links is None:
        return await database.read(plan, given)
    wire = plan.postgres

    async def ask(driver: asyncpg.Connection, link: Link) -> Sequence[Sequence[Any]]:
        with link.within(STATEMENT_S):
            rows: Sequence[Sequence[Any]] = await driver.fetch(wire.text, *wire.values(given))
            return rows

    return await on_wire(database, ask)


async def reading(
    database: Database,
    read: Callable[[AsyncConnection], Awaitable[Answer]],
    *,
    limit_s: float = STATEMENT_S,
    is_snapshot: bool = False,
) -> Answer:
    """Take a connection, let `read` use it, and give it back, all within a limit.

    With `is_snapshot` all its reads see the database as of one moment.
    """
    link = Link(database.links)
    is_postgres = database.dialect.name == "postgresql"
    options = {"isolation_level": "REPEATABLE READ"} if is_postgres else {"snapshot": True}

    async def use() -> Answer:
        async with database.connect() as connection:
            link.hold(connection)
            if is_snapshot:
                await connection.execution_options(**options)
            return await read(connection)

    return await link.unbroken(use(), TAKE_S + limit_s)
