"""When a delivery is tried again."""

import itertools
import random

from core.webhooks.pace import US_PER_S, Pace

HOUR_US = 3_600 * US_PER_S


def tries(pace: Pace, chance: float) -> list[int]:
    """When a delivery is tried that always fails, in microseconds after the first try."""
    times, at = [0], 0
    while (after := pace.next_us(0, at, lambda: chance)) is not None:
        at = after
        times.append(at)
    return times


def test_it_is_tried_at_growing_intervals_for_three_days() -> None:
    for chance in (0.0, 0.5, 1.0):
        times = tries(Pace(), chance)
        assert times[-1] == 72 * HOUR_US
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert pauses[0] <= 7 * US_PER_S
        # Often in the first hour, when most outages end, and never more than 15 hours apart.
        assert sum(at < HOUR_US for at in times) >= 7
        assert max(pauses) <= 15 * HOUR_US
        assert pauses[:-1] == sorted(pauses[:-1])
        assert len(times) < 25


def test_many_that_failed_together_do_not_come_back_together() -> None:
    dice = random.Random(7)
    at = HOUR_US
    times = {Pace().next_us(0, at, dice.random) for _ in range(100)}
    assert len(times) > 90


def test_an_endpoint_that_asks_for_a_pause_gets_it_but_no_longer_than_the_three_days() -> None:
    assert Pace().next_us(0, 0, lambda: 0, retry_after_s=600) == 600 * US_PER_S
    late = 71 * HOUR_US
    assert Pace().next_us(0, late, lambda: 0, retry_after_s=86_400) == 72 * HOUR_US
