"""Everything that concerns one user: followers with a cursor for each of the user's escrows.

As in the feed, a bell only wakes; what comes is read after the cursor. An escrow that a follower
has never seen is read from its first event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass

from core.errors import Reason, Refusal
from core.execute import Committed
from core.heartbeat import beat
from core.law.escrow import Escrow
from core.law.status import FINAL
from core.live.feed import HEARTBEAT_S, SWEEP_S, Feed
from core.live.need import Need
from core.storage.store import Store

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# Snapshots that are loaded at once.
PAGE = 100
# Users whose changes one read looks for. Each such read passes over all that has changed lately.
MAX_USERS = 5_000
# Snapshots that one follower gets, the newest escrows first.
MAX_SNAPSHOTS = 10_000
# How far replicas' clocks may differ before a lost bell stays lost until the next event.
SKEW_S = 60.0
# How long bells wait that came while the database was away.
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class SnapshotsEnd:
    """The snapshots are over; `more` says that there are older open escrows beside them."""

    more: bool


class _Follower:
    """One stream: what it has been rung for and not yet looked at."""

    __slots__ = ("rung", "wake")

    def __init__(self) -> None:
        self.rung: dict[str, None] = {}
        self.wake = asyncio.Event()

    def ring(self, escrow_id: str) -> None:
        self.rung[escrow_id] = None
        self.wake.set()


class Followers:
    """All followers of this process, by user."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        *,
        now_us: Callable[[], int],
        need: Need | None = None,
    ) -> None:
        """`need` counts the followers."""
        self._store = store
        self._need = need or Need()
        self._feed = feed
        self._now_us = now_us
        self._followers: dict[str, set[_Follower]] = {}
        self._strange: set[str] = set()
        self._must_look = False
        # Users to compare with the table before the next sweep.
        self._unsure: set[str] = set()
        self._rung = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """End all followers, so that they come back to another server."""
        self._closed = True
        for follower in self._all():
            follower.wake.set()

    def publish(self, committed: Sequence[Committed]) -> None:
        """Wake whoever is concerned by what this process has committed."""
        if self._followers:
            for one in committed:
                self._ring(one.escrow_id, one.parties)

    def ring(self, escrow_id: str) -> None:
        """Another process says that an escrow has changed; whom it concerns is looked up."""
        if self._followers:
            self._strange.add(escrow_id)
            self._rung.set()

    def look(self) -> None:
        """Bells may have been missed: compare what is followed with the table at once."""
        self._must_look = True
        self._rung.set()

    def compare(self, user_ids: Collection[str]) -> None:
        """Bells of these may have been missed: compare what changed lately with the table soon."""
        self._unsure.update(user_ids)
        self._rung.set()

    def _ring(self, escrow_id: str, parties: Sequence[str]) -> None:
        for user_id in parties:
            for follower in self._followers.get(user_id, ()):
                follower.ring(escrow_id)

    def _all(self) -> list[_Follower]:
        return [one for followers in self._followers.values() for one in followers]

    async def follow(
        self, user_id: str, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncGenerator[Escrow | SnapshotsEnd | bytes | None]:
        """Yield a snapshot of each open escrow, then SnapshotsEnd, then serialized events.

        The newest escrows come first, at most MAX_SNAPSHOTS; events come of all, for ever.
        After `heartbeat_s` without any yields None. Close the generator to stop. Raises Refusal
        SHUTTING_DOWN, and STORAGE_UNAVAILABLE before the first event.
        """
        follower = _Follower()
        self._followers.setdefault(user_id, set()).add(follower)
        self._need.add("user", user_id)
        try:
            cursors = await self._store.versions_of(user_id)
            newest = await self._store.open_of(user_id, MAX_SNAPSHOTS + 1)
            for ids in _pages(newest[:MAX_SNAPSHOTS]):
                found = {escrow.escrow_id: escrow for escrow in await self._store.several(ids)}
                for escrow in (found[one] for one in ids):
                    # One that has just become final is told by its last event.
                    if escrow.status not in FINAL:
                        cursors[escrow.escrow_id] = escrow.version
                        yield escrow
            yield SnapshotsEnd(more=len(newest) > MAX_SNAPSHOTS)
            while not self._closed:
                follower.wake.clear()
                for escrow_id in list(follower.rung):
                    del follower.rung[escrow_id]
                    async for body in self._events(escrow_id, cursors):
                        yield body
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await follower.wake.wait()
                except TimeoutError:
                    yield None
            raise Refusal(Reason.SHUTTING_DOWN, "This server is about to go; watch again.")
        finally:
            self._need.remove("user", user_id)
            self._followers[user_id].discard(follower)
            if not self._followers[user_id]:
                del self._followers[user_id]

    async def _events(self, escrow_id: str, cursors: dict[str, int]) -> AsyncGenerator[bytes]:
        wait_s = 0.1
        while not self._closed:
            try:
                bodies = await self._feed.read(escrow_id, cursors.get(escrow_id, 0))
            except Refusal:
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
                continue
            if not bodies:
                return
            for body in bodies:
                cursors[escrow_id] = cursors.get(escrow_id, 0) + 1
                yield body

    async def sweep(self, every_s: float = SWEEP_S) -> None:
        """Look up whom others' bells concern, and what was never rung for; until cancelled."""
        loop = asyncio.get_running_loop()
        looked_us = self._now_us()
        # A time, not a span of silence: bells that never cease must not put it off.
        look_at_s = loop.time() + every_s
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at_s):
                    await self._rung.wait()
            self._rung.clear()
            if self._must_look or loop.time() >= look_at_s:
                self._must_look = False
                looked_us = await self._look_again(looked_us, list(self._followers))
                look_at_s = loop.time() + every_s
            elif self._unsure:
                unsure, self._unsure = self._unsure, set()
                await self._look_again(self._now_us(), unsure)
            if self._strange:
                await self._look_up()

    async def _look_up(self) -> None:
        strange, self._strange = self._strange, set()
        try:
            for escrow_id, parties in (await self._store.parties(strange)).items():
                self._ring(escrow_id, parties)
        except Refusal as refusal:
            log.warning("whom bells concern could not be read: %s", refusal)
            self._strange |= strange
            self._rung.set()
            await asyncio.sleep(RETRY_S)

    async def _look_again(self, looked_us: int, user_ids: Collection[str]) -> int:
        now_us = self._now_us()
        since_us = looked_us - round(SKEW_S * US_PER_S)
        try:
            for users in _pages(list(user_ids), MAX_USERS):
                for escrow_id, parties in (await self._store.changed_of(users, since_us)).items():
                    self._ring(escrow_id, parties)
        except Refusal as refusal:
            log.warning("followed escrows could not be compared: %s", refusal)
            return looked_us
        return now_us


def _pages(ids: list[str], size: int = PAGE) -> list[list[str]]:
    return [ids[i : i + size] for i in range(0, len(ids), size)]
