"""Followers: what concerns a user, or everything, whatever ends, begins or is lost meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from pydantic import SecretStr

from core.clock import wall_us
from core.config import Settings
from core.errors import Reason, Refusal
from core.feed.tail import Tail
from core.law import command as c
from core.law.command import SETTLEMENT
from core.law.escrow import Escrow
from core.live import follow
from core.live.feed import Feed
from core.live.follow import Followers, Snapshot, SnapshotsEnd, Told
from core.live.need import Need
from core.rooms import loops, opened
from core.storage.position import Placed
from core.storage.store import Store
from tests.core.counter import SECRET, WEBHOOK_SECRET
from tests.core.law.story import BUYER, SERVICE
from tests.core.live.test_feed import end
from tests.core.room import Room, open_room
from tests.fakes.wait import running

LIMIT_S = 10.0
# A look that never comes by itself while a test lasts.
NEVER_S = 3_600.0


@pytest.fixture
async def tail(room: Room) -> AsyncIterator[Tail]:
    tail = Tail(room.store.positions, Feed(room.store), Need())
    async with running(tail.run(0.02)):
        yield tail
    await tail.close()


class Slow(Store):
    """A store with which somebody else is busy while snapshots are read."""

    def __init__(self, room: Room) -> None:
        super().__init__(room.store._engine)
        self.room = room
        self.busy: list[tuple[str, c.Command]] = []

    async def several(self, escrow_ids: Sequence[str]) -> list[Escrow]:  # type: ignore[override]
        for escrow_id, command in self.busy:
            await self.room.tell(escrow_id, command)
        found = await super().several(escrow_ids)
        for escrow_id, _ in self.busy:
            await self.room.tell(escrow_id, c.PublishUpdate("meanwhile"), SERVICE)
        self.busy = []
        return found


async def told(
    followers: Followers, user_id: str, after: int | None = None, *, until: int
) -> list[Told]:
    """All that a follower is told up to a position."""
    items: list[Told] = []
    following = followers.follow(user_id, after, heartbeat_s=0.05)
    async with asyncio.timeout(LIMIT_S), aclosing(following) as told:
        async for item in told:
            items.append(item)
            if isinstance(item, int) and item >= until:
                break
    return items


def events(items: Sequence[Told]) -> list[tuple[str, int]]:
    return [(one.escrow_id, one.version) for one in items if isinstance(one, Placed)]


def snapshots(items: Sequence[Told]) -> list[tuple[str, int]]:
    shown = [one.escrow for one in items if isinstance(one, Snapshot)]
    return [(one.escrow_id, one.version) for one in shown]


async def test_who_comes_back_hears_of_what_has_ended_begun_and_changed(
    room: Room, tail: Tail
) -> None:
    followers = Followers(room.store, tail)
    ended, open_ = await room.create(), await room.create()
    await room.place()
    position = await room.store.positions.newest()
    await room.tell(ended, c.CancelEscrow())
    begun = await room.create(buyer_id="seller-1", seller_id=BUYER.user_id, caller=SERVICE)
    await room.create(buyer_id="ann", caller=SERVICE)
    await room.tell(open_, c.PublishUpdate("hello"), SERVICE)
    await room.place()
    items = await told(followers, BUYER.user_id, position, until=6)
    assert events(items) == [(ended, 2), (begun, 1), (open_, 2)]
    assert snapshots(items) == []
    assert [one.position for one in items if isinstance(one, Placed)] == [3, 4, 6]
    # Another time from what came last: nothing comes twice.
    assert await told(followers, BUYER.user_id, 6, until=6) == [6]


async def test_what_happens_while_snapshots_are_read_is_told_once(room: Room, tail: Tail) -> None:
    store = Slow(room)
    cancelled, changed = await room.create(), await room.create()
    await room.place()
    store.busy = [(cancelled, c.CancelEscrow())]
    items: list[Told] = []
    following = Followers(store, tail).follow(BUYER.user_id, heartbeat_s=0.05)
    async with asyncio.timeout(LIMIT_S), aclosing(following):
        async for item in following:
            items.append(item)
            if isinstance(item, SnapshotsEnd):
                await room.place()
            if events(items)[-1:] == [(cancelled, 3)]:
                break
    # It had ended before its snapshot was read, so it has none, and each event.
    assert snapshots(items) == [(changed, 1)]
    assert events(items) == [(cancelled, 2), (cancelled, 3)]
    assert {one.position for one in items if isinstance(one, Snapshot | SnapshotsEnd)} == {2}


async def test_an_event_that_has_its_position_late_is_not_told_again(
    room: Room, tail: Tail
) -> None:
    followers = Followers(room.store, tail)
    escrow_id = await room.create()
    await room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
    # On PostgreSQL none of them has a position yet, and the snapshot shows both.
    following = followers.follow(BUYER.user_id, heartbeat_s=0.05)
    items: list[Told] = []
    async with asyncio.timeout(LIMIT_S), aclosing(following):
        async for item in following:
            items.append(item)
            if isinstance(item, SnapshotsEnd):
                await room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
                await room.place()
            if isinstance(item, Placed):
                break
    assert snapshots(items) == [(escrow_id, 2)]
    assert events(items) == [(escrow_id, 3)]


async def test_who_follows_everything_sees_what_needs_a_person_and_every_event(
    room: Room, tail: Tail
) -> None:
    followers = Followers(room.store, tail)
    await room.create()
    stuck = await room.create(buyer_id="ann", caller=SERVICE)
    await room.tell(stuck, c.FailSettlement("Razorpay refuses.", ""), SETTLEMENT)
    await room.place()
    items = await told(followers, "", until=3)
    assert snapshots(items) == [(stuck, 2)]
    assert events(items) == []
    other = await room.create(buyer_id="bob", caller=SERVICE)
    await room.place()
    assert events(await told(followers, "", 0, until=4))[2:] == [(stuck, 2), (other, 1)]


async def test_a_position_that_there_is_not_is_refused(room: Room, tail: Tail) -> None:
    with pytest.raises(Refusal) as refused:
        await told(Followers(room.store, tail), BUYER.user_id, 1, until=1)
    assert refused.value.reason is Reason.POSITION_UNKNOWN


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
        tasks = [asyncio.create_task(rooms.tail.run(NEVER_S))]
        try:
            async with aclosing(rooms.followers.follow(BUYER.user_id)) as following:
                assert await anext(following) == SnapshotsEnd(more=False, position=0)
                waiting = asyncio.create_task(anext(following))
                # Nobody listens yet: this bell is lost.
                escrow_id = await there.create()
                await there.place()
                tasks.append(asyncio.create_task(listening.run))
                async with asyncio.timeout(LIMIT_S):
                    placed = await waiting
                assert isinstance(placed, Placed)
                assert (placed.escrow_id, placed.position) == (escrow_id, 1)
        finally:
            await end(*tasks)


async def test_the_newest_escrows_come_first_and_the_rest_is_mentioned(
    room: Room, tail: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MAX_SNAPSHOTS", 3)
    monkeypatch.setattr(follow, "PAGE", 2)
    made = []
    for _ in range(5):
        made.append(await room.create())
        room.time.pass_s(1)
    await room.place()
    followers = Followers(room.store, tail)
    items = await told(followers, BUYER.user_id, until=5)
    assert snapshots(items) == [(one, 1) for one in made[:1:-1]]
    assert items[3] == SnapshotsEnd(more=True, position=5)
    # The oldest had no snapshot: its events come all the same.
    async with aclosing(followers.follow(BUYER.user_id)) as following:
        for _ in range(4):
            await anext(following)
        await room.tell(made[0], c.PublishUpdate("hello"), SERVICE)
        await room.place()
        placed = await anext(following)
        assert isinstance(placed, Placed)
        assert (placed.escrow_id, placed.version) == (made[0], 2)
    async with aclosing(followers.follow("seller-1")) as following:
        assert [type(await anext(following)) for _ in range(3)] == [Snapshot] * 3
