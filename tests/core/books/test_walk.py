"""The hourly check comes to all that changed at once, and to everything else within a day."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.books import audit
from core.books.audit import EVERY_S, LEASE_S, OVERLAP_S, RETRY, Auditor, goal_of
from core.errors import Reason, Refusal
from core.law import command as c
from core.law.escrow import Escrow
from core.settlement.compare import Finding
from core.storage import tables as t
from core.storage.row import AuditRow
from tests.core.law.story import SERVICE
from tests.core.room import Room, open_room

DAY_CHECKS = 24
OLD_S = 30 * 86_400.0


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as opened:
        yield opened


async def agrees(_: Escrow) -> list[Finding]:
    return []


def auditor(room: Room, differences: Any = agrees) -> Auditor:
    return Auditor(room.store, differences, now_us=room.time)


async def by_the_hour(room: Room, holds: Callable[[audit.Result], object]) -> int:
    """Check by the hour, each time as another process would, and count checks until it holds."""
    for number in range(1, DAY_CHECKS + 1):
        result = await auditor(room).look_due()
        assert result is not None
        if holds(result):
            return number
        room.time.pass_s(EVERY_S)
    raise AssertionError("not within a day")


async def old(room: Room, count: int) -> list[str]:
    """Make escrows that nobody has touched for long, and walk over them once."""
    ids = sorted([await room.create() for _ in range(count)])
    room.time.pass_s(OLD_S)
    return ids


async def set_row(room: Room, table: sa.Table, escrow_id: str, **values: Any) -> None:
    async with room.store._engine.begin() as connection:
        await connection.execute(
            sa.update(table).where(table.c.escrow_id == escrow_id).values(**values)
        )


async def progress(room: Room) -> AuditRow:
    row = await room.store.audit.state()
    assert row is not None
    return row


async def test_each_check_takes_a_slice_and_the_day_takes_all(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    await old(room, 44)
    counts: list[int] = []
    for _ in range(22):
        result = await auditor(room).look_due()
        assert result is not None
        counts.append(result.escrows_checked)
        room.time.pass_s(EVERY_S)
    assert sum(counts) == 44
    # As good as 44 / 22 each: the clock goes on a little with each look.
    assert max(counts) <= 3
    row = await progress(room)
    assert (row.walk_checked, row.walk_total) == (44, 44)
    assert row.whole_begin_us == row.walk_begin_us
    await auditor(room).look_due()
    assert (await progress(room)).walk_checked < 4  # The next walk has begun.


@pytest.mark.parametrize("place", [0, 10, -1])
async def test_a_difference_planted_in_an_old_escrow_is_found_within_the_day(
    room: Room, place: int
) -> None:
    ids = await old(room, 23)
    for _ in range(12):  # Also behind the place that the walk has come to.
        await auditor(room).look_due()
        room.time.pass_s(EVERY_S)
    await set_row(room, t.events, ids[place], body=b"\xff planted")
    await by_the_hour(room, lambda result: result.findings)
    state = await auditor(room).state()
    assert state is not None
    assert [(f.escrow_id, f.check) for f in state.findings] == [(ids[place], "HASHES")]
    assert state.findings_count == 1


async def test_a_finding_stays_until_it_is_mended_and_is_looked_at_every_hour(room: Room) -> None:
    (escrow_id,) = await old(room, 1)
    (book,) = await room.store.books(limit=1, escrow_ids=[escrow_id])
    await set_row(room, t.escrows, escrow_id, last_hash=b"planted")
    await by_the_hour(room, lambda result: result.findings)
    for _ in range(3):
        room.time.pass_s(EVERY_S)
        again = await auditor(room).look_due()
        assert again is not None
        assert [one.check for one in again.findings] == ["FOLD"]
    await set_row(room, t.escrows, escrow_id, last_hash=book.last_hash)
    room.time.pass_s(EVERY_S)
    mended = await auditor(room).look_due()
    assert mended is not None
    assert mended.findings == ()
    state = await auditor(room).state()
    assert state is not None
    assert state.findings == ()


async def test_what_has_changed_is_looked_at_by_the_next_check(room: Room) -> None:
    ids = await old(room, 60)
    await auditor(room).look_due()
    room.time.pass_s(EVERY_S / 2)
    await room.tell(ids[-1], c.PublishUpdate("parcel_sent"), SERVICE)
    await set_row(room, t.escrows, ids[-1], last_hash=b"planted")
    room.time.pass_s(EVERY_S / 2)
    result = await auditor(room).look_due()
    assert result is not None
    assert [one.escrow_id for one in result.findings] == [ids[-1]]
    assert result.escrows_checked < 10


async def test_what_was_stamped_before_a_check_and_committed_after_it_is_not_missed(
    room: Room,
) -> None:
    ids = await old(room, 60)
    before_us = room.time()
    await auditor(room).look_due()
    # As a slow transaction leaves it: its time is older than the check that did not see it.
    late_us = before_us - round((OVERLAP_S - 60) * audit.US_PER_S)
    await set_row(room, t.escrows, ids[-1], update_time_us=late_us, last_hash=b"planted")
    room.time.pass_s(EVERY_S)
    result = await auditor(room).look_due()
    assert result is not None
    assert {one.escrow_id for one in result.findings} == {ids[-1]}


async def test_what_belongs_to_no_escrow_is_checked_when_a_walk_ends(room: Room) -> None:
    await old(room, 3)
    async with room.store._engine.begin() as connection:
        wrong = {"account": "razorpay:balance", "currency": "INR", "amount_minor": 5}
        await connection.execute(sa.insert(t.balances).values(wrong))
    await by_the_hour(room, lambda result: result.findings)
    async with room.store._engine.begin() as connection:
        await connection.execute(sa.delete(t.balances))
    room.time.pass_s(EVERY_S)
    mended = await auditor(room).look_due()
    assert mended is not None
    assert mended.findings == ()


async def test_a_check_that_is_not_due_or_is_another_cores_is_left_alone(room: Room) -> None:
    await room.paid()
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Escrow) -> list[Finding]:
        at_it.set()
        await go_on.wait()
        return []

    checking = asyncio.create_task(auditor(room, slow).look_due())
    await asyncio.wait_for(at_it.wait(), 5)
    assert await auditor(room).look_due() is None
    go_on.set()
    assert await checking is not None
    assert await auditor(room).look_due() is None
    room.time.pass_s(EVERY_S)
    assert await auditor(room).look_due() is not None


async def test_a_core_that_died_at_it_is_followed_and_does_not_come_back(room: Room) -> None:
    await room.paid()
    at_it, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Escrow) -> list[Finding]:
        at_it.set()
        await go_on.wait()
        return [Finding("", "RAZORPAY", "said by one whose lease is over")]

    checking = asyncio.create_task(auditor(room, slow).look_due())
    await asyncio.wait_for(at_it.wait(), 5)
    room.time.pass_s(LEASE_S + 1)
    assert await auditor(room).look_due() is not None
    go_on.set()
    with pytest.raises(audit._LeaseLost):
        await checking
    state = await auditor(room).state()
    assert state is not None
    assert state.findings == ()


async def test_a_check_that_failed_goes_on_where_it_was_and_soon(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 1)
    await old(room, 110)
    asked: list[int] = []
    books = room.store.books

    async def away(**which: Any) -> Any:
        asked.append(1)
        if len(asked) == 4:
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away.")
        return await books(**which)

    monkeypatch.setattr(room.store, "books", away)
    with pytest.raises(Refusal):
        await auditor(room).look_due()
    row = await progress(room)
    assert row.walk_checked == 3
    assert row.check_time_us is None
    assert await auditor(room).look_due() is None
    room.time.pass_s(EVERY_S * RETRY)
    result = await auditor(room).look_due()
    assert result is not None
    assert result.escrows_checked == 3  # 6 to be in time, of which 3 were done.


async def test_a_whole_check_can_still_be_asked_for(room: Room) -> None:
    ids = await old(room, 5)
    await set_row(room, t.escrows, ids[2], last_hash=b"planted")
    result = await auditor(room).check()
    assert (result.escrows_checked, len(result.findings)) == (5, 1)


def test_after_a_long_pause_the_walk_catches_up() -> None:
    begin_us, hour_us = 1_000_000, round(EVERY_S * audit.US_PER_S)
    row = AuditRow(0, None, 0, 0, begin_us, "", 0, 2_200, None, None)
    assert goal_of(row, begin_us + hour_us) == 100
    assert goal_of(row, begin_us + 11 * hour_us) == 1_100
    assert goal_of(row, begin_us + 22 * hour_us) is None
