"""Endpoints and events for tests of webhooks out, at one core's inner rooms."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from core.law import command as c
from core.law.command import Caller
from core.storage.outgoing import Delivery, Endpoint
from core.webhooks.address import Guard
from core.webhooks.dispatch import Dispatcher
from core.webhooks.pace import Pace
from core.webhooks.post import Poster
from core.webhooks.signature import new_secret
from tests.core.room import Room

SERVICE = Caller("service-1", frozenset({"service"}))


@dataclass
class Hooks:
    """One process that sends, on the database of a room."""

    room: Room
    dispatcher: Dispatcher

    async def endpoint(self, url: str, **more: Any) -> str:
        """Add an endpoint and answer its id."""
        endpoint_id = f"ep_{uuid.uuid4().hex}"
        values: dict[str, Any] = {
            "endpoint_id": endpoint_id,
            "url": url,
            "types": "",
            "description": "",
            "unordered": False,
            "secret": new_secret(),
            "previous_secret": "",
            "create_time_us": self.room.time.us,
            "position": await self.room.store.positions.newest(),
            "pending": 0,
            "disabled_reason": "",
        }
        async with self.room.store.write() as transaction:
            await transaction.webhooks.add(values | more)
        return endpoint_id

    async def read(self, endpoint_id: str) -> Endpoint:
        endpoint = await self.room.store.webhooks.endpoint(endpoint_id)
        assert endpoint is not None
        return endpoint

    async def deliveries(self, endpoint_id: str, state: str = "") -> list[Delivery]:
        """All of an endpoint, the oldest event first."""
        found = await self.room.store.webhooks.deliveries(
            endpoint_id, state=state, escrow_id="", before=None, limit=10_000
        )
        return found[::-1]

    async def send(self) -> None:
        """Send what is due and write it down, until nothing is due any more."""
        while True:
            await self.dispatcher.look()
            if not self.dispatcher.is_busy:
                return
            await self.dispatcher.idle()

    async def tell(self, escrow_id: str, count: int = 1) -> None:
        """Make events of an escrow."""
        for _ in range(count):
            await self.room.tell(escrow_id, c.PublishUpdate("news", {}), SERVICE)
        await place(self.room)


async def place(room: Room) -> None:
    """Give positions to all events that wait for one."""
    while room.store.is_postgres and await room.store.positions.give():
        pass


@contextlib.asynccontextmanager
async def open_hooks(room: Room, pace: Pace | None = None, **limits: float) -> AsyncIterator[Hooks]:
    """Open a process that sends, also to this machine; closes it."""
    guard = Guard(allow_private=True)
    poster = Poster(guard, **limits)
    dispatcher = Dispatcher(room.store, poster, now_us=room.time, pace=pace, chance=lambda: 0.0)
    try:
        yield Hooks(room, dispatcher)
    finally:
        await dispatcher.close()
        await poster.close()
        guard.close()
