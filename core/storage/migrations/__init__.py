"""The schema's history. `upgrade` brings a database to the newest version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncEngine

from core.storage.database import storage_errors

# Two replicas that start at once must not both migrate (PostgreSQL, advisory locks).
_LOCK = 0x686F6C64


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Apply what is missing, in one transaction. Does nothing where nothing is.

    Raises Refusal STORAGE_UNAVAILABLE.
    """
    with storage_errors():
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                await connection.run_sync(_upgrade, revision)


def _upgrade(connection: sa.Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
