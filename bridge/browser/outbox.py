"""Frames on their way to the browsers: a bounded outbox for each socket, one flusher for all.

The frames that a socket gets in one turn of the loop leave in one write. They are encoded already
(frames.py) and bypass aiohttp's own writer. That is safe because no frame here is compressed or
fragmented.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from bridge.limits import Limits

# Frames that go to more sockets than these may wait for others.
FEW = 64


class Parcel(Protocol):
    """Encoded frames that are sent together."""

    @property
    def wire(self) -> bytes:
        """The frames, with their headers."""
        ...

    @property
    def count(self) -> int:
        """How many frames they are."""
        ...


@dataclass(slots=True)
class Frames:
    """Frames for one socket."""

    wire: bytes
    count: int


class Outbox:
    """The frames that wait for one socket. Calls `on_overflow` when the reader is too slow."""

    __slots__ = (
        "_bytes",
        "_flusher",
        "_frames",
        "_has_room",
        "_is_blocked",
        "_is_closed",
        "_is_listed",
        "_limits",
        "_on_overflow",
        "_parcels",
        "_transport",
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
        self._parcels: list[Parcel] = []
        self._frames = 0
        self._bytes = 0
        self._is_closed = False
        # Whether the transport holds bytes that the socket did not take. It says when it has none.
        self._is_blocked = False
        # Whether the flusher has this outbox on its list.
        self._is_listed = False
        # Made only while somebody waits for room.
        self._has_room: asyncio.Event | None = None

    def put(self, wire: bytes, count: int = 1) -> None:
        """Queue `count` encoded frames. Does nothing once the outbox is closed."""
        self.add(Frames(wire, count))

    def add(self, parcel: Parcel) -> None:
        """Queue frames that others get as well. Does nothing once the outbox is closed."""
        if self._is_closed:
            return
        frames, size = self._frames + parcel.count, self._bytes + len(parcel.wire)
        limits = self._limits
        if frames > limits.outbox_frames or size > limits.outbox_bytes:
            if not self._makes_room(parcel):
                return
            frames, size = self._frames + parcel.count, self._bytes + len(parcel.wire)
        self._frames, self._bytes = frames, size
        self._parcels.append(parcel)
        if self._is_listed:
            self._flusher.has_news = True
        elif not self._is_blocked:
            self._is_listed = True
            self._flusher.add(self, parcel)

    def send(self, parcel: Parcel) -> None:
        """Write frames at once where none wait before them; queue them otherwise.

        For very many sockets: to come back to each of them later costs more than the write itself.
        """
        if self._parcels or self._is_blocked or self._is_closed or self._transport.is_closing():
            self.add(parcel)
            return
        self._transport.write(parcel.wire)
        self._flusher.frames_sent += parcel.count

    def flush(self) -> None:
        """Write as much as the socket takes now."""
        self._is_listed = False
        if self._transport.is_closing():
            self.close()
        while self._parcels and not self._is_blocked:
            self._transport.write(self._batch())
        if self._has_room is not None and not self._is_half_full:
            self._tell_room()

    def block(self) -> None:
        """Note that the socket takes nothing now."""
        self._is_blocked = True

    def unblock(self) -> None:
        """Note that the socket has taken what it was given: it gets more."""
        self._is_blocked = False
        if self._parcels and not self._is_listed:
            self._is_listed = True
            self._flusher.add(self, self._parcels[0])

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
        self._is_closed = True
        self._parcels.clear()
        self._frames = self._bytes = 0
        self._tell_room()

    @property
    def _is_half_full(self) -> bool:
        limits = self._limits
        return self._frames * 2 > limits.outbox_frames or self._bytes * 2 > limits.outbox_bytes

    def _makes_room(self, parcel: Parcel) -> bool:
        """Whether there is room once the socket has taken what it can."""
        is_listed = self._is_listed
        self.flush()
        self._is_listed = is_listed
        limits = self._limits
        if (
            self._frames + parcel.count <= limits.outbox_frames
            and self._bytes + len(parcel.wire) <= limits.outbox_bytes
        ):
            return not self._is_closed
        self._on_overflow()
        return False

    def _batch(self) -> bytes:
        parcels = self._parcels
        if len(parcels) > 1 and self._bytes > self._limits.write_bytes:
            return self._part()
        batch = parcels[0].wire if len(parcels) == 1 else b"".join([one.wire for one in parcels])
        self._flusher.frames_sent += self._frames
        parcels.clear()
        self._frames = self._bytes = 0
        return batch

    def _part(self) -> bytes:
        size = 0
        part: list[Parcel] = []
        for parcel in self._parcels:
            if part and size + len(parcel.wire) > self._limits.write_bytes:
                break
            part.append(parcel)
            size += len(parcel.wire)
        del self._parcels[: len(part)]
        frames = sum(parcel.count for parcel in part)
        self._bytes -= size
        self._frames -= frames
        self._flusher.frames_sent += frames
        return b"".join([parcel.wire for parcel in part])

    def _tell_room(self) -> None:
        if self._has_room is not None:
            self._has_room.set()
            self._has_room = None


class Flusher:
    """Writes every outbox that has frames, once per turn of the loop.

    Works in slices, so that one event to thousands of sockets does not block the loop. What goes to
    few sockets does not wait for what goes to many.
    """

    def __init__(self, limits: Limits) -> None:
        self._slice_s = limits.slice_s
        self._gather_s = limits.gather_s
        self._most_quiet_turns = limits.quiet_turns
        self._at_once = limits.at_once
        self._loop = asyncio.get_running_loop()
        # What was added since the last turn: the outboxes that got the same frames stand together.
        self._added: list[list[Outbox]] = []
        self._parcel: Parcel | None = None
        self._few: deque[Outbox] = deque()
        self._many: deque[Outbox] = deque()
        self._is_scheduled = False
        # Whether frames came since the last turn, how many turns have brought none, and until when
        # the many wait for more.
        self.has_news = False
        self._quiet_turns = 0
        self._gather_until = 0.0
        self.frames_sent = 0

    def add(self, outbox: Outbox, parcel: Parcel) -> None:
        """Schedule the outbox, which got `parcel`, to be written."""
        if parcel is not self._parcel:
            self._parcel = parcel
            self._added.append([])
        self._added[-1].append(outbox)
        self.has_news = True
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        now = perf_counter()
        self._sort()
        waiting = (self._few,) if self._gathers(now) else (self._few, self._many)
        end = now + self._slice_s
        while any(waiting):
            for outboxes in waiting:
                for _ in range(min(self._at_once, len(outboxes))):
                    outboxes.popleft().flush()
            # Looked at last: however short a slice is, each turn gets on.
            if perf_counter() >= end:
                break
        self._is_scheduled = bool(self._few or self._many)
        if self._is_scheduled:
            self._loop.call_soon(self._flush)

    def _sort(self) -> None:
        for outboxes in self._added:
            (self._few if len(outboxes) <= FEW else self._many).extend(outboxes)
        self._added.clear()
        self._parcel = None

    def _gathers(self, now: float) -> bool:
        """Whether the many wait a few turns, because more of a burst is on its way to them."""
        if self.has_news:
            if not self._gather_until:
                self._gather_until = now + self._gather_s
            self.has_news, self._quiet_turns = False, 0
        if (
            self._gather_until
            and self._quiet_turns < self._most_quiet_turns
            and now < self._gather_until
        ):
            self._quiet_turns += 1
            return bool(self._many)
        self._gather_until = 0.0
        return False
