"""The engine: how each kind of database is opened, and when one counts as away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import Reason, Refusal

# One writer and readers beside it; PostgreSQL's own default allows 100 to all replicas.
POOL_SIZE = 10
POOL_WAIT_S = 5.0
SQLITE_BUSY_S = 5.0


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
