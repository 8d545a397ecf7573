"""Small transactions that wait at once: one commit on SQLite, and each as if it were alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from core.errors import Reason, Refusal
from core.storage import audit
from core.storage.lane import MAX_TOGETHER
from core.storage.row import FindingRow
from core.storage.trip import inbox
from core.storage.trip.step import Steps
from tests.core.room import Room, open_room

US = 1_000_000


@pytest.fixture
async def lite_room(sqlite_url: str) -> AsyncIterator[Room]:
    async with open_room(sqlite_url) as opened:
        await opened.store.probe()
        yield opened


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every trip to a connection's thread."""
    made: list[str] = []
    real = aiosqlite.Connection._execute

    async def execute(self: aiosqlite.Connection, what: object, *more: object) -> object:
        made.append(str(what))
        return await real(self, what, *more)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", execute)
    return made


def kept(number: int) -> Steps[str | None]:
    return (yield from inbox.keep(event_id=f"evt_{number}", body=b"{}", now_us=1))


def crash(number: int, error: Exception) -> Steps[None]:
    yield from kept(number)
    raise error


def collide(number: int) -> Steps[None]:
    finding = FindingRow("escrow", "BALANCES", "It is wrong.")
    yield from kept(number)
    yield from audit.replace(["escrow"], [finding])
    yield from audit.replace([], [finding])


async def waiting(room: Room) -> set[str]:
    return {event_id for event_id, _ in await room.store.waiting_webhooks(US, 1_000)}


async def test_those_that_wait_at_once_are_one_commit(lite_room: Room, trips: list[str]) -> None:
    many = range(MAX_TOGETHER)
    answers = await asyncio.gather(*(lite_room.store.transact(kept(one)) for one in many))
    assert answers == [None] * len(many)
    assert len(trips) == 1
    assert await waiting(lite_room) == {f"evt_{one}" for one in many}


async def test_more_than_one_commit_takes_are_several(lite_room: Room, trips: list[str]) -> None:
    many = range(2 * MAX_TOGETHER + 1)
    await asyncio.gather(*(lite_room.store.transact(kept(one)) for one in many))
    assert len(trips) == 3
    assert len(await waiting(lite_room)) == len(many)


async def test_one_that_fails_leaves_nothing_behind_and_the_others_alone(lite_room: Room) -> None:
    store = lite_room.store
    answers = await asyncio.gather(
        store.transact(kept(1)),
        store.transact(crash(2, RuntimeError("a crash"))),
        store.transact(kept(3)),
        store.transact(collide(4)),
        store.transact(crash(5, Refusal(Reason.WRONG_STATUS, "The law says no."))),
        store.transact(kept(6)),
        return_exceptions=True,
    )
    kinds = [type(answer) for answer in answers]
    assert kinds == [type(None), RuntimeError, type(None), IntegrityError, Refusal, type(None)]
    assert await waiting(lite_room) == {"evt_1", "evt_3", "evt_6"}
    assert await store.audit.count_findings() == 0
    assert not store.condition.problem


async def test_each_sees_what_those_before_it_have_written(lite_room: Room) -> None:
    store = lite_room.store
    finish = inbox.finish(event_id="evt_1", outcome="APPLIED")
    answers = await asyncio.gather(
        store.transact(kept(1)), store.transact(finish), store.transact(kept(1))
    )
    assert list(answers) == [None, None, "APPLIED"]


async def test_one_that_is_cancelled_while_it_waits_is_not_run(lite_room: Room) -> None:
    store = lite_room.store
    async with store.write() as other:
        calls = [asyncio.create_task(store.transact(kept(one))) for one in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        await other.beat()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert await waiting(lite_room) == {"evt_0", "evt_2"}


async def test_the_others_are_answered_where_the_writer_is_cancelled(
    lite_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = lite_room.store
    begun = asyncio.Event()
    real = aiosqlite.Connection._execute

    async def execute(self: aiosqlite.Connection, what: object, *more: object) -> object:
        begun.set()
        return await real(self, what, *more)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(aiosqlite.Connection, "_execute", execute)
    first, second = (asyncio.create_task(store.transact(kept(one))) for one in (1, 2))
    await begun.wait()
    first.cancel()
    assert await second is None
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await waiting(lite_room) == {"evt_1", "evt_2"}


async def test_none_is_acknowledged_where_the_file_was_deleted(sqlite_url: str) -> None:
    async with open_room(sqlite_url) as room:
        await room.store.probe()
        Path(make_url(sqlite_url).database or "").unlink()  # noqa: ASYNC240 - it waits for none
        answers = await asyncio.gather(
            *(room.store.transact(kept(one)) for one in range(3)), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [Refusal] * 3
    assert "deleted or replaced" in room.store.condition.problem
