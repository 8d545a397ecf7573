"""What waits to be read by the browsers: bounded for each, written for all in turn.

A socket's frames of one turn of the loop leave in one write. Frames enter ready (see frames.py);
writing them past aiohttp's own writer is safe because nothing here is compressed or fragmented.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from bridge.limits import Limits


class Outbox:
    """The frames of one socket. `on_overflow` is called once, when a reader is too slow."""

    def __init__(
        self,
        transport: asyncio.Transport,
        flusher: Flusher,
        limits: Limits,
        on_overflow: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._flusher = flusher
        self._limits = limits
        self._on_overflow = on_overflow
        self._entries: deque[tuple[bytes, int]] = deque()
        self._frames = 0
        self._bytes = 0
        self._closed = False
        self._has_room = asyncio.Event()
        self.listed = False

    def put(self, wire: bytes, count: int = 1) -> None:
        """Queue `count` frames for this turn's write; after the end they go nowhere."""
        if self._closed:
            return
        if self._overflows(wire, count):
            self.flush()
            if self._overflows(wire, count):
                self._on_overflow()
                return
        self._entries.append((wire, count))
        self._frames += count
        self._bytes += len(wire)
        if not self.listed:
            self._flusher.list(self)

    def flush(self) -> bool:
        """Write what the peer takes; answer whether nothing is left."""
        transport = self._transport
        if transport.is_closing():
            self.close()
        while self._entries and transport.get_write_buffer_size() == 0:
            transport.write(self._batch())
        if not self._is_half_full:
            self._has_room.set()
        return not self._entries

    async def room(self) -> None:
        """Wait until at most half of the outbox is in use. Who then puts at once, puts in time."""
        while self._is_half_full:
            self._has_room.clear()
            await self._has_room.wait()

    def finish(self, wire: bytes) -> None:
        """Write what the peer takes now and then `wire` as the last; the rest goes nowhere."""
        self.flush()
        self.close()
        if not self._transport.is_closing():
            self._transport.write(wire)

    def close(self) -> None:
        """Forget what is queued and take no more."""
        self._closed = True
        self._entries.clear()
        self._frames = self._bytes = 0
        self._has_room.set()

    @property
    def _is_half_full(self) -> bool:
        limits = self._limits
        return self._frames * 2 > limits.outbox_frames or self._bytes * 2 > limits.outbox_bytes

    def _overflows(self, wire: bytes, count: int) -> bool:
        limits = self._limits
        return (
            self._frames + count > limits.outbox_frames
            or self._bytes + len(wire) > limits.outbox_bytes
        )

    def _batch(self) -> bytes:
        batch: list[bytes] = []
        size = frames = 0
        while self._entries and (not batch or size + len(self._entries[0][0]) <= self._write_bytes):
            wire, count = self._entries.popleft()
            batch.append(wire)
            size += len(wire)
            frames += count
        self._bytes -= size
        self._frames -= frames
        self._flusher.frames_sent += frames
        return b"".join(batch)

    @property
    def _write_bytes(self) -> int:
        return self._limits.write_bytes


class Flusher:
    """Writes the outboxes that have something, once in a turn of the loop and in slices, so that
    one event to thousands of sockets does not hold the loop; looks again at those that stall."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Outbox] = deque()
        self._stalled: list[Outbox] = []
        self._scheduled = False
        self.frames_sent = 0

    def list(self, outbox: Outbox) -> None:
        """Have the outbox written in this turn."""
        outbox.listed = True
        self._ready.append(outbox)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        end = perf_counter() + self._limits.slice_s
        while self._ready:
            outbox = self._ready.popleft()
            if outbox.flush():
                outbox.listed = False
            else:
                self._stall(outbox)
            if perf_counter() > end:
                break
        if self._ready:
            self._schedule()

    def _stall(self, outbox: Outbox) -> None:
        if not self._stalled:
            self._loop.call_later(self._limits.stall_s, self._look_again)
        self._stalled.append(outbox)

    def _look_again(self) -> None:
        self._ready.extend(self._stalled)
        self._stalled.clear()
        self._schedule()
