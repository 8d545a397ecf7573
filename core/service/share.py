"""What one user may take: calls a second, and escrows that wait to be paid.

Must never limit services and admins, and never count what others do towards a user.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from core.errors import Reason, Refusal
from core.law.command import Caller
from core.storage.store import Store

# How many seconds' calls a user may make at once.
BURST_S = 2.0
# Users whose calls are counted; one whose allowance is whole again is forgotten first.
MAX_USERS = 10_000
_UNLIMITED = frozenset({"service", "admin"})


@dataclass(frozen=True, slots=True)
class Shares:
    """The limits for one user; each is a setting of core (LIMIT_…)."""

    calls_per_s: int = 500
    unpaid: int = 1_000
    unpaid_towards: int = 200


class Pace:
    """Counts each user's calls, as a bucket that fills at `calls_per_s`."""

    def __init__(self, shares: Shares, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = shares.calls_per_s
        self._most = shares.calls_per_s * BURST_S
        self._clock_s = clock_s
        # What is left to a user, and as of when.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: Caller) -> None:
        """Count a call. Raises Refusal TOO_MANY_CALLS."""
        if not who.roles.isdisjoint(_UNLIMITED):
            return
        now_s = self._clock_s()
        left = self._now_left(who.user_id, now_s)
        if left < 1:
            raise Refusal(
                Reason.TOO_MANY_CALLS,
                f"You make more than {self._per_s} calls a second; wait a second and try again.",
            )
        if len(self._left) >= MAX_USERS:
            self._forget(now_s)
        self._left[who.user_id] = (left - 1, now_s)

    def _now_left(self, user_id: str, now_s: float) -> float:
        left, then_s = self._left.get(user_id, (self._most, now_s))
        return min(self._most, left + (now_s - then_s) * self._per_s)

    def _forget(self, now_s: float) -> None:
        waiting = {one for one in self._left if self._now_left(one, now_s) < self._most}
        if len(waiting) >= MAX_USERS:
            waiting = (
                set()
            )  # One user cannot cause so many entries, so all begin with a full allowance.
        self._left = {one: self._left[one] for one in waiting}


class Quota:
    """Lets a user have only so many escrows that nobody has paid yet."""

    def __init__(self, store: Store, shares: Shares) -> None:
        self._store = store
        self._shares = shares
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def creating(self, who: Caller, buyer_id: str, seller_id: str) -> AsyncIterator[None]:
        """Allow one more escrow, which the block creates. Raises Refusal TOO_MANY_UNPAID.

        One user's escrows are created one after another in this process, so that calls made at
        once cannot all pass. Other replicas count by themselves: each may let one more through.
        """
        if not who.roles.isdisjoint(_UNLIMITED):
            yield
            return
        lock = self._locks.setdefault(who.user_id, asyncio.Lock())
        async with lock:
            other = seller_id if who.user_id == buyer_id else buyer_id
            await self._require(who.user_id, other)
            yield

    async def _require(self, user_id: str, other: str) -> None:
        most, towards = self._shares.unpaid, self._shares.unpaid_towards
        if await self._store.unpaid_of(user_id, limit=most) >= most:
            raise Refusal(
                Reason.TOO_MANY_UNPAID,
                f"You have {most} escrows that wait to be paid; cancel some, or wait until they"
                " are paid.",
            )
        if await self._store.unpaid_of(user_id, towards=other, limit=towards) >= towards:
            raise Refusal(
                Reason.TOO_MANY_UNPAID,
                f"You have {towards} escrows with {other} that wait to be paid; cancel some, or"
                " wait until they are paid.",
            )
