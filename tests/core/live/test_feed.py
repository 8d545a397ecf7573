"""Watchers: every version once and in order, whatever bells are lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.errors import Reason, Refusal
from core.execute import Committed
from core.law import command as c
from core.live import feed as feeds
from core.live.feed import Feed
from core.storage.store import Store
from tests.core.law.story import SERVICE
from tests.core.room import Room
from tests.fakes.wait import until

LIMIT_S = 10.0


class Counted(Store):
    """A store that counts the reads of events, and fails them on request."""

    def __init__(self, store: Store) -> None:
        super().__init__(store._engine)
        self.reads = 0
        self.is_away = False
        # While it is set, what has been read is handed over.
        self.is_quick = asyncio.Event()
        self.is_quick.set()

    async def events_after(self, escrow_id: str, after: int, limit: int) -> list[bytes]:
        self.reads += 1
        if self.is_away:
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "away")
        is_quick = self.is_quick
        bodies = await super().events_after(escrow_id, after, limit)
        await is_quick.wait()
        return bodies


@pytest.fixture
async def feed(room: Room) -> AsyncIterator[Feed]:
    """A feed of another process: it hears nothing of what the room commits."""
    feed = Feed(Counted(room.store))
    yield feed
    await feed.close()


async def take(feed: Feed, escrow_id: str, after: int, count: int) -> list[int]:
    """The versions of the next events, each checked to be what its version says."""
    versions: list[int] = []
    async with asyncio.timeout(LIMIT_S), aclosing(feed.watch(escrow_id, after)) as watching:
        async for version, body in watching:
            assert body is not None
            event = pb.EscrowEvent.FromString(body)
            assert (event.escrow_id, event.version) == (escrow_id, version)
            versions.append(version)
            if len(versions) == count:
                break
    return versions


async def publish(room: Room, escrow_id: str, count: int = 1) -> None:
    await asyncio.gather(
        *(room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE) for _ in range(count))
    )


async def asleep(feed: Feed, escrow_id: str, watchers: int) -> None:
    """Wait until so many watchers have read all there is and wait for a bell."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            watched = feed._watched.get(escrow_id)
            if watched and watched.watchers == watchers and not watched.reading:
                waiting = len(watched.rung._waiters)
                if waiting == watchers:
                    return
            await asyncio.sleep(0.005)


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_watcher_gets_every_version_once_and_in_order(room: Room) -> None:
    escrow_id = await room.create()
    watchers = [
        asyncio.create_task(take(room.feed, escrow_id, after, 61 - after))
        for after in (0, 0, 1, 1, 1)
    ]
    for _ in range(12):
        await publish(room, escrow_id, 5)
        watchers.append(asyncio.create_task(take(room.feed, escrow_id, 0, 61)))
    for versions in await asyncio.gather(*watchers):
        assert versions == list(range(62 - len(versions), 62))


async def test_what_another_replica_commits_comes_with_the_bell(
    two_rooms: tuple[Room, Room],
) -> None:
    here, there = two_rooms
    escrow_id = await there.create()
    watching = asyncio.create_task(take(here.feed, escrow_id, 0, 11))
    await asleep(here.feed, escrow_id, 1)
    await publish(there, escrow_id, 10)
    here.feed.ring(escrow_id, 11)
    assert await watching == list(range(1, 12))


async def test_a_lost_bell_is_healed_by_the_sweep(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    sweeping = asyncio.create_task(feed.sweep(every_s=0.02))
    watching = asyncio.create_task(take(feed, escrow_id, 0, 4))
    await asleep(feed, escrow_id, 1)
    await publish(room, escrow_id, 3)
    assert await watching == [1, 2, 3, 4]
    await end(sweeping)


async def test_a_version_that_one_watcher_reads_wakes_the_others(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    watching = asyncio.create_task(take(feed, escrow_id, 1, 1))
    await asleep(feed, escrow_id, 1)
    await publish(room, escrow_id)
    # The bell of version 2 is late: a newcomer reads it from the table first.
    assert await take(feed, escrow_id, 0, 2) == [1, 2]
    feed.ring(escrow_id, 2)
    assert await watching == [2]


async def test_a_cursor_ahead_of_the_escrow_disturbs_nobody(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    store = feed._store
    assert isinstance(store, Counted)
    ahead = asyncio.create_task(take(feed, escrow_id, 2**62, 1))
    honest = asyncio.create_task(take(feed, escrow_id, 1, 1))
    await asleep(feed, escrow_id, 2)
    assert store.reads <= 3
    await publish(room, escrow_id)
    feed.ring(escrow_id, 2)
    assert await honest == [2]
    assert not ahead.done()
    await end(ahead)


async def test_looking_wakes_everybody_after_bells_may_have_been_missed(
    room: Room, feed: Feed
) -> None:
    escrow_id = await room.create()
    watching = asyncio.create_task(take(feed, escrow_id, 1, 2))
    await asleep(feed, escrow_id, 1)
    await publish(room, escrow_id, 2)
    feed.look()
    assert await watching == [2, 3]


async def test_looking_waits_for_no_reading_that_has_begun_before(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    store = feed._store
    assert isinstance(store, Counted)
    store.is_quick, quick = asyncio.Event(), store.is_quick
    slow = asyncio.create_task(take(feed, escrow_id, 1, 1))
    await until(lambda: store.reads)
    store.is_quick, late = quick, store.is_quick
    await publish(room, escrow_id)
    feed.look()
    try:
        assert await take(feed, escrow_id, 1, 1) == [2]
        assert not slow.done()
    finally:
        late.set()
    assert await slow == [2]


async def test_one_read_serves_all_who_watch(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    store = feed._store
    assert isinstance(store, Counted)
    watching = [asyncio.create_task(take(feed, escrow_id, 1, 3)) for _ in range(50)]
    await asleep(feed, escrow_id, 50)
    await publish(room, escrow_id, 3)
    before = store.reads
    feed.ring(escrow_id, 4)
    assert await asyncio.gather(*watching) == [[2, 3, 4]] * 50
    assert store.reads - before <= 2


async def test_what_this_process_committed_is_not_read_again(room: Room) -> None:
    escrow_id = await room.create()
    store = Counted(room.store)
    room.feed._store = store
    watching = [asyncio.create_task(take(room.feed, escrow_id, 0, 3)) for _ in range(10)]
    await publish(room, escrow_id, 2)
    assert await asyncio.gather(*watching) == [[1, 2, 3]] * 10
    assert store.reads <= 1


async def test_a_small_cache_loses_no_event(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "CACHE_EVENTS", 3)
    escrow_id = await room.create()
    await publish(room, escrow_id, 20)
    assert await take(room.feed, escrow_id, 0, 21) == list(range(1, 22))
    assert len(room.feed._cache) <= 3


async def test_a_long_record_comes_in_pages(
    room: Room, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "READ_LIMIT", 4)
    escrow_id = await room.create()
    await publish(room, escrow_id, 20)
    assert await take(feed, escrow_id, 0, 21) == list(range(1, 22))


async def test_a_heartbeat_comes_when_nothing_else_did(room: Room) -> None:
    escrow_id = await room.create()
    async with asyncio.timeout(LIMIT_S):
        async with aclosing(room.feed.watch(escrow_id, 1, heartbeat_s=0.02)) as watching:
            assert [await anext(watching) for _ in range(3)] == [(1, None)] * 3
            await publish(room, escrow_id)
            version, body = await anext(watching)
            while body is None:
                version, body = await anext(watching)
            assert version == 2


async def test_closing_ends_every_watcher_so_that_it_comes_back(room: Room) -> None:
    escrow_id = await room.create()
    watching = [asyncio.create_task(take(room.feed, escrow_id, 1, 1)) for _ in range(5)]
    await asleep(room.feed, escrow_id, 5)
    await room.feed.close()
    for outcome in await asyncio.gather(*watching, return_exceptions=True):
        assert isinstance(outcome, Refusal)
        assert outcome.reason is Reason.SHUTTING_DOWN


async def test_nothing_is_kept_of_an_escrow_that_nobody_watches(room: Room) -> None:
    escrow_id = await room.create()
    watching = [asyncio.create_task(take(room.feed, escrow_id, 1, 1)) for _ in range(5)]
    await asleep(room.feed, escrow_id, 5)
    await end(*watching)
    assert room.feed._watched == {}


async def test_a_watcher_waits_while_the_database_is_away(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    store = feed._store
    assert isinstance(store, Counted)
    store.is_away = True
    watching = asyncio.create_task(take(feed, escrow_id, 0, 1))
    await until(lambda: store.reads >= 2)
    assert not watching.done()
    store.is_away = False
    assert await watching == [1]


async def test_two_feeds_of_the_same_record_agree(room: Room, feed: Feed) -> None:
    escrow_id = await room.create()
    await publish(room, escrow_id, 5)
    assert await _bodies(room.feed, escrow_id) == await _bodies(feed, escrow_id)


async def _bodies(feed: Feed, escrow_id: str) -> list[bytes | None]:
    found: list[bytes | None] = []
    watching: AsyncIterator[tuple[int, bytes | None]] = feed.watch(escrow_id, 0)
    async for _, body in watching:
        found.append(body)
        if len(found) == 6:
            break
    return found


async def test_a_bell_for_an_escrow_that_nobody_watches_is_nothing(room: Room) -> None:
    room.feed.ring("no such escrow", 5)
    room.feed.publish([Committed("no such escrow", 1, b"", ())])
    assert room.feed._watched == {}
