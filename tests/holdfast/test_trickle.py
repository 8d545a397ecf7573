"""A few of each kind pass, and the count of those that did not."""

from holdfast.trickle import KINDS, Trickle


def test_a_burst_passes_and_then_one_at_a_time_with_the_count() -> None:
    now = [100.0]
    trickle = Trickle(burst=3, every_s=10, clock_s=lambda: now[0])
    assert [trickle.admit("a") for _ in range(5)] == [0, 0, 0, None, None]
    assert trickle.admit("b") == 0
    now[0] += 9
    assert trickle.admit("a") is None
    now[0] += 1
    assert trickle.admit("a") == 3
    assert trickle.admit("a") is None
    now[0] += 1000
    assert [trickle.admit("a") for _ in range(4)] == [1, 0, 0, None]


def test_kinds_that_strangers_invent_share_one_allowance() -> None:
    trickle = Trickle(burst=1, every_s=10, clock_s=lambda: 0.0)
    admitted = [trickle.admit(f"kind {n}") for n in range(KINDS + 100)]
    assert admitted[:KINDS] == [0] * KINDS
    assert admitted[KINDS:] == [0] + [None] * 99
