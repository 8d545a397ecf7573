"""Two cores on one database, each a process, and users who call the one or the other."""

import asyncio
import itertools
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fakes.rpc import LIMIT_S, Api, Caller
from tests.fakes.stack import CHANNEL_OPTIONS, READY_LIMIT_S, Client, Port, Stack

# The pause between two calls, so that a refused caller does not repeat at once.
AGAIN_AFTER_S = 0.05


@dataclass
class Either(Client):
    """Users who each call one of the cores at random."""

    other: grpc.aio.Channel

    def with_token(self, text: str, user_id: str = "") -> Caller:
        channel = random.choice((self.channel, self.other))
        return Caller(self.stack.api, channel, user_id, text)


@dataclass(frozen=True)
class Clients:
    """The same users at one core, at the other, and at a random one."""

    first: Client
    second: Client
    either: Either

    def doors(self, token: str) -> list["Door"]:
        """A door of each core."""
        api = self.first.stack.api
        return [Door(api, client.channel, token) for client in (self.first, self.second)]


class Replicas:
    """A stack with a second core beside the first, which gets the webhooks."""

    def __init__(self, folder: Path, database_url: str, **env: str) -> None:
        self.stack = Stack(folder, database_url=database_url, **env)
        self._port = Port()
        self.second = self.stack.another_core("core-2", CORE_LISTEN=self._port.address)

    @property
    def second_address(self) -> str:
        return self._port.address

    @property
    def lines(self) -> str:
        """Everything that both cores have printed."""
        return self.stack.core.lines + self.second.lines

    async def start(self) -> None:
        """Start both at once, on a database that may be empty, and return when both serve."""
        if not self.second.is_running:
            self.second.spawn()
        await self.stack.start()
        async with self._channel() as channel:
            await self.serves(channel)

    def stop(self) -> None:
        self.second.kill()
        self.stack.stop()
        self._port.give_back()

    async def serves(self, channel: grpc.aio.Channel) -> None:
        """Wait until the health service of the core behind this channel says SERVING."""
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_LIMIT_S
            )
        except grpc.aio.AioRpcError as error:
            raise AssertionError(f"{error.details()}:\n{self.second.last_lines}") from None
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[Clients]:
        """Connections of one test to both cores."""
        async with self.stack.client() as first, self._channel() as other:
            either = Either(first.stack, first.channel, first.http, first.opened, first.mark, other)
            yield Clients(first, replace(first, channel=other), either)

    def _channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self._port.address, CHANNEL_OPTIONS)


@dataclass(frozen=True)
class Denial:
    """How a call failed: its code, and the reason and `retry` of ErrorInfo."""

    code: str
    reason: str
    retry: str

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "Denial":
        info = error_details_pb2.ErrorInfo()
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                assert isinstance(value, bytes)
                for detail in status_pb2.Status.FromString(value).details:
                    detail.Unpack(info)
        return cls(error.code().name, info.reason, info.metadata["retry"])


@dataclass
class Door:
    """One core, as one caller sees it. `denied` lists how calls have failed, oldest first."""

    api: Api
    channel: grpc.aio.Channel
    token: str
    denied: list[Denial] = field(default_factory=list)

    async def ask(self, rpc: str, fields: dict[str, Any]) -> Any | None:
        """Make a unary call once; None if it failed."""
        body = self.api.request(rpc, fields).SerializeToString()
        method: Any = self.channel.unary_unary(
            self.api.path(rpc), response_deserializer=type(self.api.answer(rpc)).FromString
        )
        metadata = (("authorization", f"Bearer {self.token}"),)
        try:
            return await method(body, metadata=metadata, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            self.denied.append(Denial.of(error))
            return None


@dataclass
class Publisher:
    """Publishes updates at the first core; a call that fails it repeats unchanged at the next.

    `acknowledged` lists the version that each update got, in order. `every_s` is its pause.
    """

    name: str
    escrow_id: str
    doors: Sequence[Door]
    acknowledged: list[int] = field(default_factory=list)
    is_last: bool = False
    every_s: float = 0.0

    async def run(self) -> None:
        """Publish updates one after another. Set `is_last` to stop after the one under way."""
        while not self.is_last:
            fields = {
                "escrow_id": self.escrow_id,
                "event_type": self.name,
                "data": {"i": len(self.acknowledged)},
                "request_id": secrets.token_hex(8),
            }
            self.acknowledged.append(await self._insist(fields))
            await asyncio.sleep(self.every_s)

    async def _insist(self, fields: dict[str, Any]) -> int:
        doors = itertools.cycle(self.doors)
        answer = await next(doors).ask("PublishUpdate", fields)
        while answer is None:
            await asyncio.sleep(AGAIN_AFTER_S)
            answer = await next(doors).ask("PublishUpdate", fields)
        version: int = answer.escrow.version
        return version


async def read_on(door: Door, escrow_id: str) -> None:
    """Read the escrow again and again until cancelled."""
    while True:
        await door.ask("GetEscrow", {"escrow_id": escrow_id})
        await asyncio.sleep(AGAIN_AFTER_S)
