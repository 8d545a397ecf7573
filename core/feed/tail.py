"""The end of the feed, read once for all who follow it, and their cursors.

A reader owns a position, not a buffer: woken, it takes what comes after it, and waits again. What
is new is read once, without the events themselves, and wakes whom it concerns. The events come
from memory as far as this process has committed or read them. Who is behind reads the table, and
readers at the same place share that. A bell is a hint: a lost one costs time, never an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator
from typing import Literal, Protocol

from core.errors import Reason, Refusal, shutting_down
from core.heartbeat import beat, rest, until_pulse_s
from core.storage.position import ALL, Page, Place, Placed, Positions, Which

log = logging.getLogger(__name__)

# The newest places that are kept in memory, at least; up to twice as many are.
KEPT = 4_096
# Events that are read at once for a reader.
READ_LIMIT = 200
# Places that are read at once for all.
LOOK_LIMIT = 1_000
# How often the table is looked at without a bell.
SWEEP_S = 5.0
# How long a reader hears nothing before it gets a heartbeat.
HEARTBEAT_S = 15.0
# The pause while the database is away.
RETRY_S = 0.5


class Needs(Protocol):
    """Hears what is followed here: a user, or `feed` with no name for everything."""

    def add(self, kind: Literal["user", "feed"], name: str) -> None: ...

    def remove(self, kind: Literal["user", "feed"], name: str) -> None: ...


class Memory(Protocol):
    """Serialized events that this process has at hand, by escrow and version."""

    def known(self, escrow_id: str, version: int) -> bytes | None: ...

    def remember(self, escrow_id: str, version: int, body: bytes) -> None: ...


class _Group:
    """Those who follow one user, or everything, and the newest places of it, from `since` on."""

    __slots__ = ("places", "since", "wakes")

    def __init__(self, since: int) -> None:
        self.since = since
        self.places: list[Place] = []
        self.wakes: set[asyncio.Event] = set()

    def wake(self) -> None:
        for wake in self.wakes:
            wake.set()

    def trim(self, since: int) -> None:
        if since > self.since:
            self.since = since
            del self.places[: bisect_right(self.places, since, key=_position)]


def unknown() -> Refusal:
    """Make the refusal of a position that is beyond the newest one."""
    problem = "is beyond the newest position"
    text = f"after_position {problem}: was a backup restored? Read everything anew."
    return Refusal(Reason.POSITION_UNKNOWN, text, {"after_position": problem})


def _position(place: Place) -> int:
    return place.position


class Tail:
    """All readers of this process. `run` reads for them."""

    def __init__(self, positions: Positions, memory: Memory, needs: Needs) -> None:
        self._positions = positions
        self._memory = memory
        self._needs = needs
        # By user; everything under the empty name, as long as there is any reader.
        self._groups: dict[str, _Group] = {}
        self._newest = 0
        self._rung = asyncio.Event()
        self._wanted = asyncio.Event()
        self._begun = asyncio.Event()
        self._reading: dict[tuple[int, Which], asyncio.Task[Page]] = {}
        self._closed = False

    def ring(self) -> None:
        """There may be new positions."""
        self._rung.set()

    async def close(self) -> None:
        """End all readers, so that they come back to another server, and their reading."""
        self._closed = True
        self._begun.set()
        for group in self._groups.values():
            group.wake()
        if self._reading:
            await asyncio.wait(list(self._reading.values()))

    async def follow(
        self, after: int, which: Which = ALL, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncGenerator[Placed | int]:
        """Yield each event after a position, in the order of positions, for ever.

        Yields a position alone as soon as all up to it that is wanted has been yielded, and again
        whenever nothing else was for `heartbeat_s`. While the database is away it waits. Close the
        generator to stop. Raises Refusal POSITION_UNKNOWN and SHUTTING_DOWN, and
        STORAGE_UNAVAILABLE before the first event.
        """
        if after > await self._positions.newest():
            raise unknown()
        loop = asyncio.get_running_loop()
        with self._attended(which.user_id) as woken:
            await self._begun.wait()
            # At once when all that there was has been yielded.
            tell_at_s = 0.0
            while not self._closed:
                woken.clear()
                page = await self._page(after, which)
                for placed in page.placed:
                    yield placed
                if page.placed and tell_at_s:
                    tell_at_s = loop.time() + heartbeat_s
                after = page.reached
                if after < self._newest:
                    continue
                if loop.time() >= tell_at_s:
                    tell_at_s = loop.time() + heartbeat_s
                    yield after
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(tell_at_s):
                        await woken.wait()
        raise shutting_down()

    @contextlib.contextmanager
    def _attended(self, user_id: str) -> Iterator[asyncio.Event]:
        woken = asyncio.Event()
        kind: Literal["user", "feed"] = "user" if user_id else "feed"
        everything = self._groups.setdefault("", _Group(self._newest))
        group = self._groups.setdefault(user_id, _Group(self._newest)) if user_id else everything
        group.wakes.add(woken)
        self._needs.add(kind, user_id)
        self._wanted.set()
        if not self._begun.is_set():
            self._rung.set()
        try:
            yield woken
        finally:
            self._needs.remove(kind, user_id)
            group.wakes.discard(woken)
            if user_id and not group.wakes:
                del self._groups[user_id]
            if len(self._groups) == 1 and not everything.wakes:
                self._stop()

    def _stop(self) -> None:
        """Nobody follows any more: forget it all, and begin anew with the next reader."""
        self._groups.clear()
        self._wanted.clear()
        self._begun.clear()

    async def _page(self, after: int, which: Which) -> Page:
        """Read on: from memory as far as it reaches."""
        group = self._groups[which.user_id]
        is_near = after >= group.since
        if is_near:
            start = bisect_right(group.places, after, key=_position)
            places = group.places[start : start + READ_LIMIT]
            is_all = start + READ_LIMIT >= len(group.places)
            reached = max(after, self._newest) if is_all else places[-1].position
            page = self._known([one for one in places if which.takes(one)], reached)
            if page is not None:
                return page
        return await self._read(after, which, is_near)

    def _known(self, places: list[Place], reached: int) -> Page | None:
        """Put a page together from memory, up to the first event that is not there."""
        placed: list[Placed] = []
        for place in places:
            body = self._memory.known(place.escrow_id, place.version)
            if body is None:
                return Page(placed, placed[-1].position) if placed else None
            placed.append(Placed.of(place, body))
        return Page(placed, reached)

    async def _read(self, after: int, which: Which, is_near: bool) -> Page:
        """Read the table, once for all who ask the same at the same time."""
        key = (after, which)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read_table(after, which))
            reading.add_done_callback(lambda _: self._reading.pop(key))
        page = await asyncio.shield(reading)
        if is_near:  # Others want it too; who reads what is old must not push that out.
            for one in page.placed:
                self._memory.remember(one.escrow_id, one.version, one.body)
        return page

    async def _read_table(self, after: int, which: Which) -> Page:
        while not self._closed:
            newest = self._newest
            try:
                return await self._positions.after(after, READ_LIMIT, which, newest=newest)
            except Refusal:
                await asyncio.sleep(RETRY_S)
        return Page((), after)

    async def run(self, every_s: float = SWEEP_S) -> None:
        """Look for what is new whenever it is rung, as long as anybody follows; until cancelled."""
        is_away = False
        while True:
            beat()
            if not self._wanted.is_set():
                rest()
                await self._wanted.wait()
                beat()
            self._rung.clear()
            try:
                await self._look()
                is_away = False
            except Refusal as refusal:
                if not is_away:
                    log.warning("new positions could not be read: %s", refusal)
                is_away = True
                await asyncio.sleep(RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_pulse_s(every_s)):
                    await self._rung.wait()

    async def _look(self) -> None:
        if not self._begun.is_set():
            newest = await self._positions.newest()
            if not self._groups:
                return  # Whoever it was for has left meanwhile.
            self._newest = newest
            for group in self._groups.values():
                group.since = newest
            self._begun.set()
            # What has rung until now is looked for below.
            self._rung.clear()
        while True:
            places = await self._positions.places(self._newest, LOOK_LIMIT)
            if not (places and self._groups and self._begun.is_set()):
                return
            self._take(places)
            await asyncio.sleep(0)
            beat()

    def _take(self, places: list[Place]) -> None:
        """Keep what is new, and wake whom it concerns."""
        self._newest = places[-1].position
        everything = self._groups[""]
        everything.places += places
        for place in places:
            for user_id in place.parties:
                group = self._groups.get(user_id)
                if group is not None:
                    group.places.append(place)
                    group.wake()
        everything.wake()
        if len(everything.places) > 2 * KEPT:
            since = everything.places[-KEPT - 1].position
            for group in self._groups.values():
                group.trim(since)
