"""What the inbox forgets, what it never forgets, and that forgetting harms nothing."""

import asyncio
import logging

import pytest
import sqlalchemy as sa

from core.law.status import Status
from core.settlement import prune
from core.settlement.prune import Pruner
from core.settlement.webhook import APPLIED, DUPLICATE, Inbox
from core.storage import tables as t
from tests.core.room import Room
from tests.core.settlement.test_webhook import PAYMENT, body, inbox, ingest, with_order

__all__ = ["inbox"]  # The fixture.

KEEP_S = 90 * 86_400.0


def pruner(room: Room) -> Pruner:
    return Pruner(room.store, keep_s=KEEP_S, now_us=room.time)


async def kept(room: Room) -> set[str]:
    async with room.store._engine.connect() as connection:
        return set((await connection.execute(sa.select(t.inbox.c.event_id))).scalars())


async def fill(room: Room, count: int, outcome: str | None, name: str) -> None:
    rows = [
        {"event_id": f"{name}_{n}", "receive_time_us": 1 + n, "body": b"{}", "outcome": outcome}
        for n in range(count)
    ]
    async with room.store._engine.begin() as connection:
        await connection.execute(sa.insert(t.inbox), rows)


async def test_a_delivery_that_comes_again_long_after_changes_nothing(
    room: Room, inbox: Inbox
) -> None:
    escrow_id = await with_order(room)
    captured = body("payment.captured", payment=PAYMENT)
    assert await ingest(inbox, captured, "evt_1") == APPLIED
    before = await room.escrow(escrow_id)
    assert before.status is Status.HELD
    room.time.pass_s(KEEP_S + 1)
    assert await pruner(room).prune() == 1
    assert await kept(room) == set()
    assert await ingest(inbox, captured, "evt_1") == DUPLICATE
    assert await room.escrow(escrow_id) == before
    assert await kept(room) == {"evt_1"}
    ledger = await room.store.ledger.entries(escrow_id=escrow_id, after=None, limit=50)
    assert {row.version for row in ledger} == {before.version}


async def test_what_is_young_or_not_worked_off_stays(room: Room, inbox: Inbox) -> None:
    await fill(room, 3, None, "waits")
    await fill(room, 2, DUPLICATE, "old")
    await with_order(room)
    assert await ingest(inbox, body("payment.captured", payment=PAYMENT), "young") == APPLIED
    room.time.pass_s(KEEP_S - 1)
    assert await pruner(room).prune() == 2
    assert await kept(room) == {"waits_0", "waits_1", "waits_2", "young"}
    assert await pruner(room).prune() == 0


async def test_it_goes_in_slices_tells_how_far_it_is_and_can_be_ended_between_any_two(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(prune, "SLICE", 2)
    monkeypatch.setattr(prune, "TELL_EVERY", 2)
    await fill(room, 9, APPLIED, "old")
    monkeypatch.setattr(prune, "PAUSE_S", 60.0)
    pruning = asyncio.create_task(pruner(room).prune())
    async with asyncio.timeout(10):
        while len(await kept(room)) == 9:  # noqa: ASYNC110 - the database does not signal
            await asyncio.sleep(0.01)
    escrow_id = await room.create()  # Commands do not wait for it.
    pruning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pruning
    assert len(await kept(room)) == 7
    monkeypatch.setattr(prune, "PAUSE_S", 0.0)
    assert await pruner(room).prune() == 7
    assert (await room.escrow(escrow_id)).version == 1
    told = [record.getMessage() for record in caplog.records if record.name == prune.__name__]
    assert told == [
        "inbox: 4 old webhooks are pruned, and there are more",
        "inbox: 7 old webhooks are pruned, and there are more",
        "inbox: 7 old webhooks are pruned",
    ]
