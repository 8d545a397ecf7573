"""A delivery that comes again just while its row is pruned."""

import asyncio

import pytest

from core.storage.database import connect
from core.storage.store import Store
from core.storage.trip import inbox
from tests.core.room import open_room


@pytest.mark.postgres
async def test_a_row_is_not_pruned_between_being_found_and_being_read(postgres_url: str) -> None:
    async with open_room(postgres_url) as room:
        other = connect(postgres_url)
        store = Store(other)
        async with room.store.write() as first:
            await first.run(inbox.keep(event_id="evt_1", body=b"{}", now_us=1))
            await first.run(inbox.finish(event_id="evt_1", outcome="APPLIED"))

        async def forget() -> int:
            return await store.transact(inbox.forget(["evt_1"]))

        async with room.store.write() as again:
            assert await again.run(inbox.keep(event_id="evt_1", body=b"{}", now_us=2)) == "APPLIED"
            forgetting = asyncio.create_task(forget())
            await asyncio.sleep(0.3)
            assert not forgetting.done()  # It waits for what was found to be answered.
        assert await forgetting == 1
        await other.dispose()
