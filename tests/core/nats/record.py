"""What these tests read: the stream, from the outside, held against the database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from nats.aio.client import Client

from core.nats.stream import NAME
from core.nats.subject import EVENTS
from core.storage.position import Placed
from tests.core.nats.core import Core
from tests.fakes.nats import Nats

LIMIT_S = 30.0
ESCROWS = [f"e-{number}" for number in range(8)]


@contextlib.asynccontextmanager
async def reader(server: Nats) -> AsyncIterator[Client]:
    client = await server.connect()
    try:
        yield client
    finally:
        await client.close()


async def begin(core: Core) -> None:
    for escrow_id in ESCROWS:
        await core.create(escrow_id)


async def published(core: Core, server: Nats) -> list[Any]:
    """Wait until the stream has everything, and read it with a consumer from the beginning."""
    positions = core.rooms.store.positions

    async def is_placed() -> bool:
        return not (await positions.waiting())[0]

    await eventually(is_placed)
    newest = await positions.newest()
    async with reader(server) as client:
        context = client.jetstream()

        async def is_whole() -> bool:
            with contextlib.suppress(Exception):
                return (await context.stream_info(NAME)).state.last_seq >= newest
            return False

        await eventually(is_whole)
        consumer = await context.subscribe(f"{EVENTS}.>", ordered_consumer=True)
        return [await consumer.next_msg(timeout=LIMIT_S) for _ in range(newest)]


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await holds():  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def check(core: Core, server: Nats) -> None:
    """The stream is what the database has, each event once, in order, byte for byte."""
    messages = await published(core, server)
    placed: list[Placed] = []
    while page := (await core.rooms.store.positions.after(len(placed), 500)).placed:
        placed += page
    assert [one.position for one in placed] == list(range(1, len(placed) + 1))
    assert [message.data for message in messages] == [one.body for one in placed]
    assert [message.metadata.sequence.stream for message in messages] == [
        one.position for one in placed
    ]
