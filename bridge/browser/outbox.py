"""Frames on their way to the browsers: a bounded outbox for each socket, one flusher for all.

The frames that a socket gets in one turn of the loop leave in one write. They are encoded already
(frames.py) and bypass aiohttp's own writer. That is safe because no frame here is compressed or
fragmented.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from bridge.limits import Limits


class Outbox:
    """The frames that wait for one socket. Calls `on_overflow` when the reader is too slow."""

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
        # Whether the flusher has this outbox on its list.
        self.is_listed = False

    def put(self, wire: bytes, count: int = 1) -> None:
        """Queue `count` encoded frames. Does nothing once the outbox is closed."""
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
        if not self.is_listed:
            self._flusher.add(self)

    def flush(self) -> bool:
        """Write as much as the socket takes now; answer whether the outbox is empty."""
        transport = self._transport
        if transport.is_closing():
            self.close()
        while self._entries and transport.get_write_buffer_size() == 0:
            transport.write(self._batch())
        if not self._is_half_full:
            self._has_room.set()
        return not self._entries

    async def room(self) -> None:
        """Wait until at most half of the outbox is in use.

        Call `put` right after it: an await in between gives others the time to fill the outbox.
        """
        while self._is_half_full:
            self._has_room.clear()
            await self._has_room.wait()

    def finish(self, wire: bytes) -> None:
        """Write as much as the socket takes now, then `wire` as the last frame. Drop the rest."""
        self.flush()
        self.close()
        if not self._transport.is_closing():
            self._transport.write(wire)

    def close(self) -> None:
        """Drop what is queued, and ignore every later `put`."""
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
    """Writes every outbox that has frames, once per turn of the loop.

    Works in slices, so that one event to thousands of sockets does not block the loop. Tries an
    outbox whose socket takes nothing again after `stall_s`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Outbox] = deque()
        self._stalled: list[Outbox] = []
        self._scheduled = False
        self.frames_sent = 0

    def add(self, outbox: Outbox) -> None:
        """Schedule the outbox to be written."""
        outbox.is_listed = True
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
                outbox.is_listed = False
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
