"""The connections to PostgreSQL when their engine is closed."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from core.storage.database import connect, on_wire
from core.storage.link import Link


@pytest.mark.postgres
async def test_a_connection_that_is_still_used_is_cut(postgres_url: str) -> None:
    """Else it would come back to a pool that nobody closes any more, and stay open."""
    database = connect(postgres_url)
    asking = asyncio.Event()

    async def ask(driver: asyncpg.Connection, _: Link) -> None:
        asking.set()
        await driver.execute("SELECT pg_sleep(60)")

    using = asyncio.create_task(on_wire(database, ask))
    await asking.wait()
    await database.dispose()
    with pytest.raises(DBAPIError, match="closed in the middle"):
        async with asyncio.timeout(5):
            await using
