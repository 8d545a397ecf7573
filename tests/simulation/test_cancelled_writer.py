"""Callers that are cancelled in the middle of a transaction, as RPCs may be."""

import asyncio
import random
import time
import uuid

from core.storage.database import SQLITE_BUSY_S, connect
from core.storage.store import Store
from core.storage.trip import inbox

ROUNDS = 150


async def test_a_cancelled_writer_leaves_no_lock_behind(sqlite_url: str) -> None:
    """Half of the writers on one file have a lock of their own, as other processes would."""
    engine = connect(sqlite_url)
    stores = [Store(engine), Store(engine)]

    async def write(store: Store) -> None:
        keep = inbox.keep(event_id=uuid.uuid4().hex, body=b"{}", now_us=1)
        if random.random() < 0.5:
            await store.transact(keep)
        else:
            async with store.write() as transaction:
                await transaction.run(keep)

    for _ in range(ROUNDS):
        writers = [asyncio.create_task(write(store)) for store in stores * 2]
        await asyncio.wait(writers, timeout=random.random() * 0.006)
        for writer in writers:
            writer.cancel()
        gone = asyncio.gather(*writers, return_exceptions=True)
        begin = time.monotonic()
        await write(stores[0])
        assert time.monotonic() - begin < SQLITE_BUSY_S / 2
        await gone
    await engine.dispose()
