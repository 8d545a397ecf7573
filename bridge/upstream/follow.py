"""The shared stream of one user: all escrows that concern them, for all of their sockets.

A *follow* is core's WatchEscrow with a `user_id`; a *watch* (watch.py) is of one escrow.

A follow cannot be resumed by version. Whenever it is opened again, it compares all escrows of the
user, the final ones too, with the versions that it has delivered. It reads the events in between
with ListEvents before the stream goes on. An escrow that it does not know is a new one, because the
comparison before has read at least as far back in time as this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service

from bridge.upstream.channel import CoreError
from bridge.upstream.stream import Gap, Source, Stream, Streams

FINAL = frozenset(
    {
        pb.ESCROW_STATUS_RELEASED,
        pb.ESCROW_STATUS_REFUNDED,
        pb.ESCROW_STATUS_SPLIT,
        pb.ESCROW_STATUS_CANCELLED,
    }
)


class Follow(Stream):
    """The stream of one user. `Follows` makes it and counts its holders.

    An event goes to all subscribers without an await in between. So whoever joins gets an event
    once: it is either in `open` already, or delivered.
    """

    def __init__(
        self,
        user_id: str,
        source: Source,
        stream_count: Callable[[], int],
        turns: asyncio.Semaphore,
    ) -> None:
        super().__init__(user_id, source, stream_count)
        self._turns = turns
        # The newest state of each escrow that is not final. Serialized, because there may be many
        # and they are seldom read.
        self.open: dict[str, bytes] = {}
        # Whether the user has older open escrows, which were left out of `open`.
        self.more = False
        self._versions: dict[str, int] = {}
        # Whether the user has older escrows, which were left out of `_versions`.
        self._is_cut = False
        # Whether everything was compared since the stream broke last.
        self.is_current = False
        self._opened = asyncio.Event()

    def version(self, escrow_id: str) -> int | None:
        """The newest version that was delivered to every subscriber; None for an unknown escrow."""
        return self._versions.get(escrow_id)

    async def opened(self) -> None:
        """Wait until `open` is complete, at most `core_wait_s`. Raises CoreError."""
        try:
            async with asyncio.timeout(self._limits.core_wait_s):
                await self._opened.wait()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "Core is unavailable. Try again.") from None
        if self.refusal is not None:
            raise self.refusal

    async def _once(self) -> None:
        try:
            await self._hear()
        finally:
            self.is_current = False

    async def _hear(self) -> None:
        async with aclosing(self._core.follow(self.key)) as messages:
            snapshots = await self._snapshots(messages)
            async with self._turns:
                await self._compare(snapshots)
            self._opened.set()
            self.is_current = True
            self._note_success()
            async for message in messages:
                if message.WhichOneof("message") == "event":
                    self._take(message.event)
                self._note_success()

    def _is_final(self, error: CoreError) -> bool:
        # Core takes the `sub` of the token for no user id: no escrow can name such a user.
        return error.code == "INVALID_ARGUMENT"

    def _end(self, error: CoreError) -> None:
        super()._end(error)
        self._opened.set()

    async def _snapshots(
        self, messages: AsyncGenerator[service.WatchEscrowResponse, None]
    ) -> dict[str, pb.Escrow]:
        """Read the snapshots, newest escrow first, until the heartbeat that ends them.

        Keeps the newest `user_escrows`. `more` then says whether there are others.
        """
        snapshots: dict[str, pb.Escrow] = {}
        is_cut = False
        async for message in messages:
            if message.WhichOneof("message") != "snapshot":
                self.more = is_cut or message.heartbeat.more
                return snapshots
            is_cut = is_cut or len(snapshots) >= self._limits.user_escrows
            if not is_cut:
                snapshots[message.snapshot.escrow_id] = message.snapshot
        raise CoreError("UNAVAILABLE", "Core's stream ended before the last snapshot.")

    async def _compare(self, snapshots: dict[str, pb.Escrow]) -> None:
        """Publish what was missed, up to the beginning of core's new stream or a little further.

        The stream repeats what was read further than its beginning; `_take` skips it then.
        """
        known: set[str] = set()
        async with aclosing(self._core.list_escrows(self.key)) as escrows:
            async for escrow in escrows:
                known.add(escrow.escrow_id)
                await self._catch_up(_newer(escrow, snapshots.pop(escrow.escrow_id, escrow)))
        self._is_cut = len(known) >= self._limits.user_escrows
        for escrow in snapshots.values():
            known.add(escrow.escrow_id)
            await self._catch_up(escrow)
        for escrow_id in self.open.keys() - known:
            await self._catch_up_alone(escrow_id)
        self._versions = {escrow_id: self._versions[escrow_id] for escrow_id in known}

    async def _catch_up(self, escrow: pb.Escrow) -> None:
        cursor = self._versions.get(escrow.escrow_id, 0)
        if not self._opened.is_set() or escrow.version < cursor:
            # There is nothing to publish: this is the first comparison, or core's database was
            # restored to an older state, which is the truth now.
            self._remember(escrow)
            return
        while cursor < escrow.version:
            for event in await self._core.list_events(escrow.escrow_id, cursor):
                self._publish(event)
                cursor = event.version
                await asyncio.sleep(0)

    async def _catch_up_alone(self, escrow_id: str) -> None:
        """Catch up an escrow that was open, has no snapshot now, and is too old to be compared."""
        try:
            await self._catch_up(await self._core.get_escrow(escrow_id))
        except CoreError as error:
            if error.code != "NOT_FOUND":
                raise
            del self.open[escrow_id]

    def _take(self, event: pb.EscrowEvent) -> None:
        known = self._versions.get(event.escrow_id)
        if known is None:
            known = event.version - 1 if self._is_cut else 0
        if event.version <= known:
            return
        if event.version != known + 1:
            raise Gap(f"{event.escrow_id} at {known}, got {event.version}")
        self._publish(event)
        if len(self._versions) > 3 * self._limits.user_escrows:
            raise Gap("the user has more new escrows than a follow remembers")

    def _publish(self, event: pb.EscrowEvent) -> None:
        ready = self._source.encoder.encode(event)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(ready)
        self._remember(event.escrow)
        self._observe(event)

    def _remember(self, escrow: pb.Escrow) -> None:
        self._versions[escrow.escrow_id] = escrow.version
        if escrow.status in FINAL:
            self.open.pop(escrow.escrow_id, None)
        else:
            self.open[escrow.escrow_id] = escrow.SerializeToString()


def _newer(one: pb.Escrow, other: pb.Escrow) -> pb.Escrow:
    return one if one.version > other.version else other


class Follows(Streams[Follow]):
    """All follows, by user."""

    def __init__(self, source: Source, most: int) -> None:
        super().__init__(source, most)
        # When core restarts, every follow compares. They take turns.
        self._turns = asyncio.Semaphore(source.limits.comparisons)

    @property
    def are_current(self) -> bool:
        """Whether all have been compared since their streams broke."""
        return all(follow.is_current for follow in self._streams.values())

    def hold(self, user_id: str) -> Follow:
        """Find or open the follow of a user, and keep it open until `release`.

        Raises CoreError (UNAVAILABLE) when there are too many.
        """
        return self._hold(user_id, lambda: Follow(user_id, self.source, self.count, self._turns))
