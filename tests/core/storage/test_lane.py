import asyncio
from collections.abc import Sequence

import pytest

from core.storage.lane import MAX_TOGETHER, Lane, Outcome


class Trips:
    """Trips that end when they are told to: what each took along."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.may_end = asyncio.Semaphore(0)

    async def __call__(self, jobs: Sequence[int]) -> list[Outcome]:
        self.made.append(list(jobs))
        await self.may_end.acquire()
        return [(job * 10, None) for job in jobs]


async def test_what_comes_during_a_trip_is_the_next_one() -> None:
    trips = Trips()
    lane = Lane(trips)
    calls = [asyncio.create_task(lane.go(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls += [asyncio.create_task(lane.go(job)) for job in (2, 3)]
    await asyncio.sleep(0)
    trips.may_end.release()
    trips.may_end.release()
    assert await asyncio.gather(*calls) == [10, 20, 30]
    assert trips.made == [[1], [2, 3]]


async def test_a_trip_takes_so_many_at_most() -> None:
    trips = Trips()
    lane = Lane(trips)
    many = range(MAX_TOGETHER + 1)
    calls = [asyncio.create_task(lane.go(job)) for job in many]
    trips.may_end.release()
    trips.may_end.release()
    assert await asyncio.gather(*calls) == [job * 10 for job in many]
    assert [len(jobs) for jobs in trips.made] == [MAX_TOGETHER, 1]


async def test_a_caller_that_is_cancelled_breaks_nothing_off() -> None:
    trips = Trips()
    lane = Lane(trips)
    first, second = (asyncio.create_task(lane.go(job)) for job in (1, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(lane.go(3))
    await asyncio.sleep(0)
    first.cancel()
    late.cancel()
    trips.may_end.release()
    assert await second == 20
    assert trips.made == [[1, 2]], "one that is cancelled while it waits is not done"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_trip_that_fails_fails_for_all_and_the_next_one_goes() -> None:
    failures: list[Exception] = [OSError("the disk is gone")]

    async def travel(jobs: Sequence[int]) -> list[Outcome]:
        if failures:
            raise failures.pop()
        return [(job, None) for job in jobs]

    lane = Lane(travel)
    answers = await asyncio.gather(lane.go(1), lane.go(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert await lane.go(3) == 3


async def test_one_outcome_that_is_an_error_leaves_the_others_alone() -> None:
    async def travel(jobs: Sequence[int]) -> list[Outcome]:
        return [(None, ValueError(job)) if job == 2 else (job, None) for job in jobs]

    lane = Lane(travel)
    answers = await asyncio.gather(*map(lane.go, (1, 2, 3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ValueError, int]


async def test_closing_waits_for_the_trip_under_way() -> None:
    trips = Trips()
    lane = Lane(trips)
    call = asyncio.create_task(lane.go(1))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0)
    closing = asyncio.create_task(lane.arrive())
    await asyncio.sleep(0)
    trips.may_end.release()
    await closing
    assert all(task is asyncio.current_task() for task in asyncio.all_tasks())


async def test_a_trip_that_is_cancelled_before_it_begins_lets_nobody_wait() -> None:
    trips = Trips()
    lane = Lane(trips)
    before = asyncio.all_tasks()
    call = asyncio.create_task(lane.go(1))
    await asyncio.sleep(0)
    (going,) = asyncio.all_tasks() - before - {call}
    going.cancel()
    await asyncio.wait_for(lane.arrive(), timeout=1)
    with pytest.raises(asyncio.CancelledError):
        await call
    trips.may_end.release()
    assert await lane.go(2) == 20
    assert trips.made == [[2]]


async def test_a_trip_that_is_cancelled_on_its_way_lets_nobody_wait() -> None:
    trips = Trips()
    lane = Lane(trips)
    before = asyncio.all_tasks()
    calls = [asyncio.create_task(lane.go(1))]
    await asyncio.sleep(0)
    (going,) = asyncio.all_tasks() - before - set(calls)
    await asyncio.sleep(0)
    calls.append(asyncio.create_task(lane.go(2)))
    await asyncio.sleep(0)
    going.cancel()
    await asyncio.wait_for(lane.arrive(), timeout=1)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    trips.may_end.release()
    assert await lane.go(3) == 30
