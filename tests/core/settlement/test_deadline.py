"""The clock on durable rows: in time, once, with any number of replicas."""

import asyncio

from core.law import command as c
from core.law.status import Status
from core.settlement.deadline import Clock
from tests.core.law.story import BUYER, INSPECTION_US, SECOND_US, SELLER, WINDOW_US
from tests.core.room import Room


def clock(room: Room) -> Clock:
    return Clock(room.store, room.executor, now_us=room.time)


async def test_an_unpaid_escrow_is_cancelled_when_its_window_is_over(room: Room) -> None:
    escrow_id = await room.create()
    room.time.us += WINDOW_US - SECOND_US
    assert await clock(room).look() == 0
    room.time.us += SECOND_US
    assert await clock(room).look() == 1
    assert (await room.escrow(escrow_id)).status is Status.CANCELLED
    assert await clock(room).look() == 0


async def test_an_inspected_escrow_is_released(room: Room) -> None:
    escrow_id = await room.paid()
    room.time.us += WINDOW_US
    assert await clock(room).look() == 0
    await room.tell(escrow_id, c.AddConfirmation(), SELLER)
    room.time.us += INSPECTION_US
    await clock(room).look()
    assert (await room.escrow(escrow_id)).status is Status.SETTLING


async def test_milestones_of_one_moment_do_not_hide_one_another(room: Room) -> None:
    parts = tuple(c.NewMilestone("Part", amount) for amount in (60_000, 40_000))
    escrow_id = await room.paid(milestones=parts)
    # In one batch, and therefore at one time.
    await asyncio.gather(
        *(room.tell(escrow_id, c.AddConfirmation(part), SELLER) for part in ("m1", "m2"))
    )
    room.time.us += INSPECTION_US
    await clock(room).look()
    await clock(room).look()
    escrow = await room.escrow(escrow_id)
    assert [part.status for part in escrow.parts] == ["SETTLING", "SETTLING"]
    assert await clock(room).look() == 0


async def test_a_part_that_was_disputed_at_its_deadline_is_released_after_all(room: Room) -> None:
    parts = tuple(c.NewMilestone("Part", amount) for amount in (60_000, 40_000))
    escrow_id = await room.paid(milestones=parts)
    await asyncio.gather(
        *(room.tell(escrow_id, c.AddConfirmation(part), SELLER) for part in ("m1", "m2"))
    )
    await room.tell(escrow_id, c.RaiseDispute("Broken", "m2"), BUYER)
    room.time.us += INSPECTION_US
    await clock(room).look()
    await room.tell(escrow_id, c.WithdrawDispute("m2"), BUYER)
    await clock(room).look()
    escrow = await room.escrow(escrow_id)
    assert [part.status for part in escrow.parts] == ["SETTLING", "SETTLING"]
    assert await clock(room).look() == 0


async def test_what_moves_on_between_the_look_and_its_turn_is_passed_once(room: Room) -> None:
    ended, still_due = [await room.create() for _ in range(2)]
    room.time.us += WINDOW_US
    seen = await room.store.overdue(room.time(), 10)
    assert sorted(seen) == sorted([(ended, 1), (still_due, 1)])
    await room.tell(ended, c.CancelEscrow())
    await room.tell(still_due, c.RecordOrder("order_1"))
    # Twice, as by two replicas that have seen the same.
    await asyncio.gather(*(clock(room)._pass(*one) for one in seen * 2))
    for escrow_id, version in ((ended, 2), (still_due, 3)):
        escrow = await room.escrow(escrow_id)
        assert (escrow.status, escrow.version) == (Status.CANCELLED, version)
    assert await clock(room).look() == 0


async def test_two_replicas_pass_a_deadline_once(two_rooms: tuple[Room, Room]) -> None:
    escrow_ids = [await two_rooms[0].create() for _ in range(20)]
    two_rooms[0].time.us += WINDOW_US
    await asyncio.gather(*(clock(room).look() for room in two_rooms * 2))
    for escrow_id in escrow_ids:
        escrow = await two_rooms[0].escrow(escrow_id)
        assert (escrow.status, escrow.version) == (Status.CANCELLED, 2)
