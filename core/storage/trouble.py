"""When the database counts as away, and what is wrong with it in a sentence for its operator."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import Reason, Refusal
from core.storage.link import Silent, Standby

# SQLSTATE of PostgreSQL (appendix A), or the beginning of one: what it means and the remedy.
_STATES = {
    "28": "the server refuses the user or the password: correct them in the address",
    "3D000": "the server has no database of this name: create it, or correct the address",
    "42501": "the user may not change this schema: grant it CREATE and USAGE",
    "25006": "the server takes no writes: it is a standby, or was demoted; name the primary",
    "53300": "the server has no connection left: raise its max_connections, or run fewer cores",
    "53": "the server is out of disk, memory or connections: make room there",
    "57P03": "the server is starting or stopping: wait for it",
    "57P": "the server is stopping: wait for it",
    "55P03": "another process holds a lock for too long: is another core migrating?",
    "40": "transactions got into each other's way: it is tried again",
    "08": "the connection to the server was lost: it is dialled again",
    "57014": "a statement took too long and was cancelled",
}

# What SQLite's driver says, and the same.
_SQLITE = {
    "not a database": "the file is not a SQLite database, or its header is damaged: restore a"
    " backup, or name another file",
    "malformed": "the file is damaged: restore a backup",
    "readonly": "the file or its folder cannot be written to: correct the permissions",
    "unable to open": "the file cannot be opened: is its folder there, and may this user write to"
    " it?",
    "disk is full": "the disk is full: make room",
    "full": "the disk is full: make room",
    "disk i/o": "the disk does not take what is written: look at the system's log",
    "locked": "another process holds the write lock for too long",
}


class Gone(OSError):
    """The database file is not the one that was opened: somebody deleted or replaced it."""


class Unfit(OSError):
    """The database answers, and core cannot work with it; the text says why."""


# SQLSTATE classes of a server that is going, gone, full, or not the one that takes writes.
_AWAY_STATES = ("08", "57P", "57014", "53", "40", "55P", "25006", "25P03", "28", "3D")
# The same for SQLite, whose driver gives no such codes.
_AWAY_HINTS = (
    "locked",
    "unable to open",
    "disk is full",
    "readonly",
    "disk i/o",
    "not a database",
    "malformed",
    "connection",
    "is closed",
)


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what says that the database is away into Refusal STORAGE_UNAVAILABLE."""
    try:
        yield
    except (OSError, PoolTimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _away() from error
    except DBAPIError as error:
        if is_away(error):
            raise _away() from error
        raise


def _away() -> Refusal:
    return Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away; try again in a moment.")


def is_away(error: DBAPIError) -> bool:
    """Whether an error says that the database is away or busy, rather than that we are wrong."""
    if error.connection_invalidated or isinstance(error.orig, OSError):
        return True
    if error.orig is not None and isinstance(error.orig.__cause__, asyncpg.InternalClientError):
        return True  # The driver was still reading that the server goes.
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if state is not None:
        return str(state).startswith(_AWAY_STATES)
    text = str(error.orig).lower()
    return any(hint in text for hint in _AWAY_HINTS)


def explain(error: BaseException) -> str:
    """Answer what is wrong, and the remedy; never what was in a statement, an address or a row."""
    for one in _chain(error):
        found = _explain(one)
        if found:
            return found
    return f"it fails with {type(error).__name__}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the innermost last."""
    while error is not None:
        yield error
        inner = error.orig if isinstance(error, DBAPIError) else None
        error = inner or error.__cause__


def _explain(error: BaseException) -> str:
    if isinstance(error, Gone | Unfit):
        return str(error)
    if isinstance(error, PoolTimeoutError):
        return "all connections are in use, and none came free in time"
    if isinstance(error, Silent | TimeoutError):
        return "the server does not answer in time: is it running, and is the network up?"
    if isinstance(error, Standby):
        return _STATES["25006"]
    if isinstance(error, sqlite3.Error):
        return _of(_SQLITE, str(error).lower(), in_text=True)
    state = getattr(error, "sqlstate", None)
    if state:
        return _of(_STATES, str(state)) or f"the server answers with SQLSTATE {state}"
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"it cannot be reached ({reason}): is it running, and is the address right?"
    return ""


def _of(words: dict[str, str], text: str, *, in_text: bool = False) -> str:
    for key, meaning in words.items():
        if (key in text) if in_text else text.startswith(key):
            return meaning
    return ""
