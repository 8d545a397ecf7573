"""The folding loop: it folds what waits, writes nothing where nothing does, and nothing ends it."""

import asyncio
import logging
from typing import Any

import pytest
import sqlalchemy as sa

from core.books import fold
from core.books.fold import Folder
from core.errors import Reason, Refusal
from core.storage import tables as t
from tests.core.room import Room
from tests.fakes.wait import running, until

OFTEN_S = 0.01


async def is_all_folded(room: Room) -> bool:
    rows = await room.store._rows(sa.select(sa.func.count()).select_from(t.balances))
    return bool(rows[0][0]) and not await room.store.ledger.is_unfolded()


async def folded(room: Room) -> None:
    async with asyncio.timeout(10):
        while not await is_all_folded(room):  # noqa: ASYNC110 - another's doing
            await asyncio.sleep(OFTEN_S)


async def test_it_folds_what_commands_leave(room: Room) -> None:
    async with running(Folder(room.store).run(OFTEN_S)):
        await room.paid()
        await folded(room)


async def test_all_that_waits_is_folded_a_few_rows_at_a_time(room: Room) -> None:
    for _ in range(5):
        await room.paid()
    waiting = 5 * 3
    assert await Folder(room.store).fold(limit=4) == waiting
    assert await is_all_folded(room)


async def test_an_idle_core_does_not_write(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.paid()
    folder = Folder(room.store)
    assert await folder.fold()

    def never() -> Any:
        raise AssertionError("an idle core writes")

    monkeypatch.setattr(room.store, "write", never)
    assert await folder.fold() == 0


async def test_a_database_that_is_away_or_a_mistake_costs_a_round_and_nothing_more(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await room.paid()
    trouble: list[Exception] = [
        Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away."),
        ZeroDivisionError(),
    ]
    real = room.store.ledger.is_unfolded

    async def first_away() -> bool:
        if trouble:
            raise trouble.pop(0)
        return await real()

    monkeypatch.setattr(room.store.ledger, "is_unfolded", first_away)
    async with running(Folder(room.store).run(OFTEN_S)):
        await until(lambda: not trouble)
        await folded(room)
    levels = [r.levelno for r in caplog.records if r.name == fold.__name__]
    assert levels == [logging.WARNING, logging.ERROR]
