import asyncio
import time

from core import strain
from core.strain import Strain


def under(calls: int) -> Strain:
    """Core with so many calls under way."""
    measured = Strain()
    for _ in range(calls):
        measured.call_began()
    return measured


async def hog() -> None:
    while True:
        time.sleep(2 * strain.LATE_S)  # noqa: ASYNC251 - a loop that is held up is what is tested
        await asyncio.sleep(0)


async def pauses(measured: Strain, pieces: int) -> list[float]:
    """How long after one another pieces pass that ask for a turn at once."""
    begin = time.monotonic()
    passed: list[float] = []

    async def piece() -> None:
        await measured.turn()
        passed.append(time.monotonic())

    await asyncio.gather(*(piece() for _ in range(pieces)))
    return [after - before for before, after in zip([begin, *passed], passed, strict=False)]


async def test_work_that_can_wait_goes_at_once_where_no_calls_are() -> None:
    hogging = asyncio.create_task(hog())
    assert sum(await pauses(under(strain.CALLS - 1), 5)) < strain.REST_S
    hogging.cancel()


async def test_it_rests_before_each_piece_while_calls_wait_for_the_loop() -> None:
    hogging = asyncio.create_task(hog())
    assert min(await pauses(under(strain.CALLS), 3)) >= strain.REST_S * 0.9
    hogging.cancel()


async def test_it_goes_at_once_when_the_calls_are_answered() -> None:
    hogging = asyncio.create_task(hog())
    measured = under(strain.CALLS)
    waiting = asyncio.create_task(pauses(measured, 50))
    await asyncio.sleep(strain.REST_S / 2)
    measured.call_ended()
    async with asyncio.timeout(10 * strain.REST_S):
        await waiting
    hogging.cancel()
