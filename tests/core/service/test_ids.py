"""Ids of new escrows: version 7 of RFC 9562, in the order of time, and not to be guessed."""

import uuid

import pytest

from core.service.ids import NewIds

# RFC 9562, appendix A.6: 2022-02-22 14:22:22 in New York, and its random bits.
RFC_MS = 0x017F22E279B0
RFC_RAND_A = 0xCC3
RFC_RAND_B = 0x18C4DC0C0C07398F
RFC_ID = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_it_is_laid_out_as_the_rfc_says() -> None:
    # The fraction of a millisecond that gives the RFC's random bits is 797 µs.
    ids = NewIds(lambda: RFC_MS * 1_000 + 797, lambda bits: RFC_RAND_B)
    made = uuid.UUID(ids())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == RFC_MS
    assert abs((made.int >> 64 & 0xFFF) - RFC_RAND_A) <= 4
    assert str(made)[19:] == RFC_ID[19:]


@pytest.mark.parametrize("step_us", [0, 1, 1_000, -5_000_000], ids=str)
def test_each_is_greater_than_the_one_before_whatever_the_clock_does(step_us: int) -> None:
    times = iter(1_700_000_000_000_000 + step_us * at for at in range(10_000))
    ids = NewIds(lambda: next(times))
    made = [ids() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(one).version for one in made} == {7}


def test_later_microseconds_make_greater_ids_in_different_processes() -> None:
    def at(time_us: int) -> str:
        return NewIds(lambda: time_us, lambda bits: (1 << bits) - 1)()

    def least(time_us: int) -> str:
        return NewIds(lambda: time_us, lambda bits: 0)()

    start = 1_700_000_000_000_000
    assert all(at(start + us) < least(start + us + 1) for us in range(2_000))


def test_the_rest_is_random_in_each() -> None:
    ids = NewIds(lambda: 1_700_000_000_000_000)
    rests = [uuid.UUID(ids()).int & ((1 << 62) - 1) for _ in range(1_000)]
    assert len(set(rests)) == len(rests)
    # Each of the 62 bits is set in about half: none is fixed.
    for bit in range(62):
        assert 300 < sum(rest >> bit & 1 for rest in rests) < 700
