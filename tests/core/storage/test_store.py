"""Storage: leases that exclude, wake-ups that are kept, lists in pages."""

import asyncio
import uuid

from core.law import command as c
from core.law.status import Status
from core.storage.batch import NOTIFY_LIMIT, payloads
from core.storage.listing import Filter
from core.storage.row import Owed
from core.storage.trip import inbox, owed
from tests.core.law.story import ADMIN, BUYER, SELLER
from tests.core.room import Room

LEASE_US = 1_000_000


async def lease(room: Room, limit: int = 10) -> list[Owed]:
    now_us = room.time()
    return await room.store.transact(
        owed.lease(
            lease_id=uuid.uuid4().hex, now_us=now_us, until_us=now_us + LEASE_US, limit=limit
        )
    )


async def give_back(room: Room, work: Owed, *, due_us: int | None, seen: int) -> None:
    await room.store.transact(owed.give_back(work, due_us=due_us, attempts=1, seen_version=seen))


async def make_due(room: Room, **which: str) -> None:
    await room.store.transact(owed.make_due(now_us=room.time(), **which))


async def test_what_is_leased_is_nobody_elses(room: Room) -> None:
    await room.paid()
    (work,) = await lease(room)
    assert await lease(room) == []
    assert not await room.store.is_owed(room.time())
    room.time.us += LEASE_US
    (again,) = await lease(room)
    assert again.lease_id != work.lease_id


async def test_many_workers_share_the_work_and_none_gets_a_row_twice(room: Room) -> None:
    await asyncio.gather(*(room.paid() for _ in range(20)))
    taken = await asyncio.gather(*(lease(room, 4) for _ in range(8)))
    ids = [work.escrow_id for works in taken for work in works]
    assert len(ids) == len(set(ids)) == 20


async def test_two_replicas_never_lease_one_row(two_rooms: tuple[Room, Room]) -> None:
    await asyncio.gather(*(two_rooms[0].paid() for _ in range(20)))
    taken = await asyncio.gather(*(lease(room, 3) for room in two_rooms * 5))
    ids = [work.escrow_id for works in taken for work in works]
    assert len(ids) == len(set(ids))


async def test_work_comes_back_when_it_is_due_and_not_before(room: Room) -> None:
    await room.paid()
    (work,) = await lease(room)
    await give_back(room, work, due_us=room.time() + LEASE_US, seen=3)
    assert await lease(room) == []
    room.time.us += LEASE_US
    (again,) = await lease(room)
    assert again.attempts == 1


async def test_what_is_due_the_longest_is_taken_first_and_no_more_than_asked_for(
    room: Room,
) -> None:
    await asyncio.gather(*(room.paid() for _ in range(6)))
    works = sorted(await lease(room), key=lambda work: work.escrow_id)
    order = [works[at] for at in (3, 0, 5, 1, 4, 2)]
    for place, work in enumerate(order):
        await give_back(room, work, due_us=place, seen=3)
    taken = [await lease(room, 4), await lease(room, 4)]
    assert [[work.escrow_id for work in works] for works in taken] == [
        [work.escrow_id for work in order[:4]],
        [work.escrow_id for work in order[4:]],
    ]


async def test_what_is_owed_anew_meanwhile_stays_due(room: Room) -> None:
    escrow_id = await room.paid()
    (work,) = await lease(room)
    await room.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await give_back(room, work, due_us=None, seen=3)
    assert [again.escrow_id for again in await lease(room)] == [escrow_id]


async def test_a_wake_up_during_a_lease_is_kept(room: Room) -> None:
    escrow_id = await room.paid()
    for which in ({"seller_id": SELLER.user_id}, {"escrow_id": escrow_id}):
        (work,) = await lease(room)
        await make_due(room, **which)
        await give_back(room, work, due_us=None, seen=3)
    (work,) = await lease(room)
    await give_back(room, work, due_us=None, seen=3)
    assert await lease(room) == []
    await make_due(room, seller_id="somebody else")
    assert await lease(room) == []


async def test_a_lease_that_was_lost_can_be_neither_kept_nor_given_back(room: Room) -> None:
    await room.paid()
    (lost,) = await lease(room)
    room.time.us += LEASE_US
    (work,) = await lease(room)
    async with room.store.write() as transaction:
        assert not await transaction.run(owed.renew(lost, until_us=2**60, asked="x", asked_us=1))
        await transaction.run(owed.drop(lost, seen_version=99))
        await transaction.run(owed.give_back(lost, due_us=0, attempts=0, seen_version=99))
        assert await transaction.run(owed.renew(work, until_us=2**60, asked="hold 1", asked_us=2))
    assert await lease(room) == []


async def test_what_was_asked_is_handed_to_the_next_worker(room: Room) -> None:
    await room.paid()
    (work,) = await lease(room)
    await room.store.transact(
        owed.renew(work, until_us=room.time(), asked="hold pay_1 0", asked_us=42)
    )
    (again,) = await lease(room)
    assert (again.asked, again.asked_us) == ("hold pay_1 0", 42)


async def test_nothing_is_owed_for_what_rests(room: Room) -> None:
    escrow_id = await room.create()
    assert not await room.store.is_owed(room.time())
    await room.tell(escrow_id, c.CancelEscrow(), BUYER)
    assert await lease(room) == []


async def test_lists_come_newest_first_in_pages_without_gaps(room: Room) -> None:
    created = [await room.create() for _ in range(7)]
    found: list[str] = []
    place = None
    while True:
        page = await room.store.listed(Filter(), after=place, limit=3)
        found += [escrow.escrow_id for escrow in page.escrows]
        place = page.place
        if place is None:
            break
    assert found == created[::-1]


async def test_lists_know_parties_and_status(room: Room) -> None:
    mine = await room.create(seller_id="alice")
    both = await room.create(seller_id="alice", arbiter_id="carol")
    await room.create(seller_id="dave")
    await room.tell(both, c.CancelEscrow(), ADMIN)

    async def listed(parties: list[str], status: Status | None = None) -> list[str]:
        which = Filter(tuple(parties), (status,) if status else ())
        found = await room.store.listed(which, after=None, limit=9)
        return [escrow.escrow_id for escrow in found.escrows]

    assert await listed(["alice"]) == [both, mine]
    assert await listed(["alice", "carol"]) == [both]
    assert await listed(["alice"], Status.CANCELLED) == [both]
    assert await listed(["nobody"]) == []


async def test_a_webhook_is_kept_once_with_its_outcome(room: Room) -> None:
    async def keep() -> str | None:
        return await room.store.transact(inbox.keep(event_id="evt_1", body=b"{}", now_us=1))

    assert await keep() is None
    assert await room.store.waiting_webhooks(2, 10) == [("evt_1", b"{}")]
    await room.store.transact(inbox.finish(event_id="evt_1", outcome="APPLIED"))
    assert await keep() == "APPLIED"
    assert await room.store.waiting_webhooks(2, 10) == []


async def test_a_transaction_is_done_whole_or_not_at_all(room: Room) -> None:
    escrow_id = await room.paid()
    (work,) = await lease(room)
    try:
        async with room.store.write() as transaction:
            await transaction.run(owed.drop(work, seen_version=9))
            raise RuntimeError("a crash in the middle")
    except RuntimeError:
        pass
    room.time.us += LEASE_US
    assert [again.escrow_id for again in await lease(room)] == [escrow_id]


def test_bells_of_a_large_batch_fit_their_payload() -> None:
    rung = [(str(uuid.uuid4()), version) for version in range(1, 500)]
    lines = list(payloads(rung))
    assert all(len(line) <= NOTIFY_LIMIT for line in lines)
    assert ",".join(lines).split(",") == [f"{i}:{v}" for i, v in rung]
