"""PostgreSQL rings from process to process, and the bell comes back after a restart."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core import execute
from core.errors import Reason, Refusal
from core.law import command as c
from core.live import bell
from tests.core.law.story import SERVICE
from tests.core.live.test_feed import take
from tests.core.room import Room, open_room
from tests.fakes.postgres import Postgres
from tests.fakes.wait import until

pytestmark = pytest.mark.postgres


class Ear:
    """A listening process: what it has heard."""

    def __init__(self, dsn: str) -> None:
        self.heard: list[tuple[str, int]] = []
        self.connections = 0
        self.task = asyncio.create_task(
            bell.listen(dsn, ring=self._ring, reconnected=self._reconnected)
        )

    def _ring(self, escrow_id: str, version: int) -> None:
        self.heard.append((escrow_id, version))

    def _reconnected(self) -> None:
        self.connections += 1


@pytest.fixture
async def ear(postgres_url: str) -> AsyncIterator[Ear]:
    listening = Ear(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    await until(lambda: listening.connections)
    yield listening
    listening.task.cancel()
    await asyncio.gather(listening.task, return_exceptions=True)


@pytest.fixture
async def here(postgres_url: str) -> AsyncIterator[Room]:
    async with open_room(postgres_url) as room:
        yield room


async def test_a_commit_rings_other_processes_with_its_version(ear: Ear, here: Room) -> None:
    escrow_id = await here.create()
    await here.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
    await until(lambda: (escrow_id, 2) in ear.heard)
    assert ear.heard == [(escrow_id, 1), (escrow_id, 2)]


async def test_a_batch_rings_once_for_each_escrow(ear: Ear, here: Room) -> None:
    escrow_ids = await asyncio.gather(*(here.create() for _ in range(50)))
    ear.heard.clear()
    await asyncio.gather(
        *(
            here.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
            for escrow_id in escrow_ids
            for _ in range(2)
        )
    )
    await until(lambda: {(escrow_id, 3) for escrow_id in escrow_ids} <= set(ear.heard))
    assert len(ear.heard) <= 2 * len(escrow_ids)


async def test_what_is_refused_rings_nobody(ear: Ear, here: Room) -> None:
    escrow_id = await here.create()
    with pytest.raises(Refusal):
        await here.tell(escrow_id, c.ReleaseEscrow())
    other = await here.create()
    await until(lambda: (other, 1) in ear.heard)
    assert ear.heard == [(escrow_id, 1), (other, 1)]


def test_words_that_are_no_bells_are_not_heard() -> None:
    heard: list[tuple[str, int]] = []
    bell._heard("a:1,b,c:x,:,d:-2,e:3", lambda *rung: heard.append(rung))
    assert heard == [("a", 1), ("e", 3)]


async def test_after_the_servers_restart_bells_commands_and_watchers_go_on(
    ear: Ear, here: Room, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "RETRY_FOR_S", 60.0)
    escrow_id = await here.create()
    watching = asyncio.create_task(take(here.feed, escrow_id, 0, 3))
    await asyncio.to_thread(postgres.stop)
    try:
        with pytest.raises(Refusal) as refused:
            await here.store.escrow(escrow_id)
        assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
        waiting = asyncio.create_task(here.tell(escrow_id, c.PublishUpdate("hello"), SERVICE))
    finally:
        await asyncio.to_thread(postgres.start)
    assert (await waiting).escrow.version == 2
    await until(lambda: ear.connections >= 2, 20)
    await here.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
    await until(lambda: (escrow_id, 3) in ear.heard)
    assert await watching == [1, 2, 3]
