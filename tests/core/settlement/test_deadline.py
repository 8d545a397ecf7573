"""The clock on durable rows: in time, once, with any number of replicas."""

import asyncio

import pytest

from core.law import command as c
from core.law.payee import call_off, register
from core.law.status import Status
from core.settlement.deadline import Clock
from core.storage.row import PayeeRow
from core.storage.trip import payee as payees
from tests.core.law.story import BUYER, INSPECTION_US, SECOND_US, SELLER, WINDOW_US
from tests.core.room import Room

OLD, NEW = "acc_Old00000000001", "acc_New00000000001"


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


async def change(room: Room, *seller_ids: str) -> None:
    """Let each of these sellers' new accounts wait a second."""
    async with room.store.write() as transaction:
        for seller_id in seller_ids:
            payee = None
            for account_id in (OLD, NEW):
                payee = register(payee, seller_id, account_id, seller_id, room.time(), SECOND_US)
                assert payee is not None
                await transaction.run(
                    payees.add(PayeeRow(payee, f"rpc:{seller_id}{account_id}", b""))
                )


async def account(room: Room, seller_id: str) -> str:
    payee = await room.store.payee(seller_id)
    assert payee is not None
    return payee.account_id


async def test_two_replicas_let_an_account_count_once(two_rooms: tuple[Room, Room]) -> None:
    sellers = [f"seller-{n}" for n in range(10)]
    await change(two_rooms[0], *sellers)
    assert await clock(two_rooms[1]).look_at_payees() == 0
    two_rooms[0].time.us += 2 * SECOND_US
    changed = await asyncio.gather(*(clock(room).look_at_payees() for room in two_rooms * 2))
    assert sum(changed) == len(sellers)
    for seller_id in sellers:
        events = await two_rooms[1].store.payee_events(seller_id, 0, 10)
        assert [event.type for event in events] == ["REGISTERED", "CHANGE_STARTED", "CHANGE_DONE"]
        assert (events[-1].account_id, events[-1].actor_id) == (NEW, "clock")


async def test_a_call_off_and_the_clock_never_both_win(two_rooms: tuple[Room, Room]) -> None:
    sellers = [f"seller-{n}" for n in range(10)]
    await change(two_rooms[0], *sellers)
    two_rooms[0].time.us += 2 * SECOND_US

    async def keep(seller_id: str) -> bool:
        async with two_rooms[1].store.write() as transaction:
            await transaction.run(payees.lock(seller_id))
            before = await transaction.run(payees.latest(seller_id))
            if before is None or not before.pending_account_id:
                return False
            after = call_off(before, seller_id, two_rooms[1].time())
            return await transaction.run(payees.add(PayeeRow(after, f"rpc:keep:{seller_id}", b"")))

    changed, *kept = await asyncio.gather(
        clock(two_rooms[0]).look_at_payees(), *(keep(seller_id) for seller_id in sellers[::-1])
    )
    assert changed + sum(kept) == len(sellers)
    for seller_id, is_kept in zip(sellers[::-1], kept, strict=True):
        assert await account(two_rooms[0], seller_id) == (OLD if is_kept else NEW)
    assert await two_rooms[0].store.due_payees(2**60, 20) == []


async def test_an_escrow_that_cannot_be_passed_stops_no_account(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.create()
    await change(room, "seller-1")
    room.time.us += WINDOW_US
    running_clock = clock(room)
    tried = asyncio.Event()

    async def fails(escrow_id: str, version: int) -> None:
        tried.set()
        raise RuntimeError("this escrow is broken")

    monkeypatch.setattr(running_clock, "_pass", fails)
    await run_until(running_clock, room, "seller-1")
    assert tried.is_set()


async def test_a_payee_that_cannot_be_changed_stops_no_other(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change(room, "seller-1", "seller-2")
    room.time.us += 2 * SECOND_US
    running_clock = clock(room)
    change_payee = running_clock._change_payee

    async def fails(seller_id: str) -> bool:
        if seller_id == "seller-1":
            raise RuntimeError("this payee is broken")
        return await change_payee(seller_id)

    monkeypatch.setattr(running_clock, "_change_payee", fails)
    await run_until(running_clock, room, "seller-2")
    assert await account(room, "seller-1") == OLD


async def run_until(running_clock: Clock, room: Room, seller_id: str) -> None:
    """Let the clock run until the new account of a seller counts."""
    running = asyncio.create_task(running_clock.run())
    try:
        async with asyncio.timeout(10):
            while await account(room, seller_id) != NEW:  # noqa: ASYNC110 - the clock's doing
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
