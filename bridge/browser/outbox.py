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

# The flusher looks at the clock once for so many outboxes.
AT_ONCE = 16


class Outbox:
    """The frames that wait for one socket. Calls `on_overflow` when the reader is too slow."""

    __slots__ = (
        "_bytes",
        "_closed",
        "_counts",
        "_flusher",
        "_frames",
        "_has_room",
        "_is_blocked",
        "_is_listed",
        "_limits",
        "_on_overflow",
        "_transport",
        "_wires",
    )

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
        # What waits, and how many frames each part of it holds.
        self._wires: list[bytes] = []
        self._counts: list[int] = []
        self._frames = 0
        self._bytes = 0
        self._closed = False
        # Whether the transport holds bytes that the socket did not take. It says when it has none.
        self._is_blocked = False
        # Whether the flusher has this outbox on its list.
        self._is_listed = False
        # Made only while somebody waits for room.
        self._has_room: asyncio.Event | None = None

    def put(self, wire: bytes, count: int = 1) -> None:
        """Queue `count` encoded frames. Does nothing once the outbox is closed."""
        if self._closed:
            return
        frames, size = self._frames + count, self._bytes + len(wire)
        limits = self._limits
        if frames > limits.outbox_frames or size > limits.outbox_bytes:
            if not self._makes_room(wire, count):
                return
            frames, size = self._frames + count, self._bytes + len(wire)
        self._frames, self._bytes = frames, size
        self._wires.append(wire)
        self._counts.append(count)
        if not self._is_listed and not self._is_blocked:
            self._is_listed = True
            self._flusher.add(self)

    def flush(self) -> None:
        """Write as much as the socket takes now."""
        self._is_listed = False
        if self._transport.is_closing():
            self.close()
        while self._wires and not self._is_blocked:
            self._transport.write(self._batch())
        if self._has_room is not None and not self._is_half_full:
            self._tell_room()

    def block(self) -> None:
        """Note that the socket takes nothing now."""
        self._is_blocked = True

    def unblock(self) -> None:
        """Note that the socket has taken what it was given: it gets more."""
        self._is_blocked = False
        if self._wires and not self._is_listed:
            self._is_listed = True
            self._flusher.add(self)

    async def room(self) -> None:
        """Wait until at most half of the outbox is in use.

        Call `put` right after it: an await in between gives others the time to fill the outbox.
        """
        while self._is_half_full:
            if self._has_room is None:
                self._has_room = asyncio.Event()
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
        self._wires.clear()
        self._counts.clear()
        self._frames = self._bytes = 0
        self._tell_room()

    @property
    def _is_half_full(self) -> bool:
        limits = self._limits
        return self._frames * 2 > limits.outbox_frames or self._bytes * 2 > limits.outbox_bytes

    def _makes_room(self, wire: bytes, count: int) -> bool:
        """Whether there is room once the socket has taken what it can."""
        is_listed = self._is_listed
        self.flush()
        self._is_listed = is_listed
        limits = self._limits
        if (
            self._frames + count <= limits.outbox_frames
            and self._bytes + len(wire) <= limits.outbox_bytes
        ):
            return not self._closed
        self._on_overflow()
        return False

    def _batch(self) -> bytes:
        wires = self._wires
        if self._bytes <= self._limits.write_bytes or len(wires) == 1:
            batch = wires[0] if len(wires) == 1 else b"".join(wires)
            self._flusher.frames_sent += self._frames
            wires.clear()
            self._counts.clear()
            self._frames = self._bytes = 0
            return batch
        return self._part()

    def _part(self) -> bytes:
        size = parts = 0
        for wire in self._wires:
            if parts and size + len(wire) > self._limits.write_bytes:
                break
            parts += 1
            size += len(wire)
        batch, frames = b"".join(self._wires[:parts]), sum(self._counts[:parts])
        del self._wires[:parts], self._counts[:parts]
        self._bytes -= size
        self._frames -= frames
        self._flusher.frames_sent += frames
        return batch

    def _tell_room(self) -> None:
        if self._has_room is not None:
            self._has_room.set()
            self._has_room = None


class Flusher:
    """Writes every outbox that has frames, once per turn of the loop.

    Works in slices, so that one event to thousands of sockets does not block the loop.
    """

    def __init__(self, limits: Limits) -> None:
        self._slice_s = limits.slice_s
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Outbox] = deque()
        self._scheduled = False
        self.frames_sent = 0

    def add(self, outbox: Outbox) -> None:
        """Schedule the outbox to be written."""
        self._ready.append(outbox)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        ready = self._ready
        end = perf_counter() + self._slice_s
        while ready and perf_counter() < end:
            for _ in range(min(AT_ONCE, len(ready))):
                ready.popleft().flush()
        self._scheduled = bool(ready)
        if ready:
            self._loop.call_soon(self._flush)
