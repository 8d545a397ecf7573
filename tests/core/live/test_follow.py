"""Followers: every version of each of a user's escrows, whatever bells are lost."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import cast

import pytest
from escrow.v1 import escrow_pb2 as pb
from pydantic import SecretStr

from core.clock import wall_us
from core.config import Settings
from core.errors import Reason, Refusal
from core.execute import Committed
from core.law import command as c
from core.law.escrow import Escrow
from core.live import follow
from core.live.feed import Feed
from core.live.follow import Followers, SnapshotsEnd
from core.rooms import loops, opened
from core.storage.store import Store
from tests.core.counter import SECRET, WEBHOOK_SECRET
from tests.core.law.story import BUYER, SERVICE
from tests.core.live.test_feed import end
from tests.core.room import Room, open_room
from tests.fakes.wait import until

LIMIT_S = 10.0
# A sweep that never looks by itself while a test lasts.
NEVER_S = 3_600.0


class Counted(Store):
    """A store that counts what the sweep asks, and fails or delays it on request."""

    def __init__(self, store: Store) -> None:
        super().__init__(store._engine)
        self.lookups = 0
        self.looks = 0
        self.is_away = False
        # While it is set, what has been read is handed over.
        self.is_quick = asyncio.Event()
        self.is_quick.set()

    async def parties(self, escrow_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        self.lookups += 1
        if self.is_away:
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "away")
        return await super().parties(escrow_ids)

    async def changed_of(
        self, user_ids: Collection[str], since_us: int
    ) -> dict[str, tuple[str, ...]]:
        changed = await super().changed_of(user_ids, since_us)
        self.looks += 1
        await self.is_quick.wait()
        return changed


class Stranger:
    """A follower in another process: it hears nothing of what the room commits."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.store = Counted(room.store)
        self.followers = Followers(self.store, Feed(self.store), now_us=room.time)
        self.seen: list[tuple[str, int]] = []
        self.is_following = False
        self._tasks: list[asyncio.Task[None]] = []

    async def follow(self, sweep_every_s: float) -> None:
        """Sweep and follow, and return when the snapshots are there."""
        self._tasks += [
            asyncio.create_task(self.followers.sweep(sweep_every_s)),
            asyncio.create_task(self._follow()),
        ]
        await until(lambda: self.is_following)

    async def _follow(self) -> None:
        async with aclosing(self.followers.follow(BUYER.user_id)) as following:
            async for item in following:
                if isinstance(item, SnapshotsEnd):
                    self.is_following = True
                elif isinstance(item, bytes):
                    event = pb.EscrowEvent.FromString(item)
                    self.seen.append((event.escrow_id, event.version))

    def ring_without_end(self) -> None:
        """Ring again and again for what concerns nobody."""
        self._tasks.append(asyncio.create_task(self._ring()))

    async def _ring(self) -> None:
        while True:
            self.followers.ring("no such escrow")
            await asyncio.sleep(0.002)

    async def end(self) -> None:
        await end(*self._tasks)


@pytest.fixture
async def stranger(room: Room) -> AsyncIterator[Stranger]:
    stranger = Stranger(room)
    yield stranger
    await stranger.end()


async def publish(room: Room, escrow_id: str) -> None:
    await room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)


async def test_a_lost_bell_is_healed_by_the_sweep(room: Room, stranger: Stranger) -> None:
    escrow_id = await room.create()
    await stranger.follow(0.02)
    await publish(room, escrow_id)
    await until(lambda: stranger.seen)
    assert stranger.seen == [(escrow_id, 2)]


async def test_bells_that_never_cease_do_not_put_off_the_look(
    room: Room, stranger: Stranger
) -> None:
    escrow_id = await room.create()
    stranger.ring_without_end()
    await stranger.follow(0.1)
    await publish(room, escrow_id)
    await until(lambda: stranger.seen)
    assert stranger.seen == [(escrow_id, 2)]
    assert stranger.store.lookups


async def test_looking_finds_at_once_what_was_never_rung_for(
    room: Room, stranger: Stranger
) -> None:
    escrow_id = await room.create()
    await stranger.follow(NEVER_S)
    await publish(room, escrow_id)
    unseen = await room.create()
    stranger.followers.look()
    await until(lambda: len(stranger.seen) == 2)
    assert set(stranger.seen) == {(escrow_id, 2), (unseen, 1)}


async def test_a_look_is_one_read_for_all_who_are_followed(room: Room, stranger: Stranger) -> None:
    await stranger.follow(NEVER_S)
    follow = stranger.followers.follow
    async with aclosing(follow("ann")) as ann, aclosing(follow("bob")) as bob:
        assert [await anext(one) for one in (ann, bob)] == [SnapshotsEnd(more=False)] * 2
        await room.create()
        stranger.followers.look()
        await until(lambda: stranger.seen)
    assert stranger.store.looks == 1


async def test_looking_is_not_lost_in_a_look_that_has_begun_before(
    room: Room, stranger: Stranger
) -> None:
    store = stranger.store
    await stranger.follow(NEVER_S)
    store.is_quick.clear()
    try:
        stranger.followers.look()
        await until(lambda: store.looks)
        escrow_id = await room.create()
        stranger.followers.look()
    finally:
        store.is_quick.set()
    await until(lambda: stranger.seen)
    assert stranger.seen == [(escrow_id, 1)]


async def test_a_bell_that_comes_while_the_database_is_away_is_looked_up_later(
    room: Room, stranger: Stranger
) -> None:
    store = stranger.store
    escrow_id = await room.create()
    await stranger.follow(NEVER_S)
    await publish(room, escrow_id)
    store.is_away = True
    stranger.followers.ring(escrow_id)
    await until(lambda: store.lookups >= 2)
    # It asks again, and not without a pause.
    assert store.lookups <= 3
    store.is_away = False
    await until(lambda: stranger.seen)
    assert stranger.seen == [(escrow_id, 2)]


@pytest.mark.postgres
async def test_followers_look_when_the_bell_is_connected_again(postgres_url: str) -> None:
    settings = Settings(
        database_url=postgres_url,
        core_listen="127.0.0.1:0",
        jwt_secret=SecretStr(SECRET),
        razorpay_key_id="rzp_test_nobody",
        razorpay_key_secret=SecretStr("nobody's"),
        razorpay_webhook_secret=SecretStr(WEBHOOK_SECRET),
        razorpay_base_url="http://127.0.0.1:9",
    )
    async with opened(settings) as rooms, open_room(postgres_url) as there:
        there.time.us = wall_us()
        *others, listening = loops(rooms, settings)
        for loop in others:
            loop.run.close()
        tasks = [asyncio.create_task(rooms.followers.sweep(NEVER_S))]
        try:
            async with aclosing(rooms.followers.follow(BUYER.user_id)) as following:
                assert await anext(following) == SnapshotsEnd(more=False)
                # Nobody listens yet: this bell is lost.
                escrow_id = await there.create()
                tasks.append(asyncio.create_task(listening.run))
                async with asyncio.timeout(LIMIT_S):
                    body = await anext(following)
                assert isinstance(body, bytes)
                assert pb.EscrowEvent.FromString(body).escrow_id == escrow_id
        finally:
            await end(*tasks)


async def test_the_newest_escrows_come_first_and_the_rest_is_mentioned(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MAX_SNAPSHOTS", 3)
    monkeypatch.setattr(follow, "PAGE", 2)
    made = []
    for _ in range(5):
        made.append(await room.create())
        room.time.pass_s(1)
    followers = Followers(room.store, Feed(room.store), now_us=room.time)
    async with aclosing(followers.follow(BUYER.user_id)) as following:
        told = [await anext(following) for _ in range(4)]
        assert [one.escrow_id for one in told[:3] if isinstance(one, Escrow)] == made[:1:-1]
        assert told[3] == SnapshotsEnd(more=True)
        # The oldest had no snapshot: its events come all the same.
        await publish(room, made[0])
        followers.publish([Committed(made[0], 2, b"", (BUYER.user_id,))])
        event = pb.EscrowEvent.FromString(cast(bytes, await anext(following)))
        assert (event.escrow_id, event.version) == (made[0], 2)
    async with aclosing(followers.follow("seller-1")) as following:
        assert [type(await anext(following)) for _ in range(3)] == [Escrow] * 3
