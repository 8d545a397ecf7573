"""The one timer of all connections."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.browser.wheel import NOWHERE, Wheel
from bridge.limits import Limits
from tests.fakes.wait import running, until

TICK_S = 0.02


class Clockwork:
    """Something timed that notes when it was looked at, and answers what it was told to."""

    def __init__(self, *answers: float | None, fails: bool = False) -> None:
        self.slot = NOWHERE
        self.seen: list[float] = []
        self._after = list(answers)
        self._fails = fails

    def check(self, now: float) -> float | None:
        self.seen.append(now)
        if self._fails:
            raise RuntimeError("it is broken")
        after = self._after.pop(0) if self._after else None
        return None if after is None else now + after


@pytest.fixture
async def wheel() -> AsyncIterator[Wheel]:
    wheel = Wheel(replace(Limits(), tick_s=TICK_S))
    async with running(wheel.run()):
        yield wheel


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_it_looks_after_the_time_and_as_often_as_it_is_told_to(wheel: Wheel) -> None:
    timed, began = Clockwork(0.1, 0.05), now()
    wheel.put(timed, began + 0.1)
    await until(lambda: len(timed.seen) == 3)
    first, second, third = timed.seen
    assert first >= began + 0.1
    assert second >= first + 0.1
    assert third >= second + 0.05
    await asyncio.sleep(5 * TICK_S)
    assert len(timed.seen) == 3
    assert timed.slot == NOWHERE


async def test_what_is_overdue_is_looked_at_with_the_next_tick(wheel: Wheel) -> None:
    timed = Clockwork()
    wheel.put(timed, now() - 100)
    await until(lambda: len(timed.seen) == 1, limit_s=5)


async def test_what_was_removed_is_never_looked_at(wheel: Wheel) -> None:
    removed, other = Clockwork(), Clockwork()
    wheel.put(removed, now())
    wheel.put(other, now() + 2 * TICK_S)
    wheel.remove(removed)
    wheel.remove(removed)
    await until(lambda: other.seen)
    assert removed.seen == []


async def test_a_new_time_replaces_the_old_one(wheel: Wheel) -> None:
    earlier, later, mark = Clockwork(), Clockwork(), Clockwork()
    wheel.put(earlier, now() + 60)
    wheel.put(earlier, now())
    wheel.put(later, now())
    wheel.put(later, now() + 60)
    wheel.put(mark, now() + 3 * TICK_S)
    await until(lambda: mark.seen)
    assert len(earlier.seen) == 1
    assert later.seen == []


async def test_one_that_is_removed_by_another_in_the_same_tick_is_not_looked_at(
    wheel: Wheel,
) -> None:
    victim, mark = Clockwork(), Clockwork()

    class Remover(Clockwork):
        def check(self, now: float) -> float | None:
            wheel.remove(victim)
            return super().check(now)

    remover, due = Remover(), now()
    wheel.put(remover, due)
    wheel.put(victim, due)
    assert remover.slot == victim.slot
    wheel.put(mark, due + 3 * TICK_S)
    await until(lambda: mark.seen)
    assert len(remover.seen) == 1
    assert victim.seen == []


async def test_one_that_fails_stops_nobody_else(
    wheel: Wheel, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = Clockwork(fails=True), Clockwork()
    wheel.put(broken, now())
    wheel.put(other, now() + 2 * TICK_S)
    await until(lambda: other.seen)
    assert len(broken.seen) == 1
    assert broken.slot == NOWHERE
    assert "a connection could not be looked at" in caplog.text
