import asyncio
import time

from core import strain
from core.strain import Strain
from tests.fakes.wait import running, until


async def test_a_loop_that_is_held_up_is_busy_until_it_goes_on() -> None:
    measured = Strain()
    assert not measured.is_high
    async with running(measured.run()):

        async def hog() -> None:
            while True:
                time.sleep(0.1)  # noqa: ASYNC251 - a loop that is held up is what is tested
                await asyncio.sleep(0)

        hogging = asyncio.create_task(hog())
        await until(lambda: measured.is_high)
        hogging.cancel()
        await until(lambda: not measured.is_high)


def test_one_late_moment_counts_for_little() -> None:
    measured = Strain()
    measured.note(3 * strain.LATE_S)
    assert not measured.is_high
    measured.note(0.0)
    measured.note(10 * strain.LATE_S)
    assert measured.is_high
