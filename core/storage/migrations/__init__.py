"""The schema's history. `upgrade` brings a database to the newest version."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.storage.backlog import place_slice
from core.storage.trouble import Unfit, storage_errors

# Two replicas that start at once must not both migrate (PostgreSQL, advisory locks).
_LOCK = 0x686F6C64
# How long a start waits for another core's migration.
LOCK_WAIT_S = 60
# Escrows that a step which works through all of them takes at once; it logs a line after each.
SLICE = 20_000


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Apply what is missing, in one transaction; then give older events their positions.

    Raises Refusal STORAGE_UNAVAILABLE, whose cause says more.
    """
    with storage_errors():
        try:
            await _in_turn(engine, functools.partial(_upgrade, revision=revision))
            while await _in_turn(engine, place_slice):
                pass
        except CommandError as error:
            raise Unfit(
                "it was written by a newer version of Holdfast: run that one, or restore a backup"
            ) from error


async def _in_turn(engine: AsyncEngine, step: Callable[[sa.Connection], bool]) -> bool:
    """Take a step in a transaction, while no other core takes one."""

    def alone(connection: sa.Connection) -> bool:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            connection.execute(sa.text("SET LOCAL lock_timeout = DEFAULT"))
        return step(connection)

    async with engine.connect() as connection:
        await connection.execution_options(writes=True)
        async with connection.begin():
            return await connection.run_sync(alone)


def _upgrade(connection: sa.Connection, revision: str) -> bool:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    return False
