"""The connections to PostgreSQL: how each is dialled, and how a dead one is cut.

A server that has gone silent must hold nobody: whatever is asked of it has a deadline, after which
the connection is cut without a word to the other side, and all idle ones with it. SQLite has no
such links; its waits are the busy time-out's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

# How long a connection may take, from the first packet until it can be used.
DIAL_S = 5.0
# How long one statement may take, a lock that it waits for included.
STATEMENT_S = 5.0
# What a connection that was cut may take to say so.
CUT_S = 2.0
# What the kernel of either side finds out by itself: 5 + 2 × 5 s of silence.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
# How long what was sent may stay without an answer of the kernel of the other side.
USER_TIMEOUT_MS = 10_000
# SQLSTATE of a server that was demoted (25006), or that is going or gone: dial again.
WRONG_SERVER_STATES = ("25006", "57P", "08")
# A session's own settings. They are set after the dialling, for a pooler refuses unknown startup
# parameters. The server drops the locks of a core that fell silent in the middle of a transaction.
_SESSION = (
    "SET synchronous_commit = on;"
    "SET idle_in_transaction_session_timeout = '15s';"
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2"
)

Answer = TypeVar("Answer")


class Silent(OSError):
    """The database did not answer in time."""


class Standby(OSError):
    """No server of the address takes writes."""


async def dial(*arguments: Any, **options: Any) -> asyncpg.Connection:
    """Open a connection to a server that takes writes, within DIAL_S.

    Takes what asyncpg.connect takes. Raises what it raises, Standby, ConnectionError and
    TimeoutError.
    """
    async with asyncio.timeout(DIAL_S):
        try:
            # Of several hosts the driver finds the one that takes writes.
            connection = await asyncpg.connect(
                *arguments, target_session_attrs="read-write", timeout=DIAL_S, **options
            )
        except asyncpg.TargetServerAttributeNotMatched:
            raise Standby("no server takes writes") from None
        try:
            with lost_on_goodbye(connection):
                await connection.execute(_SESSION)
        except BaseException:
            connection.terminate()
            raise
    _keep_alive(connection)
    return connection


@contextlib.contextmanager
def lost_on_goodbye(driver: asyncpg.Connection) -> Iterator[None]:
    """Raise ConnectionError, and end the connection, where the server has just said that it goes.

    While the driver is still reading that, it answers a call with an error of its own kind.
    """
    try:
        yield
    except asyncpg.InternalClientError as error:
        driver.terminate()
        raise ConnectionError("the connection was lost") from error


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Have the kernel notice a dead peer too. asyncpg has no public way to its socket."""
    transport = getattr(connection, "_transport", None)
    opened = transport.get_extra_info("socket") if transport is not None else None
    if opened is None or opened.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**KEEPALIVE, "TCP_USER_TIMEOUT": USER_TIMEOUT_MS}.items():
            if hasattr(socket, name):
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Links:
    """All connections of one engine's pool: which are idle, and the way to cut them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._idle: set[Any] = set()
        self._used: set[Any] = set()
        event.listen(engine, "checkout", self._checked_out)
        event.listen(engine, "checkin", self._checked_in)
        event.listen(engine, "close", self._closed)

    def _checked_out(self, connection: Any, _record: Any, _proxy: Any) -> None:
        self._idle.discard(connection)
        self._used.add(connection)

    def _checked_in(self, connection: Any, _record: Any) -> None:
        self._used.discard(connection)
        if connection is not None:
            self._idle.add(connection)

    def _closed(self, connection: Any, _record: Any) -> None:
        self._idle.discard(connection)
        self._used.discard(connection)

    def cut_idle(self) -> None:
        """Cut those that nobody uses: they lead to the same silent server, and more wait in turn.

        The pool dials anew when the next one is wanted.
        """
        for connection in self._idle:
            connection.driver_connection.terminate()

    def cut_all(self) -> None:
        """Cut every connection, whatever it is doing."""
        for connection in (*self._idle, *self._used):
            connection.driver_connection.terminate()


class Link:
    """One use of a connection, in which nothing waits without a limit."""

    def __init__(self, links: Links | None) -> None:
        self._links = links
        self._driver: asyncpg.Connection | None = None

    def hold(self, connection: AsyncConnection) -> None:
        """Name the connection that is cut when a deadline is over."""
        if self._links is not None and connection.sync_connection is not None:
            raw: Any = connection.sync_connection.connection.driver_connection
            self._driver = raw

    def hold_driver(self, driver: asyncpg.Connection) -> None:
        """The same, where the driver's own connection is used."""
        self._driver = driver

    @contextlib.contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Cut the connection when the block takes longer; it then raises Silent."""
        is_late = False

        def cut() -> None:
            nonlocal is_late
            is_late = True
            self.cut()

        timer = asyncio.get_running_loop().call_later(limit_s, cut)
        try:
            yield
        except Exception as error:
            if is_late:
                raise Silent("the database did not answer in time") from error
            raise
        finally:
            timer.cancel()

    async def unbroken(self, doing: Awaitable[Answer], limit_s: float = STATEMENT_S) -> Answer:
        """Wait for something that must not be broken off; a cancellation is raised after its end.

        A caller that is cancelled in the middle of a statement leaves an open cursor behind, and
        with it SQLite's write lock, which nobody else gets until the garbage collector happens to
        find it. Raises Silent after `limit_s`, when the connection has been cut.
        """
        task = asyncio.ensure_future(doing)
        is_cancelled = await _until_done(task, None if self._links is None else limit_s)
        if not task.done():
            self.cut()
            is_cancelled |= await _until_done(task, CUT_S)
            task.cancel()
            task.add_done_callback(_forget)
            if is_cancelled:
                raise asyncio.CancelledError
            raise Silent("the database did not answer in time")
        if _is_wrong_server(task):
            self.cut()
        if is_cancelled:
            _forget(task)
            raise asyncio.CancelledError
        return task.result()

    def cut(self) -> None:
        """Give the connection up at once, and the idle ones of its pool."""
        if self._driver is not None:
            self._driver.terminate()
        if self._links is not None:
            self._links.cut_idle()


async def _until_done(task: asyncio.Future[Any], limit_s: float | None) -> bool:
    """Wait for the end of a task, or for a time; answer whether the caller was cancelled."""
    loop = asyncio.get_running_loop()
    end_s = None if limit_s is None else loop.time() + limit_s
    is_cancelled = False
    while not task.done():
        left_s = None if end_s is None else end_s - loop.time()
        if left_s is not None and left_s <= 0:
            break
        try:
            await asyncio.wait({task}, timeout=left_s)
        except asyncio.CancelledError:
            is_cancelled = True
    return is_cancelled


def _is_wrong_server(task: asyncio.Future[Any]) -> bool:
    """Whether a server has said that it is not the one to talk to, though the line is up."""
    error = None if task.cancelled() else task.exception()
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return state is not None and str(state).startswith(WRONG_SERVER_STATES)


def _forget(task: asyncio.Future[Any]) -> None:
    """Nobody is left to hear of an error."""
    if not task.cancelled():
        task.exception()


async def give_up(driver: asyncpg.Connection, link: Link) -> None:
    """End a transaction that failed; where even that fails, end the connection."""
    if driver.is_closed() or not driver.is_in_transaction():
        return
    try:
        with link.within(STATEMENT_S):
            await driver.execute("ROLLBACK")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        driver.terminate()
