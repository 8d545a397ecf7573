"""The shared stream of one escrow, for all sockets that subscribe to it.

A *watch* is core's WatchEscrow with an `escrow_id`. It keeps the last few events, so that a late
subscriber joins without a gap. When core goes away, the watch resumes by version; its subscribers
do not notice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from time import perf_counter

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service

from bridge.protocol import frames
from bridge.upstream.channel import CoreError
from bridge.upstream.stream import Gap, Source, Stream, Streams


class Watch(Stream):
    """The stream of one escrow. `Watches` makes it and counts its holders."""

    def __init__(self, escrow: pb.Escrow, source: Source, stream_count: Callable[[], int]) -> None:
        super().__init__(escrow.escrow_id, source, stream_count)
        self.escrow = escrow
        self._history: deque[frames.EventFrames] = deque(maxlen=self._limits.history_events)
        self._snapshot: tuple[int, bytes] | None = None

    @property
    def version(self) -> int:
        """The newest version that is delivered, or being delivered, to every subscriber."""
        return self.escrow.version

    def snapshot(self) -> bytes:
        """The escrow as JSON. It is encoded once per version."""
        if self._snapshot is None or self._snapshot[0] != self.version:
            self._snapshot = (self.version, frames.snapshot(self.escrow))
        return self._snapshot[1]

    def since(self, version: int) -> Sequence[frames.EventFrames]:
        """Answer all events after a version (exclusive), or none if the history begins later."""
        if not self._history or self._history[0].version > version + 1:
            return ()
        return [event for event in self._history if event.version > version]

    async def _once(self) -> None:
        async with aclosing(self._core.watch(self.key, self.version)) as messages:
            async for message in messages:
                await self._take(message)
                self._note_success()

    def _is_final(self, error: CoreError) -> bool:
        return error.code == "NOT_FOUND"

    async def _take(self, message: service.WatchEscrowResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "event":
            await self._publish(message.event)
        elif kind == "heartbeat" and message.heartbeat.version > self.version:
            raise Gap(f"at {self.version}, core at {message.heartbeat.version}")

    async def _publish(self, event: pb.EscrowEvent) -> None:
        if event.version <= self.version:
            return
        if event.version != self.version + 1:
            raise Gap(f"at {self.version}, got {event.version}")
        ready = self._source.encoder.encode(event)
        # Before the first await, so that a subscriber that joins meanwhile joins after this event.
        self._history.append(ready)
        self.escrow = event.escrow
        end = perf_counter() + self._limits.slice_s
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(ready)
            if perf_counter() > end:
                await asyncio.sleep(0)
                end = perf_counter() + self._limits.slice_s
        self._observe(event)


class Watches(Streams[Watch]):
    """All watches, by escrow."""

    def hold(self, escrow: pb.Escrow) -> Watch:
        """Find or open the watch of an escrow, from the escrow's version on, and keep it open
        until `release`. Raises CoreError (UNAVAILABLE) when there are too many."""
        return self._hold(escrow.escrow_id, lambda: Watch(escrow, self.source, self.count))
