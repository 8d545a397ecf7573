"""PostgreSQL rings from process to process, and the bell comes back after a restart."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from core import execute
from core.errors import Reason, Refusal
from core.feed.tail import Tail
from core.law import command as c
from core.live import bell
from core.live.feed import Feed
from core.live.follow import Followers
from core.live.need import Need
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
        self.feed_bells = 0
        self.connections = 0
        self.need = Need()
        self.task = asyncio.create_task(
            bell.listen(
                dsn,
                need=self.need,
                ring=self._ring,
                ring_feed=self._ring_feed,
                reconnected=self._reconnected,
            )
        )

    def _ring(self, escrow_id: str, version: int) -> None:
        self.heard.append((escrow_id, version))

    def _ring_feed(self) -> None:
        self.feed_bells += 1

    def _reconnected(self) -> None:
        self.connections += 1


@pytest.fixture
async def idle(postgres_url: str) -> AsyncIterator[Ear]:
    """A process that nobody watches."""
    listening = Ear(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    yield listening
    listening.task.cancel()
    await asyncio.gather(listening.task, return_exceptions=True)


@pytest.fixture
async def ear(idle: Ear) -> Ear:
    idle.need.add("user", "somebody")
    await until(lambda: idle.connections)
    return idle


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


async def test_bells_wake_a_process_only_while_somebody_watches_there(
    idle: Ear, here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "PROBE_EVERY_S", 0.05)
    monkeypatch.setattr(bell, "LINGER_S", 0.2)
    for round_number in (1, 2):
        idle.heard.clear()
        await here.create()
        await asyncio.sleep(0.3)
        assert idle.heard == []
        idle.need.add("escrow", "one")
        # What was committed before is looked for in the table.
        await until(lambda: idle.connections == round_number)  # noqa: B023
        escrow_id = await here.create()
        await until(lambda: idle.heard == [(escrow_id, 1)])  # noqa: B023
        idle.need.remove("escrow", "one")
        # A watcher who comes back soon finds it still listening.
        escrow_id = await here.create()
        await until(lambda: (escrow_id, 1) in idle.heard)  # noqa: B023
        await asyncio.sleep(0.6)


async def test_a_process_hears_that_others_have_given_positions(ear: Ear, here: Room) -> None:
    await here.create()
    await here.place()
    await until(lambda: ear.feed_bells == 1)
    assert await here.store.positions.give() == 0
    await here.create()
    await here.place()
    await until(lambda: ear.feed_bells == 2)


async def test_feed_and_followers_count_as_a_need(room: Room) -> None:
    need = Need()
    feed = Feed(room.store, need)
    tail = Tail(room.store.positions, feed, need)
    followers = Followers(room.store, tail)
    escrow_id = await room.create()
    assert not need.there.is_set()
    assert await take(feed, escrow_id, 0, 1) == [1]
    assert not need.there.is_set()
    watching, following = feed.watch(escrow_id, 0), followers.follow("nobody")
    await anext(watching)
    # The end of the snapshots, of which there are none; then the feed.
    await anext(following)
    waiting = asyncio.create_task(anext(following))
    await until(lambda: need.wants("user", "nobody"))
    assert need.there.is_set()
    await watching.aclose()
    assert need.there.is_set()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await following.aclose()
    assert not need.there.is_set()


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


async def test_a_driver_that_still_reads_that_the_server_goes_does_not_end_the_bell(
    ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy(*_: object, **__: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 15")

    monkeypatch.setattr(bell, "PROBE_EVERY_S", 0.05)
    before = ear.connections
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", busy)
        await until(lambda: "the bell's connection is lost" in caplog.text)
        await until(lambda: "the bell's connection failed" in caplog.text)
    await until(lambda: ear.connections > before)
