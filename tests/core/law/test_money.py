"""Whole minor units: no paisa lost, none invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.law.money import MAX_AMOUNT_MINOR, MIN_AMOUNT_MINOR, fee_minor, is_movable, split_minor

amounts = st.integers(0, MAX_AMOUNT_MINOR)
rates = st.integers(0, 10_000)


@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_the_shares_add_up_to_the_total(total: int, weights: list[int]) -> None:
    shares = split_minor(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * whole - total * weight) < whole, "at most a paisa from the fair share"


def test_three_thirds_of_a_hundred_make_a_hundred() -> None:
    assert sorted(split_minor(100, [1, 1, 1])) == [33, 33, 34]


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1]), (1, [2, -1])])
def test_what_cannot_be_divided_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="split_minor"):
        split_minor(total, weights)


@given(amounts, rates)
def test_a_fee_leaves_the_seller_what_can_be_moved(release: int, bps: int) -> None:
    fee = fee_minor(release, bps)
    assert 0 <= fee * 10_000 <= release * bps
    if is_movable(release):
        assert is_movable(release - fee)


@pytest.mark.parametrize(
    ("release", "bps", "fee"),
    [
        (100_000, 250, 2_500),
        (39_999, 250, 999),
        (100_000, 0, 0),
        (99, 250, 0),
        (100, 250, 0),
        (103, 250, 2),
        (101, 10_000, 1),
        (199, 10_000, 99),
    ],
)
def test_fees_are_rounded_down_once(release: int, bps: int, fee: int) -> None:
    assert fee_minor(release, bps) == fee


@pytest.mark.parametrize(
    ("amount", "moves"),
    [
        (0, True),
        (1, False),
        (MIN_AMOUNT_MINOR - 1, False),
        (MIN_AMOUNT_MINOR, True),
        (-MIN_AMOUNT_MINOR, False),
        (MAX_AMOUNT_MINOR, True),
        (MAX_AMOUNT_MINOR + 1, False),
    ],
)
def test_razorpay_moves_nothing_or_at_least_its_minimum(amount: int, moves: bool) -> None:
    assert is_movable(amount) is moves
