"""One watched escrow: where it is, its last few events, and who is told of the next.

It keeps the last events so that a late subscriber joins without a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, Protocol

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service

from bridge.limits import Limits
from bridge.protocol import frames
from bridge.upstream.error import CoreError
from bridge.upstream.stream import Gap, Source, Subscriber
from holdfast.tokens import Identity

if TYPE_CHECKING:
    from bridge.upstream.ask import Ask
    from bridge.upstream.line import Line


# Events of one burst, at most: half of what may wait before the line does.
BURST = 32


class Viewer(Subscriber, Protocol):
    """A subscriber to one escrow, with the token with which it was let in, or a fresher one."""

    def deliver_burst(self, burst: frames.Burst) -> None:
        """Take the next events, of which it may have the first ones. It must not block."""

    @property
    def identity(self) -> Identity:
        """Who it is now."""
        ...


class Watched:
    """An escrow that somebody looks at. `Watches` makes it and ends it."""

    __slots__ = (
        "_delivery",
        "_history",
        "_reaching",
        "_snapshot",
        "_source",
        "asking",
        "due",
        "failures",
        "joining",
        "key",
        "line",
        "number",
        "refusal",
        "subscribers",
        "token",
        "version",
    )

    def __init__(self, escrow_id: str, source: Source) -> None:
        self.key = escrow_id
        # The newest version that is delivered, or being delivered, to every subscriber.
        self.version = 0
        # The version that core had when it was asked for the watch last.
        self.due = 0
        self.subscribers: set[Viewer] = set()
        # Those who are not subscribers yet.
        self.joining = 0
        # Why it has ended.
        self.refusal: CoreError | None = None
        # The token with which core was asked for it last.
        self.token = ""
        # Where it is open, and its number there; or else the question for it.
        self.line: Line | None = None
        self.number = 0
        self.asking: Ask | None = None
        # How often it has failed since its last event.
        self.failures = 0
        self._source = source
        self._history: list[frames.EventFrames] = []
        self._snapshot: bytes | None = None
        self._reaching: list[tuple[int, asyncio.Future[None]]] = []
        self._delivery: _Delivery | None = None

    def snapshot(self) -> bytes:
        """The escrow as JSON. It is encoded once per version."""
        if self._snapshot is None:
            self._snapshot = frames.snapshot(self._history[-1].escrow)
        return self._snapshot

    def since(self, version: int) -> Sequence[frames.EventFrames]:
        """Answer all events after a version (exclusive), or none if the history begins later."""
        if not self._history or self._history[0].version > version + 1:
            return ()
        return self._history[version + 1 - self._history[0].version :]

    def begin(self, opened: service.WatchOpened, after: int) -> None:
        """Take core's first answer: a snapshot, or else the events after `after` come next."""
        self.due = opened.version
        if opened.HasField("snapshot"):
            self.version = opened.version
            self._snapshot = frames.snapshot(opened.snapshot)
        elif not self.version:
            self.version = after

    async def take(self, event: pb.EscrowEvent) -> None:
        """Take the next event, and deliver it. Raises Gap."""
        if event.version <= self.version:
            return
        if event.version != self.version + 1:
            raise Gap(f"at {self.version}, got {event.version}")
        if self._delivery is not None:
            await self._delivery.room()
        self.failures = 0
        ready = self._source.encoder.encode(event)
        self._remember(ready)
        limits = self._source.limits
        if self._delivery is None and len(self.subscribers) > limits.inline_subscribers:
            self._delivery = _Delivery(self.subscribers, limits)
        if self._delivery is not None:
            self._delivery.put(ready)
        else:
            for subscriber in tuple(self.subscribers):
                subscriber.deliver(ready)
        if event.version > self.due:  # One that was missed says nothing of how long it takes.
            self._observe(event)

    async def reached(self, version: int) -> bool:
        """Wait until the watch is at a version; answer whether it is, and has not ended before.

        Raises CoreError if that takes longer than `core_busy_s`.
        """
        if self.version < version and self.refusal is None:
            future = asyncio.get_running_loop().create_future()
            self._reaching.append((version, future))
            try:
                async with asyncio.timeout(self._source.limits.core_busy_s):
                    await future
            except TimeoutError:
                raise CoreError("UNAVAILABLE", "Core is unavailable. Try again.") from None
        return self.refusal is None

    def end(self, error: CoreError) -> None:
        """End the watch for all who are left."""
        self.refusal = error
        self._tell_reached()
        if self._delivery is not None:
            self._delivery.stop()
        for subscriber in tuple(self.subscribers):
            subscriber.refused(error)

    def _remember(self, ready: frames.EventFrames) -> None:
        # Before any await, so that a subscriber that joins meanwhile joins after this event.
        self._history.append(ready)
        if len(self._history) > self._source.limits.history_events:
            del self._history[0]
        self.version, self._snapshot = ready.version, None
        if self._reaching:
            self._tell_reached()

    def _tell_reached(self) -> None:
        for version, future in self._reaching:
            if (self.version >= version or self.refusal is not None) and not future.done():
                future.set_result(None)
        self._reaching = [one for one in self._reaching if not one[1].done()]

    def _observe(self, event: pb.EscrowEvent) -> None:
        born = event.create_time.seconds + event.create_time.nanos / 1e9
        self._source.metrics.latency_s.observe(max(time() - born, 0.0))


class _Delivery:
    """Hands events to very many subscribers in slices, while the line goes on with others.

    What comes within a few turns of the loop is one burst: each socket is then written once for it.
    """

    def __init__(self, subscribers: set[Viewer], limits: Limits) -> None:
        self._subscribers = subscribers
        self._limits = limits
        self._events: deque[frames.EventFrames] = deque()
        self._has_room = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def room(self) -> None:
        """Wait until fewer events wait than the history keeps."""
        while len(self._events) >= self._limits.history_events:
            self._has_room.clear()
            await self._has_room.wait()

    def put(self, event: frames.EventFrames) -> None:
        self._events.append(event)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())

    def stop(self) -> None:
        self._events.clear()
        self._has_room.set()

    async def _run(self) -> None:
        await self._gather()
        while self._events:
            events = self._next()
            await self._deliver(frames.burst(events))
            for _ in range(min(len(events), len(self._events))):
                self._events.popleft()
            self._has_room.set()

    async def _gather(self) -> None:
        """Wait a few turns of the loop while they bring more of the burst."""
        end = perf_counter() + self._limits.gather_s
        quiet, known = 0, len(self._events)
        while quiet < self._limits.quiet_turns and perf_counter() < end:
            await asyncio.sleep(0)
            quiet, known = quiet + 1 if len(self._events) == known else 0, len(self._events)

    def _next(self) -> list[frames.EventFrames]:
        """The events that wait, as many as may be passed to the kernel at once."""
        size, taken = 0, list[frames.EventFrames]()
        for event in self._events:
            size += len(event.wire)
            if len(taken) == BURST or (taken and size > self._limits.write_bytes):
                break
            taken.append(event)
        return taken

    async def _deliver(self, burst: frames.Burst) -> None:
        end = perf_counter() + self._limits.slice_s
        for number, subscriber in enumerate(tuple(self._subscribers), start=1):
            subscriber.deliver_burst(burst)
            if not number % self._limits.at_once and perf_counter() >= end:
                await asyncio.sleep(0)
                end = perf_counter() + self._limits.slice_s
