"""SQLite on the event loop's own thread, so that a run does not depend on the timing of threads.

Waiting for the write lock is a turn of the loop, so that two cores on one file take turns.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from typing import Any

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

ITER_CHUNK = 64
# What the file's other users may see or wait for: between these, whoever else is ready has a turn.
OTHERS_FIRST = ("execute", "executemany", "commit", "rollback", "batch", "read")


class Files:
    """All connections of one process; when it dies, its kernel closes them."""

    def __init__(self) -> None:
        self._open: list[Threadless] = []

    def serve(self, engine: AsyncEngine) -> None:
        """Make this engine connect without threads. Only the process dies here, not the machine."""

        def connect(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
            options["async_creator_fn"] = self._connect

        sa.event.listen(engine.sync_engine, "do_connect", connect)
        sa.event.listen(
            engine.sync_engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF")
        )

    def _connect(self, path: str, **options: Any) -> "Threadless":
        options["timeout"] = 0
        self._open.append(Threadless(lambda: sqlite3.connect(path, **options)))
        return self._open[-1]

    def close(self) -> None:
        while self._open:
            self._open.pop().stop()


class Threadless(aiosqlite.Connection):
    """A connection of aiosqlite that runs its work at once, after a turn of the loop."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, ITER_CHUNK)
        self._tx: Any = _AtOnce()

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        self._connection = self._connector()
        yield from asyncio.sleep(0).__await__()
        return self

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        while True:
            if fn.__name__ in OTHERS_FIRST:
                await asyncio.sleep(0)
            if self._connection is None:
                raise ValueError("Connection closed")
            try:
                return fn(*args, **kwargs)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._running = False


class _AtOnce:
    """Stands in for the queue to the thread, which SQLAlchemy uses itself in one place."""

    def put_nowait(self, item: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        future, function = item
        future.set_result(function())
