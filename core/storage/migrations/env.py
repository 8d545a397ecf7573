"""What Alembic runs: on the connection that core hands over, or on DATABASE_URL by hand."""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from core.storage.database import connect
from core.storage.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _by_hand() -> None:
    engine = connect(os.environ["DATABASE_URL"])
    async with engine.connect() as connection:
        await connection.execution_options(writes=True)
        async with connection.begin():
            await connection.run_sync(_run)
    await engine.dispose()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _run(handed_over)
else:
    asyncio.run(_by_hand())
