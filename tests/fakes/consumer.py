"""A reader of the JetStream stream that goes and comes back again and again."""

import asyncio
import contextlib
import random
from typing import Any

from escrow.v1.escrow_pb2 import EscrowEvent
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import ConsumerConfig, DeliverPolicy

from tests.fakes.nats import Nats

STREAM = "HOLDFAST"
# How long it keeps a connection.
STAY_S = (0.1, 2.0)
AWAY_S = 0.05


class Consumer:
    """Reads all events from the last position that it has; `events` has each once."""

    def __init__(self, server: Nats) -> None:
        self._server = server
        self.position = 0
        self.events: list[EscrowEvent] = []
        self.repeated = 0
        self.visits = 0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(Error, OSError, TimeoutError):
                await self._visit()
            await asyncio.sleep(AWAY_S)

    async def _visit(self) -> None:
        # Not within the time of the visit: Python 3.11 loses the socket of a connection that is
        # made in the moment in which it is given up.
        client = await self._server.connect()
        try:
            async with asyncio.timeout(random.uniform(*STAY_S)):
                await self._read(client)
        finally:
            await client.close()

    async def _read(self, client: Client) -> None:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self.position + 1
        )
        consumer = await client.jetstream().subscribe(
            "holdfast.event.>", stream=STREAM, config=config
        )
        self.visits += 1
        async for message in consumer.messages:
            self._take(message)
            await message.ack()

    def _take(self, message: Any) -> None:
        position = int(message.headers["Holdfast-Position"])
        assert position == message.metadata.sequence.stream == int(message.headers["Nats-Msg-Id"])
        if position <= self.position:
            self.repeated += 1
            return
        assert position == self.position + 1, f"{position} after {self.position}"
        self.position = position
        self.events.append(EscrowEvent.FromString(message.data))
