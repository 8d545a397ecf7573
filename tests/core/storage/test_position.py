"""Positions: one order that nobody sees a later part of first, whoever dies while it is made."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from escrow.v1 import escrow_pb2 as pb

from core.errors import Refusal
from core.law import command as c
from core.storage import position
from core.storage.position import Page, Placed, Positions, Which, giving
from tests.core.law.story import SELLER, SERVICE
from tests.core.room import Room

GIVING = giving(notifies=True)
# Long enough for the server to be in the middle of it.
STEP_S = 0.15
# Longer than a few commands take on a busy machine, and shorter than anybody's patience.
LONG_S = 2.0


async def everything(positions: Positions, which: Which = position.ALL) -> list[Placed]:
    """Read the feed from its beginning, a few events at a time."""
    found: list[Placed] = []
    page = Page((), 0)
    while page.reached < await positions.newest():
        page = await positions.after(page.reached, 3, which)
        found += page.placed
    return found


def numbers(placed: Sequence[Placed]) -> list[int]:
    return [one.position for one in placed]


def assert_in_order(placed: Sequence[Placed]) -> None:
    """Every position once, and every escrow's versions from 1 on."""
    assert numbers(placed) == list(range(1, len(placed) + 1))
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for one in placed:
        versions[one.escrow_id].append(one.version)
    for found in versions.values():
        assert found == list(range(1, len(found) + 1))


async def busy(room: Room, rounds: int) -> None:
    """Create an escrow and change it again and again."""
    escrow_id = await room.create()
    for _ in range(rounds):
        await room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)


async def test_an_event_is_read_with_its_position_and_what_readers_choose_by(room: Room) -> None:
    escrow_id = await room.paid()
    await room.place()
    placed = await everything(room.store.positions)
    assert_in_order(placed)
    last = placed[-1]
    event = pb.EscrowEvent.FromString(last.body)
    assert (event.escrow_id, event.version) == (last.escrow_id, last.version) == (escrow_id, 3)
    assert (last.type, last.new_status) == ("PAYMENT_CAPTURED", "HELD")
    assert last.parties == ("buyer-1", "seller-1", "arbiter-1")


async def test_versions_of_one_batch_keep_their_order(room: Room) -> None:
    escrow_ids = [await room.create() for _ in range(3)]
    updates = [
        room.tell(one, c.PublishUpdate("hello"), SERVICE) for _ in range(10) for one in escrow_ids
    ]
    await asyncio.gather(*updates)
    assert max(len(batch) for batch in room.batches) > 3
    await room.place()
    assert_in_order(await everything(room.store.positions))


async def test_a_command_that_fails_leaves_no_gap(room: Room) -> None:
    await room.create()
    with pytest.raises(Refusal):
        await room.tell(await room.create(), c.WithdrawDispute(), SELLER)
    await room.create()
    await room.place()
    assert numbers(await everything(room.store.positions)) == [1, 2, 3]


async def test_a_reader_gets_what_it_asks_for_and_no_more(room: Room) -> None:
    mine = await room.paid(buyer_id="ann", arbiter_id="", caller=SERVICE)
    sold = await room.create(seller_id="ann", arbiter_id="")
    judged = await room.create(arbiter_id="ann")
    await room.create()
    await room.tell(judged, c.CancelEscrow())
    await room.place()
    positions = room.store.positions

    async def found(which: Which) -> list[tuple[str, int]]:
        return [(one.escrow_id, one.version) for one in await everything(positions, which)]

    ann = [(mine, 1), (mine, 2), (mine, 3), (sold, 1), (judged, 1), (judged, 2)]
    assert await found(Which(user_id="ann")) == ann
    assert await found(Which(user_id="an")) == []
    assert await found(Which(types=frozenset({"PAYMENT_CAPTURED"}))) == [(mine, 3)]
    assert await found(Which(status="CANCELLED")) == [(judged, 2)]
    types = frozenset({"ESCROW_CREATED", "ESCROW_CANCELLED"})
    assert await found(Which("ann", types)) == [(mine, 1), (sold, 1), (judged, 1), (judged, 2)]
    assert await found(Which("ann", types, "CANCELLED")) == [(judged, 2)]


async def test_a_read_with_a_filter_goes_only_so_far(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position, "SCAN", 4)
    await busy(room, 8)
    await room.paid()
    await room.place()
    positions, which = room.store.positions, Which(status="HELD")
    assert await positions.after(0, 10, which) == Page([], 4)
    assert await positions.after(4, 10, which) == Page([], 8)
    page = await positions.after(8, 10, which)
    assert ([one.version for one in page.placed], page.reached) == ([3], 12)
    assert await positions.after(12, 10, which) == Page((), 12)


@pytest.mark.postgres
async def test_cores_that_give_at_once_give_each_position_once(
    two_rooms: tuple[Room, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in two_rooms:
        few = room.store.positions._giving.replace(f"LIMIT {position.SLICE}", "LIMIT 7")
        monkeypatch.setattr(room.store.positions, "_giving", few)
    is_over = False
    seen: list[int] = []

    async def give(room: Room) -> None:
        while not is_over:
            await room.store.positions.give()

    async def watch(room: Room) -> None:
        while not is_over:
            page = await room.store.positions.after(seen[-1] if seen else 0, 5)
            seen.extend(numbers(page.placed))

    one, other = two_rooms
    working = [asyncio.create_task(give(room)) for room in (one, other, one, other)]
    working.append(asyncio.create_task(watch(one)))
    await asyncio.gather(*(busy(room, 10) for room in (one, other) * 8))
    await one.place()
    is_over = True
    await asyncio.gather(*working)
    assert await one.store.positions.waiting() == (0, None)
    placed = await everything(one.store.positions)
    assert len(placed) == 16 * 11
    assert_in_order(placed)
    # The reader that ran meanwhile never saw a position before a smaller one.
    assert seen == list(range(1, len(seen) + 1))
    assert seen


@pytest.mark.postgres
async def test_an_escrow_that_two_cores_change_in_turn_keeps_its_order(
    two_rooms: tuple[Room, Room],
) -> None:
    one, other = two_rooms
    escrow_id = await one.create()
    updates = (
        room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE) for room in (one, other) * 20
    )
    giving = asyncio.create_task(one.place())
    await asyncio.gather(*updates)
    await giving
    await one.place()
    assert_in_order(await everything(one.store.positions))


@asynccontextmanager
async def client(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        connection.terminate()


def slowly(step: int, span_s: float = STEP_S) -> str:
    """What gives positions, with a wait before one of its statements."""
    statements = list(GIVING)
    statements.insert(step, f"SELECT pg_sleep({span_s})")
    return ";".join(statements)


@pytest.mark.postgres
@pytest.mark.parametrize("step", range(1, len(GIVING) + 1))
async def test_a_core_that_dies_at_any_step_loses_nothing_and_keeps_nobody_waiting(
    two_rooms: tuple[Room, Room], postgres_url: str, step: int
) -> None:
    room = two_rooms[0]
    await busy(room, 4)
    async with client(postgres_url) as dying:
        giving = asyncio.create_task(dying.execute(slowly(step)))
        await asyncio.sleep(STEP_S / 2)
        dying.terminate()
        await asyncio.gather(giving, return_exceptions=True)
    async with asyncio.timeout(2 * STEP_S + 1):
        await busy(room, 3)
        await room.place()
    placed = await everything(room.store.positions)
    assert len(placed) == 9
    assert_in_order(placed)


@pytest.mark.postgres
@pytest.mark.parametrize("step", range(1, len(GIVING) + 1))
async def test_a_server_process_that_is_ended_at_any_step_loses_nothing(
    two_rooms: tuple[Room, Room], postgres_url: str, step: int
) -> None:
    room = two_rooms[0]
    await busy(room, 4)
    async with client(postgres_url) as ended, client(postgres_url) as administrator:
        pid = ended.get_server_pid()
        giving = asyncio.create_task(ended.execute(slowly(step)))
        await asyncio.sleep(STEP_S / 2)
        await administrator.execute("SELECT pg_terminate_backend($1::int)", pid)
        assert isinstance((await asyncio.gather(giving, return_exceptions=True))[0], Exception)
    await room.place()
    placed = await everything(room.store.positions)
    assert len(placed) == 5
    assert_in_order(placed)


@pytest.mark.postgres
async def test_what_is_committed_while_others_give_waits_for_no_more_than_its_turn(
    two_rooms: tuple[Room, Room], postgres_url: str
) -> None:
    one, other = two_rooms
    await busy(one, 2)
    async with client(postgres_url) as slow:
        giving = asyncio.create_task(slow.execute(slowly(len(GIVING), LONG_S)))
        await asyncio.sleep(STEP_S / 2)
        # Commands do not wait for the lock; only who gives positions does.
        await busy(other, random.randint(1, 3))
        assert not giving.done()
        await other.place()
        assert giving.done()
        await giving
    assert_in_order(await everything(one.store.positions))
    assert await one.store.positions.waiting() == (0, None)
