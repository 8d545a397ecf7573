"""Streams from core that many sockets share, and what they have in common with watches.

A stream is found by its key, opened again when it breaks, and closed a little after its last
holder.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import time
from typing import Generic, Protocol, TypeVar

import structlog
from escrow.v1 import escrow_pb2 as pb

from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.protocol import frames
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError

_log = structlog.get_logger("bridge.upstream.stream")


class Subscriber(Protocol):
    """Receives the events of a stream. Neither method may block."""

    def deliver(self, event: frames.EventFrames) -> None:
        """Take the next event."""

    def refused(self, error: CoreError) -> None:
        """Core has refused the stream for good: there will be no more events."""


class Gap(Exception):
    """An event is missing from core's stream, which has to be opened again."""


class Encoder:
    """Encodes each event once, for all streams that deliver it."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._ready: OrderedDict[tuple[str, int, bytes, int], frames.EventFrames] = OrderedDict()

    def encode(self, event: pb.EscrowEvent, position: int = 0) -> frames.EventFrames:
        """Encode an event, for those who follow everything with its position."""
        key = (event.escrow_id, event.version, event.hash, position)
        ready = self._ready.get(key)
        if ready is None:
            if position:
                ready = frames.at(self.encode(event), position)
            else:
                ready = frames.event_frames(event)
            self._ready[key] = ready
            if len(self._ready) > self._events:
                self._ready.popitem(last=False)
        return ready


@dataclass(frozen=True, slots=True)
class Source:
    """What all streams share."""

    core: Core
    limits: Limits
    metrics: Metrics
    encoder: Encoder


class Stream(ABC):
    """One stream from core. It is opened again whenever it ends, until it is closed or refused."""

    def __init__(self, key: str, source: Source, stream_count: Callable[[], int]) -> None:
        self.key = key
        self.subscribers: set[Subscriber] = set()
        self.holds = 0
        # The error with which core has refused it for good.
        self.refusal: CoreError | None = None
        self._source = source
        self._core = source.core
        self._limits = source.limits
        self._stream_count = stream_count
        self._failures = 0
        self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    @abstractmethod
    async def _once(self) -> None:
        """Open the stream and deliver its events; call `_note_success` when it works.

        Returns when the stream ends, or raises CoreError or Gap.
        """

    @abstractmethod
    def _is_final(self, error: CoreError) -> bool:
        """Whether opening the stream again would not help."""

    def _note_success(self) -> None:
        self._failures = 0

    async def _live(self) -> None:
        while self.refusal is None:
            try:
                await self._once()
            except CoreError as error:
                self._note_failure(error)
            except Gap as gap:
                _log.error("a gap in core's stream", stream=self.key, gap=str(gap))
            self._failures += 1
            while not self._core.connected:
                with suppress(CoreError):
                    await self._core.wait(self._limits.core_wait_s)
            await asyncio.sleep(self._pause_s())

    def _note_failure(self, error: CoreError) -> None:
        if self._is_final(error):
            self._end(error)
        elif not error.away and self._failures & (self._failures - 1) == 0:
            # Logged at the 1st, 2nd, 3rd, 5th, 9th … failure: all streams may fail at once.
            _log.error("core refuses a stream", code=error.code, reason=error.reason)

    def _end(self, error: CoreError) -> None:
        self.refusal = error
        for subscriber in tuple(self.subscribers):
            subscriber.refused(error)

    def _pause_s(self) -> float:
        """Exponential back-off with jitter.

        The first attempts are spread over a time that grows with the number of streams, so that a
        restarted core does not get all of them at once.
        """
        limits = self._limits
        if self._failures == 1:
            spread_s = min(limits.resume_spread_s, self._stream_count() / limits.resumes_per_s)
            return random.uniform(0, max(spread_s, limits.backoff_first_s))  # noqa: S311
        most_s = min(limits.backoff_last_s, limits.backoff_first_s * 2 ** min(self._failures, 16))
        return random.uniform(most_s / 2, most_s)  # noqa: S311

    def _observe(self, event: pb.EscrowEvent) -> None:
        born = event.create_time.seconds + event.create_time.nanos / 1e9
        self._source.metrics.latency_s.observe(max(time() - born, 0.0))


S = TypeVar("S", bound=Stream)


class Streams(Generic[S]):
    """All streams of one kind, by key; at most `most` of them."""

    def __init__(self, source: Source, most: int) -> None:
        self.source = source
        self._most = most
        self._streams: dict[str, S] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def count(self) -> int:
        return len(self._streams)

    def release(self, stream: S) -> None:
        """Release a hold. After the last one the stream is closed, `linger_s` later."""
        stream.holds -= 1
        if stream.holds == 0:
            linger_s = self.source.limits.linger_s
            asyncio.get_running_loop().call_later(linger_s, self._end_unheld, stream)

    async def close(self) -> None:
        streams = list(self._streams.values())
        self._streams.clear()
        await asyncio.gather(*(stream.close() for stream in streams), *self._closing)

    def _hold(self, key: str, make: Callable[[], S]) -> S:
        """Find or open a stream, and keep it open until `release`. Raises CoreError (UNAVAILABLE)
        when there are too many."""
        stream = self._streams.get(key)
        if stream is None or stream.refusal is not None:
            if len(self._streams) >= self._most:
                raise CoreError("UNAVAILABLE", "This bridge has too many streams open.")
            stream = self._streams[key] = make()
        stream.holds += 1
        return stream

    def _end_unheld(self, stream: S) -> None:
        if stream.holds:
            return
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
        closing = asyncio.create_task(stream.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
