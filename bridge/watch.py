"""One shared upstream stream for each escrow that somebody looks at.

A watch knows the newest version and keeps the last few events, so that a late subscriber joins
without a gap. It resumes by version when core goes away; its subscribers do not notice.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing, suppress
from time import perf_counter, time
from typing import Protocol

import structlog
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service

from bridge import frames
from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.upstream import Core, CoreError

_log = structlog.get_logger("bridge.watch")


class Subscriber(Protocol):
    """Who is told. Neither call may block."""

    def deliver(self, event: frames.EventFrames) -> None:
        """Take the next event; one at or below the subscriber's version is to be ignored."""

    def vanish(self) -> None:
        """Core says that there is no such escrow any more."""


class _Gap(Exception):
    """Core's stream does not continue where the watch stands."""


class Watch:
    """The stream of one escrow. Made by Watches, which counts who holds it."""

    def __init__(self, escrow: pb.Escrow, watches: Watches) -> None:
        self.escrow_id = escrow.escrow_id
        self.escrow = escrow
        self.subscribers: set[Subscriber] = set()
        self.holds = 0
        self.vanished = False
        self._watches = watches
        self._limits = watches.limits
        self._history: deque[frames.EventFrames] = deque(maxlen=watches.limits.history_events)
        self._snapshot: tuple[int, bytes] | None = None
        self._follower = asyncio.create_task(self._follow())

    @property
    def version(self) -> int:
        """The newest version that every subscriber has got or is being handed."""
        return self.escrow.version

    def snapshot(self) -> bytes:
        """The escrow as JSON, encoded once for each version."""
        if self._snapshot is None or self._snapshot[0] != self.version:
            self._snapshot = (self.version, frames.snapshot(self.escrow))
        return self._snapshot[1]

    def since(self, version: int) -> Sequence[frames.EventFrames]:
        """All events after a version (exclusive), or nothing where the history begins later."""
        if not self._history or self._history[0].version > version + 1:
            return ()
        return [event for event in self._history if event.version > version]

    async def close(self) -> None:
        self._follower.cancel()
        await asyncio.gather(self._follower, return_exceptions=True)

    async def _follow(self) -> None:
        failures, core = 0, self._watches.core
        while not self.vanished:
            try:
                async with aclosing(core.watch(self.escrow_id, self.version)) as messages:
                    async for message in messages:
                        failures = 0
                        await self._take(message)
            except CoreError as error:
                self._note(error, failures)
            except _Gap as gap:
                _log.error("a gap in core's stream", escrow_id=self.escrow_id, gap=str(gap))
            failures += 1
            while not core.connected:
                with suppress(CoreError):
                    await core.wait(self._limits.core_wait_s)
            await asyncio.sleep(self._pause_s(failures))

    def _note(self, error: CoreError, failures: int) -> None:
        if error.code == "NOT_FOUND":
            self.vanished = True
            for subscriber in tuple(self.subscribers):
                subscriber.vanish()
        elif not error.away and failures & (failures - 1) == 0:
            # Said at the 1st, 2nd, 3rd, 5th, 9th … time: as many watches fail as there are escrows.
            _log.error("core refuses a watch", code=error.code, reason=error.reason)

    def _pause_s(self, failures: int) -> float:
        """Exponential with jitter; the first try is spread over the number of watches, so that a
        restarted core meets a stream of them and not a wall."""
        limits = self._limits
        if failures == 1:
            spread_s = min(limits.resume_spread_s, self._watches.count / limits.resumes_per_s)
            return random.uniform(0, max(spread_s, limits.backoff_first_s))  # noqa: S311
        most_s = min(limits.backoff_last_s, limits.backoff_first_s * 2 ** min(failures, 16))
        return random.uniform(most_s / 2, most_s)  # noqa: S311

    async def _take(self, message: service.WatchEscrowResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "event":
            await self._publish(message.event)
        elif kind == "heartbeat" and message.heartbeat.version > self.version:
            raise _Gap(f"at {self.version}, core at {message.heartbeat.version}")

    async def _publish(self, event: pb.EscrowEvent) -> None:
        if event.version <= self.version:
            return
        if event.version != self.version + 1:
            raise _Gap(f"at {self.version}, got {event.version}")
        ready = frames.event_frames(event)
        # Before the first await: who joins while this is handed on joins after it.
        self._history.append(ready)
        self.escrow = event.escrow
        end = perf_counter() + self._limits.slice_s
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(ready)
            if perf_counter() > end:
                await asyncio.sleep(0)
                end = perf_counter() + self._limits.slice_s
        self._watches.metrics.latency_s.observe(_age_s(event))


class Watches:
    """All watches, by escrow."""

    def __init__(self, core: Core, limits: Limits, metrics: Metrics) -> None:
        self.core = core
        self.limits = limits
        self.metrics = metrics
        self._watches: dict[str, Watch] = {}
        self._closing: set[asyncio.Task[None]] = set()
        metrics.watches.set_function(lambda: len(self._watches))

    @property
    def count(self) -> int:
        return len(self._watches)

    def hold(self, escrow: pb.Escrow) -> Watch:
        """Find or open the watch of an escrow, from the escrow's version on, and keep it open
        until `release`. Raises CoreError (UNAVAILABLE) when there are too many."""
        watch = self._watches.get(escrow.escrow_id)
        if watch is None or watch.vanished:
            if len(self._watches) >= self.limits.watches:
                raise CoreError("UNAVAILABLE", "this bridge watches too many escrows")
            watch = self._watches[escrow.escrow_id] = Watch(escrow, self)
        watch.holds += 1
        return watch

    def release(self, watch: Watch) -> None:
        """Give a hold back; the last one lets the watch end after a moment."""
        watch.holds -= 1
        if watch.holds == 0:
            asyncio.get_running_loop().call_later(self.limits.linger_s, self._end_unheld, watch)

    async def close(self) -> None:
        watches = list(self._watches.values())
        self._watches.clear()
        await asyncio.gather(*(watch.close() for watch in watches), *self._closing)

    def _end_unheld(self, watch: Watch) -> None:
        if watch.holds:
            return
        if self._watches.get(watch.escrow_id) is watch:
            del self._watches[watch.escrow_id]
        closing = asyncio.create_task(watch.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _age_s(event: pb.EscrowEvent) -> float:
    born = event.create_time.seconds + event.create_time.nanos / 1e9
    return max(time() - born, 0.0)
