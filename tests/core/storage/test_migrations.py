"""The schema's history ends where the tables say, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.storage import migrations
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.tables import metadata
from tests.core.room import open_room

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
Empty = Callable[[str], Awaitable[str]]


def differences(connection: sa.Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("kind", BOTH)
async def test_migrations_and_tables_agree(kind: str, empty_database_url: Empty) -> None:
    engine = connect(await empty_database_url(kind))
    await upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize("kind", BOTH)
async def test_upgrading_twice_changes_nothing(kind: str, empty_database_url: Empty) -> None:
    url = await empty_database_url(kind)
    engine = connect(url)
    await upgrade(engine)
    async with open_room(url) as room:
        escrow_id = await room.create()
        await upgrade(engine)
        assert (await room.escrow(escrow_id)).version == 1
    await engine.dispose()


@pytest.mark.parametrize("kind", BOTH)
async def test_every_step_of_the_history_can_be_taken_alone(
    kind: str, empty_database_url: Empty
) -> None:
    script = ScriptDirectory(str(migrations.__path__[0]))
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions
    engine = connect(await empty_database_url(kind))
    for revision in revisions:
        await upgrade(engine, revision)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.postgres
async def test_replicas_that_start_at_once_migrate_once(empty_database_url: Empty) -> None:
    url = await empty_database_url("postgres")
    engines = [connect(url) for _ in range(4)]
    await asyncio.gather(*(upgrade(engine) for engine in engines))
    async with engines[0].connect() as connection:
        assert await connection.run_sync(differences) == []
    for engine in engines:
        await engine.dispose()
