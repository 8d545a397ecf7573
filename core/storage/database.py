"""The engine: how each kind of database is opened, and when one counts as away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.errors import Reason, Refusal

# Connections of one process: one writer and readers beside it. PostgreSQL's own default allows 100
# to all replicas.
POOL_SIZE = 10
# How long a statement waits for a free connection, and a connection for the server.
POOL_WAIT_S = 5.0
# How long SQLite waits for a lock.
SQLITE_BUSY_S = 5.0

Answer = TypeVar("Answer")


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
    options = connection.get_execution_options()
    if options.get("writes"):
        # Read-then-write under a plain BEGIN fails with SQLITE_BUSY_SNAPSHOT, and does not wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif options.get("snapshot"):
        connection.exec_driver_sql("BEGIN")
    # A lone read is a transaction of its own, and a third cheaper without these words.


async def unbroken(doing: Awaitable[Answer]) -> Answer:
    """Wait for something that must not be broken off; a cancellation is raised after its end.

    A caller that is cancelled in the middle of a statement leaves an open cursor behind, and with
    it SQLite's write lock, which nobody else gets until the garbage collector happens to find it.
    """
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise


class Unbroken:
    """A connection whose statements are never broken off."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: sa.Executable, parameters: Any = None
    ) -> sa.CursorResult[Any]:
        return await unbroken(self._connection.execute(statement, parameters))


@contextlib.asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[Unbroken]:
    """Open a connection with a write transaction; it commits at the end, or not at all."""
    connection = engine.connect()
    try:
        await unbroken(connection.start())
        await connection.execution_options(writes=True)
        transaction = connection.begin()
        await unbroken(transaction.start())
        try:
            yield Unbroken(connection)
        except BaseException:
            await unbroken(transaction.rollback())
            raise
        await unbroken(transaction.commit())
    finally:
        if connection.sync_connection is not None:
            await unbroken(connection.close())


@contextlib.asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection whose reads all see the database as of one moment."""
    is_postgres = engine.dialect.name == "postgresql"
    options = {"isolation_level": "REPEATABLE READ"} if is_postgres else {"snapshot": True}
    async with engine.connect() as connection:
        await connection.execution_options(**options)
        yield connection


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
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


# SQLite has no such codes in its Python driver.
_AWAY_HINTS = (
    "locked",
    "unable to open",
    "disk is full",
    "readonly",
    "disk i/o",
    "connection",
    "is closed",
)


def is_away(error: DBAPIError) -> bool:
    """Whether an error says that the database is away or busy, rather than that we are wrong."""
    if error.connection_invalidated or isinstance(error.orig, OSError):
        return True
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if state is not None:
        return str(state).startswith(_AWAY_STATES)
    text = str(error.orig).lower()
    return any(hint in text for hint in _AWAY_HINTS)
