"""The snapshots of a user's open escrows, for sockets that begin to follow everything.

They are read for all sockets of the user that wait at the same time, and kept no longer.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

from escrow.v1 import escrow_service_pb2 as service

from bridge.protocol import frames
from bridge.upstream.error import CoreError
from bridge.upstream.stream import Source


@dataclass(slots=True)
class Snapshots:
    """What a user's open escrows were at a position, each or later: encoded, the newest first."""

    position: int = 0
    # Whether there are older ones beside them.
    more: bool = False
    wires: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


class Readings:
    """Reads snapshots, of each user one after another, and of a few users at the same time."""

    def __init__(self, source: Source) -> None:
        self._core = source.core
        self._limits = source.limits
        self._turns = asyncio.Semaphore(source.limits.snapshot_reads)
        # By user: the reading under way, and the one that has not begun.
        self._reading: dict[str, asyncio.Task[Snapshots]] = {}
        self._waiting: dict[str, asyncio.Task[Snapshots]] = {}

    async def read(self, user_id: str) -> Snapshots:
        """Read what was true at this moment or later. Raises CoreError.

        `user_id` is empty for everything: then of the escrows that need attention.
        """
        reading = self._waiting.get(user_id)
        if reading is None:
            reading = self._waiting[user_id] = asyncio.create_task(self._run(user_id))
            reading.add_done_callback(_retrieve)
        return await asyncio.shield(reading)

    async def close(self) -> None:
        reading = [*self._waiting.values(), *self._reading.values()]
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _run(self, user_id: str) -> Snapshots:
        this = self._waiting[user_id]
        try:
            before = self._reading.get(user_id)
            if before is not None:
                await asyncio.wait([before])
                _raise_if_away(before)
            await self._turns.acquire()
        except BaseException:
            del self._waiting[user_id]
            raise
        self._reading[user_id] = self._waiting.pop(user_id)
        try:
            return await self._core.in_turn(user_id, lambda: self._read(user_id))
        finally:
            self._turns.release()
            if self._reading[user_id] is this:
                del self._reading[user_id]

    async def _read(self, user_id: str) -> Snapshots:
        """Read snapshots until the heartbeat that ends them."""
        found = Snapshots()
        async with aclosing(self._core.follow(user_id, None)) as messages:
            async for message in messages:
                if message.WhichOneof("message") != "snapshot":
                    found.position = message.position
                    found.more = found.more or message.heartbeat.more
                    return found
                self._keep(found, message)
        raise CoreError("UNAVAILABLE", "Core's stream ended before the last snapshot.")

    def _keep(self, found: Snapshots, message: service.WatchEscrowResponse) -> None:
        if len(found.wires) >= self._limits.user_escrows:
            found.more = True
            return
        escrow = message.snapshot
        found.versions[escrow.escrow_id] = escrow.version
        data = frames.snapshot(escrow)
        found.wires[escrow.escrow_id] = frames.subscribed(
            escrow.escrow_id, escrow.version, data, None, message.position
        )


def _raise_if_away(before: asyncio.Task[Snapshots]) -> None:
    # Who has waited for that reading has waited for core.
    error = None if before.cancelled() else before.exception()
    if isinstance(error, CoreError) and error.away:
        raise error


def _retrieve(reading: asyncio.Task[Snapshots]) -> None:
    # Everyone who waited may have gone.
    if not reading.cancelled():
        reading.exception()
