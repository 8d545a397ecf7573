"""Watchers with a cursor: each gets every version of its escrow once, in order.

A watcher owns a cursor, not a buffer: rung, it reads what is after its version, hands it on and
waits again. The bell is a hint, the table is the truth: a lost bell costs time, never an event.
What this process has just committed, or has read for one watcher, is not read again for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence

from core.errors import Refusal, shutting_down
from core.execute import Committed
from core.heartbeat import beat, until_pulse_s
from core.law.escrow import Escrow
from core.live.bundle import Bundle
from core.live.fetch import Fetcher
from core.live.need import Need
from core.live.watched import Watched
from core.storage.store import Store

log = logging.getLogger(__name__)

# Serialized events kept in memory, a few kilobytes each.
CACHE_EVENTS = 8_192
# Events that a watcher reads at once.
READ_LIMIT = 200
# How often the versions of all watched escrows are compared with the table.
SWEEP_S = 5.0
# How long a stream is silent before it sends a heartbeat.
HEARTBEAT_S = 15.0


class Feed:
    """All watchers of this process."""

    def __init__(self, store: Store, need: Need | None = None) -> None:
        """`need` counts the escrows that are watched."""
        self._store = store
        self._need = need or Need()
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._watched: dict[str, Watched] = {}
        self._readings: set[asyncio.Task[list[bytes]]] = set()
        self._bundles: set[Bundle] = set()
        self._fetcher = Fetcher(store, self.remember)
        # How often bells may have been missed.
        self._looks = 0
        # Escrows to compare with the table before the next sweep.
        self._unsure: set[str] = set()
        self._doubted = asyncio.Event()
        self._closed = False

    async def close(self) -> None:
        """End all watchers, so that they come back to another server, and their reading."""
        self._closed = True
        for watched in self._watched.values():
            watched.wake()
        for bundle in self._bundles:
            bundle.close()
        await self._fetcher.close()
        if self._readings:
            await asyncio.wait(self._readings)

    def publish(self, committed: Sequence[Committed]) -> None:
        """Take over what this process has committed, and wake who waits for it."""
        for one in committed:
            self.remember(one.escrow_id, one.version, one.body)
        for one in committed:
            self.ring(one.escrow_id, one.version)

    def ring(self, escrow_id: str, version: int) -> None:
        """Wake the watchers of an escrow that somebody says has reached a version."""
        watched = self._watched.get(escrow_id)
        if watched is not None:
            watched.ring(version)

    async def watch(
        self, escrow_id: str, after: int, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncGenerator[tuple[int, bytes | None]]:
        """Yield (version, serialized event) for each version after `after`, for ever.

        After `heartbeat_s` without an event yields (current version, None). While the database is
        away it waits. Close the generator to stop watching. Raises Refusal SHUTTING_DOWN.
        """
        watched = self._find(escrow_id)
        watched.watchers += 1
        try:
            while True:
                if self._closed:
                    raise shutting_down()
                rung = watched.rung
                bodies = await self._read(escrow_id, after, watched)
                for body in bodies:
                    after += 1
                    yield after, body
                if bodies or watched.version > after:
                    continue
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await rung.wait()
                except TimeoutError:
                    yield after, None
        finally:
            watched.watchers -= 1
            self._forget(watched)

    @contextlib.contextmanager
    def bundle(self) -> Iterator[Bundle]:
        """Open what a stream of many watches needs. Remove its cursors before the block ends."""
        bundle = Bundle(
            cached=self._cached,
            fetch=self._fetcher.want,
            detach=lambda cursor: self._forget(cursor.watched),
        )
        self._bundles.add(bundle)
        if self._closed:
            bundle.close()
        try:
            yield bundle
        finally:
            self._bundles.discard(bundle)

    @contextlib.asynccontextmanager
    async def present(
        self, escrow_ids: Sequence[str]
    ) -> AsyncIterator[dict[str, tuple[Escrow, Watched]]]:
        """Load escrows, and find what cursors on them are added to, as long as the block lasts.

        Bells count from before the reading, so that nothing is missed between it and a cursor.
        Raises Refusal STORAGE_UNAVAILABLE.
        """
        held = {escrow_id: self._find(escrow_id) for escrow_id in escrow_ids}
        for watched in held.values():
            watched.watchers += 1
        try:
            looks = self._looks
            escrows = await self._store.several(list(held))
            found = {one.escrow_id: (one, held[one.escrow_id]) for one in escrows}
            if looks == self._looks:
                for escrow, watched in found.values():
                    watched.ring(escrow.version)
            yield found
        finally:
            for watched in held.values():
                watched.watchers -= 1
                self._forget(watched)

    def _find(self, escrow_id: str) -> Watched:
        watched = self._watched.get(escrow_id)
        if watched is None:
            watched = self._watched[escrow_id] = Watched(escrow_id)
            self._need.add("escrow", escrow_id)
        return watched

    def _forget(self, watched: Watched) -> None:
        is_idle = not watched.watchers and not watched.cursors
        if is_idle and self._watched.get(watched.escrow_id) is watched:
            del self._watched[watched.escrow_id]
            self._need.remove("escrow", watched.escrow_id)

    def _cached(self, escrow_id: str, after: int, most_bytes: float = math.inf) -> list[bytes]:
        bodies: list[bytes] = []
        while most_bytes > 0:
            body = self._cache.get((escrow_id, after + 1 + len(bodies)))
            if body is None:
                break
            bodies.append(body)
            most_bytes -= len(body)
        return bodies

    async def _read(self, escrow_id: str, after: int, watched: Watched) -> list[bytes]:
        """Read what is after a version: from memory, or once for all who ask at the same time."""
        bodies = self._cached(escrow_id, after)
        if bodies or 0 < watched.version <= after:
            return bodies
        underway = watched.reading
        reading = underway.get(after)
        if reading is None:
            reading = asyncio.create_task(self._read_table(escrow_id, after, watched))
            underway[after] = reading
            self._readings.add(reading)
            reading.add_done_callback(lambda _: underway.pop(after))
            reading.add_done_callback(self._readings.discard)
        return await asyncio.shield(reading)

    async def _read_table(self, escrow_id: str, after: int, watched: Watched) -> list[bytes]:
        wait_s = 0.1
        while True:
            try:
                bodies = await self._store.events_after(escrow_id, after, READ_LIMIT)
                break
            except Refusal:
                if self._closed:
                    return []
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
        for version, body in enumerate(bodies, start=after + 1):
            self.remember(escrow_id, version, body)
        if len(bodies) == READ_LIMIT:  # There may be more.
            watched.look()
        elif bodies:
            watched.ring(after + len(bodies))
        else:  # Which may also mean a cursor that is ahead of the escrow.
            watched.disprove(after)
        return bodies

    def known(self, escrow_id: str, version: int) -> bytes | None:
        """Answer a serialized event if it is in memory."""
        return self._cache.get((escrow_id, version))

    def remember(self, escrow_id: str, version: int, body: bytes) -> None:
        """Keep a serialized event in memory, as long as there is room."""
        self._cache[escrow_id, version] = body
        if len(self._cache) > CACHE_EVENTS:
            self._cache.popitem(last=False)

    def look(self) -> None:
        """Bells may have been missed: let every watcher read the table."""
        self._looks += 1
        for watched in self._watched.values():
            watched.look()

    def compare(self, escrow_ids: Collection[str]) -> None:
        """Bells of these may have been missed: compare them with the table soon."""
        self._unsure.update(escrow_ids)
        self._doubted.set()

    async def sweep(self, every_s: float = SWEEP_S) -> None:
        """Compare what is watched with the table, for ever: the safety net under every bell."""
        loop = asyncio.get_running_loop()
        sweep_at_s = loop.time() + until_pulse_s(every_s)
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(sweep_at_s):
                    await self._doubted.wait()
            self._doubted.clear()
            unsure, self._unsure = self._unsure, set()
            if loop.time() >= sweep_at_s:
                unsure = set(self._watched)
                sweep_at_s = loop.time() + until_pulse_s(every_s)
            if unsure:
                await self._compare(unsure)

    async def _compare(self, escrow_ids: Collection[str]) -> None:
        try:
            versions = await self._store.versions(escrow_ids)
        except Refusal as refusal:
            log.warning("watched versions could not be compared: %s", refusal)
            return
        for escrow_id, version in versions.items():
            self.ring(escrow_id, version)
