"""The connections to PostgreSQL when their engine is closed, and when the server goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from core.errors import Reason, Refusal
from core.storage.database import connect, on_wire
from core.storage.link import Link
from core.storage.store import Store


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


async def _busy(*_: Any, **__: Any) -> Any:
    raise asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress")


async def _write(store: Store) -> None:
    async with store.write() as transaction:
        await transaction.recon.cut("2026-11-28", 0)


async def _read(store: Store) -> None:
    assert await store.due_payees(1, 1) == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("step", "ask"),
    [
        pytest.param("execute", _read, id="in the dial"),
        pytest.param("fetch", _read, id="in a planned read"),
        pytest.param("prepare", _write, id="in a transaction"),
    ],
)
async def test_a_driver_that_still_reads_that_the_server_goes_means_away(
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    ask: Callable[[Store], Awaitable[None]],
) -> None:
    database = connect(postgres_url)
    store = Store(database)
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, step, _busy)
        with pytest.raises(Refusal) as refused:
            await ask(store)
    assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
    await ask(store)
    await database.dispose()
