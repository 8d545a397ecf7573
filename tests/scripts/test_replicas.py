"""`make run REPLICAS=…`: what is planned, and the PostgreSQL that it brings."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from scripts.run import postgres, secret
from scripts.run.children import Children, Program
from scripts.run.probe import until
from scripts.run.stack import plan
from tests.scripts.test_run import KEPT, LIMIT_S, wait_until


def test_replicas_are_cores_and_bridges_at_ports_of_their_own_on_one_database() -> None:
    url = "postgresql+asyncpg://db.example/holdfast"
    stack = plan({"REPLICAS": "3", "DATABASE_URL": url, "PORT": "9000"}, KEPT)
    names = ["core-1", "core-2", "core-3", "bridge-1", "bridge-2", "bridge-3"]
    assert [program.name for program in stack.programs] == ["sandbox", *names]
    settings = {program.name: program.environment for program in stack.programs}
    listens = [f"127.0.0.1:{port}" for port in (50051, 50052, 50053)]
    assert [settings[name]["CORE_LISTEN"] for name in names[:3]] == listens
    assert {settings[name]["DATABASE_URL"] for name in names[:3]} == {url}
    assert [settings[name]["PORT"] for name in names[3:]] == ["9000", "9010", "9020"]
    assert {settings[name]["CORE_ADDRESS"] for name in names[3:]} == {",".join(listens)}
    assert stack.database is None
    assert not any("REPLICAS" in own for own in settings.values())


def test_several_cores_get_a_postgresql_of_their_own_unless_one_is_named() -> None:
    stack = plan({"REPLICAS": "2"}, KEPT)
    assert stack.database is not None
    assert stack.database_url.startswith("postgresql+asyncpg://")
    core, bridge = stack.programs[1], stack.programs[-1]
    assert core.environment["DATABASE_URL"] == stack.database_url
    assert "DATABASE_URL" not in bridge.environment


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"REPLICAS": "0"}, "REPLICAS must be a number from 1 to 8"),
        ({"REPLICAS": "two"}, "REPLICAS must be a number from 1 to 8"),
        ({"REPLICAS": "9"}, "REPLICAS must be a number from 1 to 8"),
        ({"REPLICAS": "2", "PORT": "65530"}, "PORT has no port"),
        ({"REPLICAS": "2", "DATABASE_URL": "sqlite+aiosqlite:///x.db"}, "SQLite file is for one"),
    ],
)
def test_replicas_that_cannot_be_are_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(secret.Refusal, match=problem):
        plan(settings, KEPT)


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(secret.Refusal, match="too long for a socket"):
        postgres.address(tmp_path / ("x" * 100))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Short enough for a socket, and open to the user as which root's server works."""
    with tempfile.TemporaryDirectory(prefix="hf-") as name:
        yield Path(name) / "data"


@pytest.mark.postgres
async def test_the_postgresql_of_several_cores_keeps_its_data_and_ends_with_its_parent(
    short_folder: Path,
) -> None:
    url = postgres.address(short_folder)
    command = (sys.executable, "-m", "scripts.run.postgres", str(short_folder))
    for statement in ("CREATE TABLE kept (x int)", "DROP TABLE kept"):
        children = Children(lambda _: None)
        await children.start(Program("postgres", command, os.environ))
        async with asyncio.timeout(LIMIT_S):
            await until(lambda: postgres.answers(url))
            connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            await connection.execute(statement)
            await connection.close()
            await children.stop()
        assert not await postgres.answers(url)
        assert not (short_folder / "postmaster.pid").exists()


@pytest.mark.postgres
def test_no_postgresql_outlives_a_killed_parent(short_folder: Path) -> None:
    code = f"""
import asyncio, os, sys
from scripts.run.children import Children, Program
async def main():
    command = (sys.executable, "-m", "scripts.run.postgres", {str(short_folder)!r})
    await Children(print).start(Program("postgres", command, os.environ))
    await asyncio.sleep(99)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    pid_file = short_folder / "postmaster.pid"
    wait_until(lambda: pid_file.exists() and "ready" in pid_file.read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: not pid_file.exists())
