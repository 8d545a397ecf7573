"""Publishes every event to JetStream, in the order of positions; one core does it for all.

It begins where the stream ends, whatever was before: a crash at any moment, another publisher
whose lease had expired, NATS that was away. It owns no cursor, so none can be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import Counter
from collections.abc import Callable

from nats.aio.client import Client

from core.errors import Refusal
from core.heartbeat import beat
from core.live.need import Need
from core.nats.line import Line, admit, heed, say
from core.nats.stream import Foreign, Overtaken, Stream
from core.storage.store import Store
from core.storage.trip import duty

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
LEASE = "nats"
# How long one core has the work; it is kept in thirds of it.
LEASE_S = 15.0
# How often a core that has not got it tries.
TRY_EVERY_S = 3.0
# The pause after something has failed.
RETRY_S = 1.0
# The pause after somebody else has published.
OVERTAKEN_S = 0.1
# What giving the lease back at the end may take.
STOP_S = 1.0
# How often the table is read when nobody rings.
LOOK_EVERY_S = 1.0
# How often an idle publisher looks whether the stream is still as it left it.
CHECK_EVERY_S = 10.0
# Events that are published at once.
BATCH = 200


class Publisher:
    """The publisher of this core; it works while it has the lease."""

    def __init__(self, line: Line, store: Store, need: Need, *, now_us: Callable[[], int]) -> None:
        """`need` is told while this core publishes, and so has to hear of new positions."""
        self._line = line
        self._store = store
        self._need = need
        self._now_us = now_us
        self._lease_id = uuid.uuid4().hex
        self._keep_at_s = 0.0
        self._rung = asyncio.Event()
        # Why events do not get to the stream although NATS is there; empty while they do.
        self.problem = ""
        # How far the stream is, while this core publishes.
        self.position: int | None = None
        # Events by what became of them.
        self.outcomes: Counter[str] = Counter()

    def ring(self) -> None:
        """There are new positions."""
        self._rung.set()

    async def run(self) -> None:
        """Publish while this core has the lease, until cancelled."""
        try:
            while True:
                heed()
                client = await self._line.client()
                beat()
                await asyncio.sleep(await self._try(client))
        finally:
            await self._give_back()

    async def _try(self, client: Client) -> float:
        """Publish as long as it goes well; answer how long to wait."""
        try:
            if not await self._has_lease():
                self.problem = ""
                return TRY_EVERY_S
            self._need.add("feed", "")
            try:
                await self._publish(client)
            finally:
                self.position = None
                self._need.remove("feed", "")
        except Overtaken:
            self.outcomes["overtaken"] += 1
            return OVERTAKEN_S
        except Refusal:
            return RETRY_S  # The database is away, as the store's condition says.
        except Foreign as error:
            self.problem = str(error)
        except Exception as error:
            admit(error)
            # Where the connection itself is at fault, the line says so.
            self.problem = say(error) if self._line.is_current(client) else ""
        return RETRY_S

    async def _publish(self, client: Client) -> None:
        loop, stream = asyncio.get_running_loop(), Stream(client)
        end = await stream.open()
        await self._require_same(stream, end)
        check_at_s = loop.time() + CHECK_EVERY_S
        while self._line.is_current(client) and await self._has_lease():
            heed()
            beat()
            self.position = end
            self._rung.clear()
            placed = (await self._store.positions.after(end, BATCH)).placed
            if not placed:
                self.problem = ""
                await self._wait()
                if loop.time() >= check_at_s:
                    check_at_s = loop.time() + CHECK_EVERY_S
                    if await stream.open() != end:
                        raise Overtaken
                continue
            if placed[0].position != end + 1:
                raise Foreign(f"the database has no event at position {end + 1}")
            await stream.append(placed)
            self.problem = ""
            self.outcomes["published"] += len(placed)
            end = placed[-1].position

    async def _require_same(self, stream: Stream, end: int) -> None:
        """Raise Foreign where what stands last in the stream is not what stands here."""
        if not end:
            return
        placed = (await self._store.positions.after(end - 1, 1)).placed
        if not placed or placed[0].position != end:
            raise Foreign(
                f"the stream has {end} events, and the database fewer: was an older copy of it"
                " restored? What was lost stands in the stream; delete the stream to begin anew"
            )
        published = await stream.event(end)
        if published is not None and published != placed[0].body:
            raise Foreign(
                f"the stream has another event at position {end} than the database: it belongs to"
                " another one. Give each its own account of NATS, or delete the stream"
            )

    async def _has_lease(self) -> bool:
        """Take or keep the lease; writes only when a third of its time is over."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._keep_at_s:
            return True
        now_us = self._now_us()
        until_us = now_us + round(LEASE_S * US_PER_S)
        is_ours = await self._store.transact(
            duty.take(LEASE, self._lease_id, now_us=now_us, until_us=until_us)
        )
        self._keep_at_s = loop.time() + LEASE_S / 3 if is_ours else 0.0
        return is_ours

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._rung.wait()

    async def _give_back(self) -> None:
        """End in good order, so that another core need not wait for the end of the lease."""
        if self._keep_at_s:
            with contextlib.suppress(Refusal, TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._store.transact(duty.give_back(LEASE, self._lease_id))
