"""Everything that concerns one user, or everything there is: first snapshots, then the feed.

An event that a snapshot has shown already is left out, by its version; nothing else is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from core.feed.tail import HEARTBEAT_S, Tail
from core.law.escrow import Escrow
from core.law.status import FINAL
from core.storage.position import Placed, Which
from core.storage.store import Store

# Snapshots that are loaded at once.
PAGE = 100
# Snapshots that one follower gets, the newest escrows first.
MAX_SNAPSHOTS = 10_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An escrow as it stands at a position, or at a later one."""

    escrow: Escrow
    position: int


@dataclass(frozen=True, slots=True)
class SnapshotsEnd:
    """The snapshots are over; `more` says that there are older ones beside them."""

    more: bool
    position: int


Told = Snapshot | SnapshotsEnd | Placed | int


class Followers:
    """Those who follow a user or everything in this process."""

    def __init__(self, store: Store, tail: Tail) -> None:
        self._store = store
        self._tail = tail

    async def follow(
        self, user_id: str, after: int | None = None, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncGenerator[Told]:
        """Yield what a follower of a user is told; of everything where `user_id` is empty.

        With `after` that is every event after that position (exclusive), and a position alone when
        all of them have come. Without it, a Snapshot of each escrow of the user that has not ended,
        or of each of all that needs attention: the newest first, at most MAX_SNAPSHOTS. Then
        SnapshotsEnd, then every event after them. After `heartbeat_s` without any, the position.
        Close the generator to stop. Raises Refusal POSITION_UNKNOWN and SHUTTING_DOWN, and
        STORAGE_UNAVAILABLE before the first event.
        """
        shown: dict[str, int] = {}
        is_level = after is not None
        if after is None:
            # Before the snapshots: what is committed while they are read has a later position.
            after = await self._store.positions.newest()
            newest = await self._which(user_id)
            for ids in _pages(newest[:MAX_SNAPSHOTS]):
                for escrow in await self._load(user_id, ids):
                    shown[escrow.escrow_id] = escrow.version
                    yield Snapshot(escrow, after)
            yield SnapshotsEnd(len(newest) > MAX_SNAPSHOTS, after)
        following = self._tail.follow(after, Which(user_id), heartbeat_s=heartbeat_s)
        async with aclosing(following) as items:
            async for item in items:
                if isinstance(item, int):
                    # The first one says what SnapshotsEnd has said.
                    if is_level:
                        yield item
                    is_level = True
                elif not _was_shown(item, shown):
                    yield item

    async def _which(self, user_id: str) -> list[str]:
        if user_id:
            return await self._store.open_of(user_id, MAX_SNAPSHOTS + 1)
        return await self._store.worrying(MAX_SNAPSHOTS + 1)

    async def _load(self, user_id: str, ids: Sequence[str]) -> list[Escrow]:
        found = {escrow.escrow_id: escrow for escrow in await self._store.several(ids)}
        escrows = [found[one] for one in ids]
        # What has just ended, or needs nobody any more, is told by its events.
        if user_id:
            return [escrow for escrow in escrows if escrow.status not in FINAL]
        return [escrow for escrow in escrows if escrow.attentions]


def _was_shown(placed: Placed, shown: dict[str, int]) -> bool:
    version = shown.get(placed.escrow_id)
    if version is None:
        return False
    if placed.version >= version:
        del shown[placed.escrow_id]
    return placed.version <= version


def _pages(ids: list[str]) -> list[list[str]]:
    return [ids[i : i + PAGE] for i in range(0, len(ids), PAGE)]
