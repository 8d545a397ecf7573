import asyncio

import pytest

from core.heartbeat import JUST_S, until_pulse_s
from core.storage import database
from tests.core.room import open_room

EVERY_S = 0.1


async def test_loops_that_wait_for_the_same_pulse_share_one_trip(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = 0
    ride = database.ride

    async def counted(*arguments: object) -> object:
        nonlocal trips
        trips += 1
        return await ride(*arguments)  # type: ignore[arg-type]

    async with open_room(sqlite_url) as room:
        monkeypatch.setattr(database, "ride", counted)

        async def sleeps() -> None:
            await asyncio.sleep(until_pulse_s(EVERY_S))
            await room.store.is_owed(0)

        async def waits_for_a_ring() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(until_pulse_s(EVERY_S)):
                    await asyncio.Event().wait()
            await room.store.is_asked(0)

        loop = asyncio.get_running_loop()
        for _ in range(5):
            trips = 0
            began_s = loop.time()
            with pytest.MonkeyPatch.context() as standing:
                # Else a busy machine could let a pulse pass while they begin.
                standing.setattr(loop, "time", lambda now_s=began_s: now_s)
                looking = asyncio.gather(sleeps(), waits_for_a_ring(), sleeps())
                await asyncio.sleep(0)
            await looking
            assert trips == 1


@pytest.mark.parametrize(
    ("now_s", "wait_s"), [(40.0, 1.0), (40.25, 0.75), (40.999_999_9, 1.0), (41.000_000_1, 1.0)]
)
async def test_a_pulse_is_never_one_that_has_just_been(
    now_s: float, wait_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s)
    assert until_pulse_s(1.0) == pytest.approx(wait_s, abs=JUST_S)
