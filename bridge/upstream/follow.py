"""The shared stream of one user: the events of all their escrows, for all their sockets.

A *follow* is core's WatchEscrow without an escrow; a *watch* (watch.py) is of one escrow. Admins
and services share the follow of everything, whose key is empty.

A follow goes on after a position. So it remembers no escrows, and whenever it is opened again core
sends what was missed. Where a socket begins is its own affair: it reads up to where the follow is
(browser/following.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing

import structlog
from escrow.v1 import escrow_pb2 as pb

from bridge.upstream.error import CoreError
from bridge.upstream.snapshot import Readings
from bridge.upstream.stream import Gap, Source, Stream, Streams

_log = structlog.get_logger("bridge.upstream.follow")


class Follow(Stream):
    """The stream of one user. `Follows` makes it and counts its holders.

    An event goes to all subscribers without an await in between. So whoever joins gets an event
    once: it is at or before `position`, or will be delivered.
    """

    def __init__(
        self, user_id: str, position: int, source: Source, stream_count: Callable[[], int]
    ) -> None:
        super().__init__(user_id, source, stream_count)
        # All events up to here were delivered to every subscriber.
        self.position = position
        # Whether the stream has reached what core had when it was opened last.
        self.is_current = False
        # By escrow: the newest version that was delivered, or was shown by a snapshot.
        self._versions: dict[str, int] = {}

    def version(self, escrow_id: str) -> int | None:
        """The newest version of an escrow that was delivered or shown, if it is known still."""
        return self._versions.get(escrow_id)

    def learn(self, versions: Mapping[str, int]) -> None:
        """Take the versions of snapshots, so that it is noticed if core leaves out an event."""
        for escrow_id, version in versions.items():
            self._versions.setdefault(escrow_id, version)
        self._forget()

    async def _once(self) -> None:
        try:
            async with aclosing(self._core.follow(self.key, self.position)) as messages:
                async for message in messages:
                    match message.WhichOneof("message"):
                        case "event":
                            await self._take(message.event, message.position)
                        case "heartbeat":
                            self.position = max(self.position, message.position)
                            self.is_current = True
                        case _:
                            raise CoreError("UNIMPLEMENTED", "Core cannot resume by position.")
                    self._note_success()
        finally:
            self.is_current = False

    def _is_final(self, error: CoreError) -> bool:
        # Core's database was restored to before our position: everyone has to begin anew. Or core
        # takes the `sub` of the token for no user id: no escrow can name such a user.
        return error.reason == "POSITION_UNKNOWN" or error.code == "INVALID_ARGUMENT"

    async def _take(self, event: pb.EscrowEvent, position: int) -> None:
        if self._follows_on(event):
            self._publish(event, position)
            return
        gap = f"{event.escrow_id} at {self._versions[event.escrow_id]}, got {event.version}"
        _log.error("a gap in core's stream", stream=self.key, gap=gap)
        while self.position < position:
            page = await self._core.read_feed(self.key, self.position)
            for placed in page.events:
                if not self._follows_on(placed.event):
                    raise Gap(gap)
                self._publish(placed.event, placed.position)
                await asyncio.sleep(0)
            self.position = max(self.position, page.next_position)

    def _follows_on(self, event: pb.EscrowEvent) -> bool:
        known = self._versions.get(event.escrow_id)
        return known is None or event.version <= known + 1

    def _publish(self, event: pb.EscrowEvent, position: int) -> None:
        if position <= self.position:
            return
        # The escrow with the newest event last.
        self._versions.pop(event.escrow_id, None)
        self._versions[event.escrow_id] = event.version
        self._forget()
        self.position = position
        ready = self._source.encoder.encode(event, position)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(ready)
        if self.is_current:  # One that was missed says nothing of how long it takes.
            self._observe(event)

    def _forget(self) -> None:
        while len(self._versions) > self._limits.user_escrows:
            del self._versions[next(iter(self._versions))]


class Follows(Streams[Follow]):
    """All follows, by user, and the snapshots with which one begins who has nothing yet."""

    def __init__(self, source: Source, most: int) -> None:
        super().__init__(source, most)
        self.readings = Readings(source)

    @property
    def are_current(self) -> bool:
        """Whether all have reached what core had when their streams were opened last."""
        return all(follow.is_current for follow in self._streams.values())

    def hold(self, user_id: str, position: int) -> Follow:
        """Find the follow of a user, or open one after a position, and keep it open until
        `release`.

        Raises CoreError (UNAVAILABLE) when there are too many.
        """
        return self._hold(user_id, lambda: Follow(user_id, position, self.source, self.count))

    async def close(self) -> None:
        await self.readings.close()
        await super().close()
