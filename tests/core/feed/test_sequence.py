"""The sequencer: what is committed has its position soon, whoever has committed it."""

import logging
from collections.abc import Sequence

import pytest

from core.errors import Reason, Refusal
from core.execute import Committed
from core.feed import sequence
from core.feed.sequence import Sequencer
from tests.core.room import Room
from tests.core.storage.test_position import assert_in_order, busy, everything
from tests.fakes.wait import running, until

# A sweep that never looks by itself while a test lasts.
NEVER_S = 3_600.0


@pytest.mark.postgres
async def test_a_ring_gives_positions_at_once_and_the_sweep_what_was_not_rung_for(
    two_rooms: tuple[Room, Room],
) -> None:
    room, dead = two_rooms
    told: list[Sequence[Committed]] = []
    positions = room.store.positions
    sequencer = Sequencer(positions.give, told.append)
    async with running(sequencer.run(NEVER_S)):
        await room.create()
        sequencer.publish(room.batches[0])
        await until(lambda: told == [room.batches[0]])
        assert await positions.newest() == 1
    # This one belongs to a core that has died after its commit.
    await dead.create()
    async with running(sequencer.run(0.02)):
        await until(lambda: told == [room.batches[0], []])
    assert await positions.waiting() == (0, None)


@pytest.mark.postgres
async def test_more_than_one_slice_is_given_in_one_go(
    two_rooms: tuple[Room, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = two_rooms[0]
    monkeypatch.setattr(sequence, "SLICE", 1)
    counts = iter((1, 1, 1, 0))
    asked = 0

    async def give() -> int:
        nonlocal asked
        asked += 1
        return next(counts)

    sequencer = Sequencer(give, lambda _: None)
    sequencer.publish([])
    async with running(sequencer.run(NEVER_S)):
        await until(lambda: asked == 4)
    await busy(room, 3)
    await room.place()
    assert_in_order(await everything(room.store.positions))


async def test_a_database_that_is_away_is_asked_again_and_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sequence, "RETRY_S", 0.01)
    tries, told = 0, list[Sequence[Committed]]()
    committed = Committed("e-1", 1, b"", ("ann",))

    async def give() -> int:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "away")
        if tries == 4:
            raise AssertionError("something of ours")
        return 1

    sequencer = Sequencer(give, told.append)
    sequencer.publish([committed])
    async with running(sequencer.run(NEVER_S)):
        await until(lambda: told)
    # Whoever waits for it is rung for although the first tries have failed.
    assert told == [[committed]]
    levels = [one.levelno for one in caplog.records if one.name == sequence.__name__]
    assert levels == [logging.WARNING, logging.ERROR]
