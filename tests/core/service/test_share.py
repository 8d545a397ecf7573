"""What one user may take, with an end that is said, and what others take not counted."""

import asyncio

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import Caller
from core.service import share
from core.service.share import Pace, Quota, Shares
from tests.core.law.story import ADMIN, BUYER, SELLER, SERVICE
from tests.core.room import Room


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def taken(pace: Pace, who: Caller, calls: int) -> int:
    """Make so many calls at once; answer how many were let through."""
    passed, reasons = 0, set()
    for _ in range(calls):
        try:
            pace.take(who)
            passed += 1
        except Refusal as refusal:
            reasons.add(refusal.reason)
    assert reasons <= {Reason.TOO_MANY_CALLS}
    return passed


def test_a_user_has_two_seconds_calls_at_once_and_then_the_rate() -> None:
    clock = Clock()
    pace = Pace(Shares(calls_per_s=10), clock)
    assert taken(pace, BUYER, 50) == 20
    clock.s += 1
    assert taken(pace, BUYER, 50) == 10
    clock.s += 3_600
    assert taken(pace, BUYER, 50) == 20


def test_one_users_flood_takes_nothing_from_another() -> None:
    pace = Pace(Shares(calls_per_s=10), Clock())
    assert taken(pace, BUYER, 1_000) == 20
    assert taken(pace, SELLER, 20) == 20


@pytest.mark.parametrize("who", [SERVICE, ADMIN])
def test_services_and_admins_are_not_counted(who: Caller) -> None:
    assert taken(Pace(Shares(calls_per_s=1), Clock()), who, 100) == 100


def test_only_users_who_are_being_slowed_down_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "MAX_USERS", 3)
    clock = Clock()
    pace = Pace(Shares(calls_per_s=1), clock)
    taken(pace, BUYER, 10)
    for number in range(50):
        clock.s += 0.01
        pace.take(Caller(f"user-{number}"))
    assert len(pace._left) <= 3


async def create(room: Room, quota: Quota, who: Caller, buyer: str, seller: str) -> str:
    async with quota.creating(who, buyer, seller):
        return await room.create(buyer_id=buyer, seller_id=seller, caller=who)


async def refused(room: Room, quota: Quota, who: Caller, buyer: str, seller: str) -> bool:
    refusals = []
    try:
        await create(room, quota, who, buyer, seller)
    except Refusal as refusal:
        refusals.append(refusal.reason)
    assert refusals in ([], [Reason.TOO_MANY_UNPAID])
    return bool(refusals)


async def test_a_user_has_only_so_many_unpaid_escrows(room: Room) -> None:
    quota = Quota(room.store, Shares(unpaid=3, unpaid_towards=99))
    ids = [await create(room, quota, BUYER, "buyer-1", f"seller-{n}") for n in range(3)]
    assert await refused(room, quota, BUYER, "buyer-1", "seller-9")
    await room.tell(ids[0], c.CancelEscrow("A mistake."), BUYER)
    assert not await refused(room, quota, BUYER, "buyer-1", "seller-9")


async def test_a_user_has_fewer_with_one_counterparty(room: Room) -> None:
    quota = Quota(room.store, Shares(unpaid=99, unpaid_towards=2))
    for _ in range(2):
        await create(room, quota, BUYER, "buyer-1", "seller-1")
    assert await refused(room, quota, BUYER, "buyer-1", "seller-1")
    # Whichever side they are on.
    assert await refused(room, quota, BUYER, "seller-1", "buyer-1")
    assert not await refused(room, quota, BUYER, "buyer-1", "seller-2")


async def test_what_others_create_towards_a_user_counts_against_them_alone(room: Room) -> None:
    quota = Quota(room.store, Shares(unpaid=2, unpaid_towards=2))
    for _ in range(2):
        await create(room, quota, BUYER, "buyer-1", "seller-1")
    assert not await refused(room, quota, SELLER, "buyer-1", "seller-1")
    assert not await refused(room, quota, SERVICE, "buyer-1", "seller-1")


async def test_paid_escrows_do_not_count(room: Room) -> None:
    quota = Quota(room.store, Shares(unpaid=1, unpaid_towards=1))
    async with quota.creating(BUYER, "buyer-1", "seller-1"):
        await room.paid()
    assert not await refused(room, quota, BUYER, "buyer-1", "seller-1")


async def test_calls_that_are_made_at_once_do_not_pass_together(room: Room) -> None:
    quota = Quota(room.store, Shares(unpaid=5, unpaid_towards=5))
    tries = [refused(room, quota, BUYER, "buyer-1", "seller-1") for _ in range(20)]
    assert (await asyncio.gather(*tries)).count(False) == 5
