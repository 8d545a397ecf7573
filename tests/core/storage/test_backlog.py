"""Positions for a database that had none: in order, once, however often the start is broken off."""

import asyncio
import logging
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from escrow.v1 import escrow_pb2 as pb

from core.storage import backlog, migrations
from core.storage.database import Database, connect
from core.storage.migrations import upgrade
from tests.core.room import open_room
from tests.core.storage.test_migrations import BOTH, Empty, differences
from tests.core.storage.test_position import everything

BEFORE = "0012"
# By escrow, the times of its events. A replica's clock was behind when it wrote the second of `b`.
TIMES = {"a": [10, 20, 60], "b": [30, 5, 40], "c": [30]}
ORDER = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("b", 3), ("a", 3)]


async def leave_old(engine: Database) -> None:
    """Write events as a release without positions did."""
    old = sa.MetaData()
    async with engine.connect() as connection:
        await connection.execution_options(writes=True)
        async with connection.begin():
            await connection.run_sync(lambda c: old.reflect(c, only=["escrows", "events"]))
            for escrow_id, times in TIMES.items():
                row = old_escrow(escrow_id, len(times))
                await connection.execute(sa.insert(old.tables["escrows"]).values(row))
                events = [old_event(escrow_id, at, us) for at, us in enumerate(times, start=1)]
                await connection.execute(sa.insert(old.tables["events"]), events)


def old_escrow(escrow_id: str, version: int) -> dict[str, Any]:
    return {
        "escrow_id": escrow_id,
        "version": version,
        "status": "HELD",
        "buyer_id": "buyer-1",
        "seller_id": f"seller-{escrow_id}",
        "arbiter_id": "",
        "create_time_us": 1,
        "update_time_us": 1,
        "last_hash": b"",
        "body": "{}",
        "created_by": "",
        "attention_code": "",
    }


def old_event(escrow_id: str, version: int, us: int) -> dict[str, Any]:
    status = pb.ESCROW_STATUS_INITIATED if version == 1 else pb.ESCROW_STATUS_HELD
    event = pb.EscrowEvent(escrow_id=escrow_id, version=version, new_status=status)
    return {
        "escrow_id": escrow_id,
        "version": version,
        "cause": f"once:{uuid.uuid4()}",
        "fingerprint": b"",
        "type": "UPDATE_PUBLISHED",
        "create_time_us": us,
        "body": event.SerializeToString(),
    }


@pytest.mark.parametrize("kind", BOTH)
async def test_a_start_that_is_broken_off_is_gone_on_with(
    kind: str,
    empty_database_url: Empty,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    url = await empty_database_url(kind)
    engine = connect(url)
    await upgrade(engine, BEFORE)
    await leave_old(engine)
    monkeypatch.setattr(backlog, "SLICE", 2)
    slices = 0

    def place_slice(connection: sa.Connection) -> bool:
        nonlocal slices
        slices += 1
        goes_on = backlog.place_slice(connection)
        if slices == 3:
            raise KeyboardInterrupt
        return goes_on

    monkeypatch.setattr(migrations, "place_slice", place_slice)
    with pytest.raises(KeyboardInterrupt):
        await upgrade(engine)
    await upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    async with open_room(url) as room:
        await room.create()
        await room.place()
        *old, new = await everything(room.store.positions)
    assert [(one.escrow_id, one.version) for one in old] == ORDER
    assert [one.position for one in (*old, new)] == list(range(1, len(ORDER) + 2))
    assert [one.new_status for one in old] == ["INITIATED" if v == 1 else "HELD" for _, v in ORDER]
    assert old[0].parties == ("buyer-1", "seller-a")
    told = [one.getMessage() for one in caplog.records if one.name == backlog.__name__]
    # The third slice was lost with its transaction, and made again.
    steps = (2, 4, 6, 6, 7)
    assert told == [f"positions: {n} of {len(ORDER)} events have theirs" for n in steps]


@pytest.mark.postgres
async def test_cores_that_start_at_once_give_the_old_events_their_positions_before_any_serves(
    empty_database_url: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await empty_database_url("postgres")
    engines = [connect(url) for _ in range(4)]
    await upgrade(engines[0], BEFORE)
    await leave_old(engines[0])
    monkeypatch.setattr(backlog, "SLICE", 1)

    async def start(engine: Database) -> None:
        await upgrade(engine)
        async with open_room(url) as room:
            await room.create()
            await room.place()

    await asyncio.gather(*(start(engine) for engine in engines))
    for engine in engines:
        await engine.dispose()
    async with open_room(url) as room:
        placed = await everything(room.store.positions)
    assert [(one.escrow_id, one.version) for one in placed[: len(ORDER)]] == ORDER
    assert [one.position for one in placed] == list(range(1, len(ORDER) + 5))
