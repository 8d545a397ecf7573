"""One shared upstream stream for each user who follows all that concerns them.

Core's stream of a user cannot be resumed by version: whenever it is opened again, what was missed
is found by comparing all the user's escrows, the final ones too, with the versions that were handed
on, and is read from the record before the stream goes on. An escrow that is not remembered began
after the last comparison, for each comparison reads at least as far back as the one after it.
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
    """The stream of one user. Made by Follows, which counts who holds it.

    Nothing between the first and the last subscriber of an event awaits, so that who joins sees
    an event either in `open` or in `deliver`.
    """

    def __init__(
        self,
        user_id: str,
        source: Source,
        siblings: Callable[[], int],
        turns: asyncio.Semaphore,
    ) -> None:
        super().__init__(user_id, source, siblings)
        self._turns = turns
        # Escrows that are not final, each as it stands, serialized: they are many and seldom read.
        self.open: dict[str, bytes] = {}
        # Whether there are older ones that are open and not among them.
        self.more = False
        self._versions: dict[str, int] = {}
        # Whether there are escrows that are older than what is remembered.
        self._is_cut = False
        self._opened = asyncio.Event()

    def version(self, escrow_id: str) -> int | None:
        """The newest version that every subscriber has got, where the escrow is remembered."""
        return self._versions.get(escrow_id)

    async def opened(self) -> None:
        """Wait until `open` is complete, for `core_wait_s`. Raises CoreError."""
        try:
            async with asyncio.timeout(self._limits.core_wait_s):
                await self._opened.wait()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "core is away") from None
        if self.refusal is not None:
            raise self.refusal

    async def _once(self) -> None:
        async with aclosing(self._core.follow(self.key)) as messages:
            snapshots = await self._snapshots(messages)
            async with self._turns:
                await self._compare(snapshots)
            self._opened.set()
            self._thrives()
            async for message in messages:
                if message.WhichOneof("message") == "event":
                    self._take(message.event)
                self._thrives()

    def _is_final(self, error: CoreError) -> bool:
        # Core knows of no such user: the token's `sub` is none that an escrow could name.
        return error.code == "INVALID_ARGUMENT"

    def _end(self, error: CoreError) -> None:
        super()._end(error)
        self._opened.set()

    async def _snapshots(
        self, messages: AsyncGenerator[service.WatchEscrowResponse, None]
    ) -> dict[str, pb.Escrow]:
        """Read the snapshots, the newest escrow first, up to the heartbeat that ends them.

        Of very many the oldest are left out, and `more` says so.
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
        raise CoreError("UNAVAILABLE", "the stream ended among its snapshots")

    async def _compare(self, snapshots: dict[str, pb.Escrow]) -> None:
        """Bring us to where core's stream begins, or a little beyond.

        What is read here may be newer than that; the stream repeats it, and is not heard then.
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
            # The first comparison; or core's database was restored, and is the truth.
            self._stands(escrow)
            return
        while cursor < escrow.version:
            for event in await self._core.list_events(escrow.escrow_id, cursor):
                self._publish(event)
                cursor = event.version
                await asyncio.sleep(0)

    async def _catch_up_alone(self, escrow_id: str) -> None:
        """It was open, has a snapshot no more, and is older than what is compared."""
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
            raise Gap("more escrows have begun than are to be remembered")

    def _publish(self, event: pb.EscrowEvent) -> None:
        ready = self._source.encoder.encode(event)
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(ready)
        self._stands(event.escrow)
        self._observe(event)

    def _stands(self, escrow: pb.Escrow) -> None:
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
        # A restarted core is asked for all escrows of all users: not of all at once.
        self._turns = asyncio.Semaphore(source.limits.comparisons)

    def hold(self, user_id: str) -> Follow:
        """Find or open the follow of a user, and keep it open until `release`.

        Raises CoreError (UNAVAILABLE) when there are too many.
        """
        return self._hold(user_id, lambda: Follow(user_id, self.source, self.count, self._turns))
