"""A database that core cannot work with: one message with the cause and the remedy, and exit 2."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from tests.fakes.postgres import Postgres
from tests.fakes.process import Process
from tests.fakes.stack import Port, Stack
from tests.fakes.wait import until

READY = "core serves"
READY_LIMIT_S = 30.0
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Starter:
    """Starts cores on given databases, each on a port of its own."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._ports: list[Port] = []
        self._cores: list[Process] = []

    def spawn(self, url: str) -> Process:
        self._ports.append(Port())
        log = self._folder / f"core-{len(self._cores)}.log"
        env = {"CORE_LISTEN": self._ports[-1].address, "DATABASE_URL": url}
        core = Process("core", ["core"], {**self._stack.core_env, **env}, log)
        self._cores.append(core)
        core.spawn()
        return core

    async def refused(self, url: str) -> str:
        """Start core, which must exit with 2 and print one line; answer the line."""
        core = self.spawn(url)
        assert await core.exit_code() == 2, core.lines
        told = [line for line in core.lines.splitlines() if line.strip()]
        assert len(told) == 1, told
        assert told[0].startswith("DATABASE_URL: ")
        return told[0]

    async def serves(self, url: str) -> Process:
        core = self.spawn(url)
        await until(lambda: READY in core.lines or not core.is_running, READY_LIMIT_S)
        assert core.is_running, core.lines
        return core

    def stop(self) -> None:
        for core in self._cores:
            core.kill()
        for port in self._ports:
            port.give_back()


@pytest.fixture
def starter(stack: Stack, tmp_path: Path) -> Iterator[Starter]:
    starting = Starter(stack, tmp_path)
    yield starting
    starting.stop()


def sqlite(path: Path | str) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def test_a_folder_that_is_not_there(starter: Starter, tmp_path: Path) -> None:
    told = await starter.refused(sqlite(tmp_path / "nowhere" / "holdfast.db"))
    assert "cannot be reached (No such file or directory)" in told


async def test_a_folder_that_takes_no_file(starter: Starter) -> None:
    told = await starter.refused(sqlite("/proc/holdfast.db"))
    assert "cannot be" in told


@pytest.mark.parametrize("content", [b"This is no database. " * 400, b"SQLite format 3\0" * 400])
async def test_a_file_that_is_no_database(starter: Starter, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holdfast.db"
    path.write_bytes(content)
    told = await starter.refused(sqlite(path))
    assert "damaged" in told
    assert path.read_bytes() == content


async def test_a_file_of_a_newer_version(starter: Starter, tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    core = await starter.serves(sqlite(path))
    core.terminate()
    assert await core.exit_code() == 0
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    assert "newer version of Holdfast" in await starter.refused(sqlite(path))


async def test_a_file_on_which_another_core_runs(starter: Starter, tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    first = await starter.serves(sqlite(path))
    assert "another core is running on this file" in await starter.refused(sqlite(path))
    first.kill()
    # However it ended: the next one finds the file free.
    await starter.serves(sqlite(path))


def modes_in(folder: Path) -> dict[str, int]:
    files = folder.glob("holdfast.db*")
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in files}


async def test_the_files_are_for_their_owner_alone(starter: Starter, tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    old = os.umask(0)
    try:
        await starter.serves(sqlite(path))
    finally:
        os.umask(old)
    modes = modes_in(tmp_path)
    assert {"holdfast.db", "holdfast.db-wal", "holdfast.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


@pytest.mark.postgres
async def test_a_server_that_is_not_there(starter: Starter) -> None:
    port = Port()
    told = await starter.refused(f"postgresql+asyncpg://holdfast@{port.address}/holdfast")
    port.give_back()
    assert "cannot be reached" in told


@pytest.mark.postgres
async def test_a_server_that_takes_connections_and_says_nothing(starter: Starter) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    told = await starter.refused(f"postgresql+asyncpg://holdfast@127.0.0.1:{port}/holdfast")
    silent.close()
    assert "does not answer in time" in told


@pytest.mark.postgres
async def test_a_database_that_does_not_exist(starter: Starter, postgres: Postgres) -> None:
    assert "no database of this name" in await starter.refused(postgres.url("nobody_made_it"))


@pytest.mark.postgres
async def test_a_password_that_is_wrong(starter: Starter, postgres: Postgres) -> None:
    async with postgres.locked_user() as url:
        told = await starter.refused(url.replace(":right@", ":wrong@"))
        assert "refuses the user or the password" in told
        assert "wrong" not in told


@pytest.mark.postgres
async def test_a_server_that_takes_no_writes(
    starter: Starter, postgres: Postgres, postgres_url: str
) -> None:
    name = urlsplit(postgres_url).path.removeprefix("/")
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        assert "takes no writes" in await starter.refused(postgres_url)
    finally:
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await connection.close()


def pool_settings(postgres_url: str, folder: Path, mode: str, port: int) -> Path:
    """Write the settings of a pgbouncer: its own defaults, but for the mode."""
    parts = urlsplit(postgres_url)
    host, name = parse_qs(parts.query)["host"][0], parts.path.removeprefix("/")
    folder.mkdir()
    (folder / "users.txt").write_text('"postgres" ""\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{name} = host={host} dbname={name} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"auth_type = any\nauth_file = {folder / 'users.txt'}\npool_mode = {mode}\n"
        "unix_socket_dir =\n"
    )
    for path in (folder, *folder.parents[:3]):
        path.chmod(0o755)  # It works as another user.
    return settings


def owner_of_socket(postgres_url: str) -> str:
    """Answer the user who may open PostgreSQL's socket."""
    return Path(parse_qs(urlsplit(postgres_url).query)["host"][0]).owner()


@contextlib.asynccontextmanager
async def pooled(postgres_url: str, folder: Path, mode: str) -> AsyncIterator[str]:
    """The same database through a pgbouncer."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    port = Port()
    settings = pool_settings(postgres_url, folder, mode, port.number)
    port.give_back()
    user = ["-u", owner_of_socket(postgres_url)] if os.getuid() == 0 else []
    running = await asyncio.create_subprocess_exec(PGBOUNCER, "-q", *user, str(settings))
    try:
        name = urlsplit(postgres_url).path
        async with asyncio.timeout(READY_LIMIT_S):
            while not await _takes(port.number):
                assert running.returncode is None
                await asyncio.sleep(0.02)
        yield f"postgresql+asyncpg://postgres@127.0.0.1:{port.number}{name}"
    finally:
        running.kill()
        await running.wait()


async def _takes(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.postgres
async def test_a_pooler_in_session_mode_serves(
    starter: Starter, postgres_url: str, tmp_path: Path
) -> None:
    async with pooled(postgres_url, tmp_path / "pool", "session") as url:
        core = await starter.serves(url)
        assert "WARNING" not in core.lines.upper(), core.lines


@pytest.mark.postgres
async def test_a_pooler_in_transaction_mode_is_recognised(
    starter: Starter, postgres_url: str, tmp_path: Path
) -> None:
    async with pooled(postgres_url, tmp_path / "pool", "transaction") as url:
        assert "works in transaction mode" in await starter.refused(url)
