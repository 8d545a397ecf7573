"""The tail: who follows gets each event once and in order, and what is new is read once for all."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.errors import Reason, Refusal
from core.feed import tail as tails
from core.feed.tail import Tail
from core.live.feed import Feed
from core.live.need import Need
from core.storage.position import ALL, Page, Place, Placed, Positions, Which
from tests.core.law.story import SERVICE
from tests.core.room import Room
from tests.core.storage.test_position import busy
from tests.fakes.wait import running, until

LIMIT_S = 10.0
# A look that never comes by itself while a test lasts.
NEVER_S = 3_600.0


class Counted(Positions):
    """Counts what is read, and fails on request."""

    def __init__(self, positions: Positions) -> None:
        super().__init__(positions._engine)
        self.looks = 0
        self.reads = 0
        self.is_away = False
        self.newests = 0
        # Which reading of the newest position is handed over only when `is_quick` is set.
        self.slow = 0
        self.is_quick = asyncio.Event()

    async def newest(self) -> int:
        newest = await super().newest()
        self.newests += 1
        if self.newests == self.slow:
            await self.is_quick.wait()
        return newest

    async def places(self, position: int, limit: int) -> list[Place]:
        self.looks += 1
        self._require()
        return await super().places(position, limit)

    async def after(
        self, position: int, limit: int, which: Which = ALL, *, newest: int | None = None
    ) -> Page:
        self.reads += 1
        self._require()
        return await super().after(position, limit, which, newest=newest)

    def _require(self) -> None:
        if self.is_away:
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "away")


class Followed:
    """What one who follows has got; it stops when it is told to."""

    def __init__(self, items: AsyncGenerator[Placed | int]) -> None:
        self.items: list[Placed | int] = []
        self._items = items
        self.reading = asyncio.Event()
        self.reading.set()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with aclosing(self._items) as items:
            async for item in items:
                self.items.append(item)
                await self.reading.wait()

    @property
    def positions(self) -> list[int]:
        return [one.position for one in self.items if isinstance(one, Placed)]

    @property
    def heartbeats(self) -> list[int]:
        return [one for one in self.items if isinstance(one, int)]

    async def level(self, position: int) -> None:
        """Wait until all up to a position has come."""
        await until(lambda: position in self.heartbeats or position in self.positions)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Desk:
    """A process on the room's database: a tail that runs, and those who follow it."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.need = Need()
        self.feed = Feed(room.store, self.need)
        self.positions = Counted(room.store.positions)
        self.tail = Tail(self.positions, self.feed, self.need)
        self.followed: list[Followed] = []

    def follow(self, after: int, which: Which = ALL, heartbeat_s: float = NEVER_S) -> Followed:
        self.followed.append(Followed(self.tail.follow(after, which, heartbeat_s=heartbeat_s)))
        return self.followed[-1]

    async def commit(self, rounds: int = 0) -> None:
        """Commit an escrow and more events of it, let them have positions, and ring."""
        await busy(self.room, rounds)
        await self.room.place()
        self.tail.ring()


@pytest.fixture
async def desk(room: Room) -> AsyncIterator[Desk]:
    desk = Desk(room)
    async with running(desk.tail.run(NEVER_S)):
        yield desk
        for one in desk.followed:
            await one.end()
    await desk.tail.close()
    assert not list(desk.need)


async def test_everything_comes_from_the_beginning_and_goes_on_live(desk: Desk) -> None:
    await desk.commit(4)
    reader = desk.follow(0)
    await reader.level(5)
    await desk.commit(2)
    await reader.level(8)
    assert reader.positions == list(range(1, 9))
    assert reader.heartbeats == [5]
    first = reader.items[0]
    assert isinstance(first, Placed)
    event = pb.EscrowEvent.FromString(first.body)
    assert (event.escrow_id, event.version) == (first.escrow_id, 1)


async def test_who_resumes_gets_what_comes_after_and_nothing_else(desk: Desk) -> None:
    await desk.commit(9)
    reader = desk.follow(7)
    await reader.level(10)
    assert reader.positions == [8, 9, 10]
    beyond = desk.follow(11)
    with pytest.raises(Refusal) as refused:
        await beyond.task
    assert refused.value.reason is Reason.POSITION_UNKNOWN


async def test_what_is_new_is_read_once_for_all_who_follow(desk: Desk) -> None:
    readers = [desk.follow(0) for _ in range(20)]
    for reader in readers:
        await reader.level(0)
    await until(lambda: desk.positions.looks == 1)
    desk.positions.looks = desk.positions.reads = 0
    await desk.commit()
    for reader in readers:
        await reader.level(1)
    # One look finds it and one nothing more; one read brings the event itself.
    assert (desk.positions.looks, desk.positions.reads) == (2, 1)


async def test_what_this_process_has_committed_is_not_read_again(desk: Desk) -> None:
    reader = desk.follow(0)
    await reader.level(0)
    desk.positions.reads = 0
    await busy(desk.room, 3)
    for batch in desk.room.batches:
        desk.feed.publish(batch)
    await desk.room.place()
    desk.tail.ring()
    await reader.level(4)
    assert reader.positions == [1, 2, 3, 4]
    assert desk.positions.reads == 0


async def test_a_user_is_woken_for_what_concerns_them_and_hears_how_far_it_is(desk: Desk) -> None:
    ann = desk.follow(0, Which("ann"), heartbeat_s=0.05)
    other = desk.follow(0, Which(status="CANCELLED"), heartbeat_s=0.05)
    await ann.level(0)
    await desk.commit(3)
    mine = await desk.room.create(seller_id="ann")
    await desk.commit(2)
    await until(lambda: ann.heartbeats[-1] == 8)
    assert ann.positions == [5]
    placed = next(one for one in ann.items if isinstance(one, Placed))
    assert placed.escrow_id == mine
    await until(lambda: other.heartbeats[-1] == 8)
    assert other.positions == []


async def test_a_slow_reader_misses_nothing_that_has_left_the_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "KEPT", 5)
    monkeypatch.setattr(tails, "READ_LIMIT", 3)
    everything, ann = desk.follow(0), desk.follow(0, Which("ann"))
    for reader in (everything, ann):
        await reader.level(0)
        reader.reading.clear()
    expected = []
    for number in range(4):
        await desk.commit(7)
        await desk.room.create(buyer_id="ann", caller=SERVICE)
        expected.append(9 * (number + 1))
    await desk.commit()
    await until(lambda: desk.tail._newest == 37)
    assert len(desk.tail._groups[""].places) <= 10
    for reader in (everything, ann):
        reader.reading.set()
    await everything.level(37)
    assert everything.positions == list(range(1, 38))
    await until(lambda: ann.positions == expected)


async def test_who_comes_back_after_everybody_had_gone_begins_where_it_was(desk: Desk) -> None:
    first = desk.follow(0)
    await desk.commit(3)
    await first.level(4)
    await first.end()
    await until(lambda: not desk.tail._groups)
    await busy(desk.room, 3)
    await desk.room.place()
    # Nobody rings: the first to come begins by looking.
    second = desk.follow(4)
    await second.level(8)
    assert second.positions == [5, 6, 7, 8]


async def test_a_reader_that_leaves_before_the_tail_has_begun_harms_nobody(desk: Desk) -> None:
    # The first is the reader's own.
    desk.positions.slow = 2
    first = desk.follow(0)
    await until(lambda: desk.positions.newests == 2)
    await first.end()
    await desk.commit(2)
    desk.positions.is_quick.set()
    second = desk.follow(1)
    await second.level(3)
    assert second.positions == [2, 3]


async def test_a_database_that_is_away_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "RETRY_S", 0.01)
    reader = desk.follow(0)
    await reader.level(0)
    desk.positions.is_away = True
    looks = desk.positions.looks
    await desk.commit(3)
    await until(lambda: desk.positions.looks > looks + 2)
    desk.positions.is_away = False
    await reader.level(4)
    assert reader.positions == [1, 2, 3, 4]


async def test_a_lost_bell_is_healed_by_the_look(room: Room) -> None:
    desk = Desk(room)
    async with running(desk.tail.run(0.02)):
        reader = desk.follow(0)
        await reader.level(0)
        await busy(room, 1)
        await room.place()
        await reader.level(2)
        await reader.end()


async def test_readers_go_when_the_server_does(desk: Desk) -> None:
    readers = [desk.follow(0), desk.follow(0, Which("ann"))]
    await readers[0].level(0)
    await desk.tail.close()
    for reader in readers:
        with pytest.raises(Refusal) as refused:
            await reader.task
        assert refused.value.reason is Reason.SHUTTING_DOWN


async def test_readers_that_come_and_go_at_any_moment_miss_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "READ_LIMIT", 4)
    monkeypatch.setattr(tails, "KEPT", 6)
    is_over = False
    runs: list[list[int]] = []

    async def restless(number: int) -> None:
        got: list[int] = []
        runs.append(got)
        count = 1 + number
        while not (is_over and got and got[-1] == await desk.positions.newest()):
            items = desk.tail.follow(got[-1] if got else 0, heartbeat_s=0.01)
            async with aclosing(items), asyncio.timeout(LIMIT_S):
                taken = 0
                async for item in items:
                    if isinstance(item, Placed):
                        got.append(item.position)
                        taken += 1
                    if taken >= count or isinstance(item, int):
                        break

    readers = [asyncio.create_task(restless(number)) for number in range(4)]
    for _ in range(15):
        await desk.commit(3)
    is_over = True
    await asyncio.gather(*readers)
    newest = await desk.positions.newest()
    assert newest == 60
    assert runs == [list(range(1, newest + 1))] * 4
