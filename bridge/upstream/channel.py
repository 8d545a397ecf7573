"""The way to core: one channel for each of its addresses, calls that wait for it, streams.

The only room of the bridge that knows gRPC. Must never start a call that it does not cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from bridge.limits import Limits

Reply = TypeVar("Reply", bound=Message)

_HEALTH = "/grpc.health.v1.Health/Check"
_RETRY_S = 0.05
_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
_OPTIONS = (
    ("grpc.lb_policy_name", "round_robin"),
    # A connection that fell silent is noticed after the two together: 13 s. The HTTP/2 layer's own
    # ping time-out (60 s by default) would rule over the second.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Channels to one address would share a connection, and a restarted app a dead one.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(eq=False)
class CoreError(Exception):
    """Core's refusal, or its absence (`code` UNAVAILABLE).

    `code` is a name of google.rpc.Code; `reason` is of core's catalogue, or empty; `fields` are the
    bad ones, each with its description, in core's order.
    """

    code: str
    message: str
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def away(self) -> bool:
        """Whether core could not be asked, as opposed to having refused."""
        return self.code in _AWAY


@dataclass(frozen=True)
class Tls:
    """Files of PEM text. Core's certificate is the trusted root; with `client` it is shown too."""

    cert: Path
    key: Path
    client: bool

    def credentials(self) -> grpc.ChannelCredentials:
        cert = self.cert.read_bytes()
        if not self.client:
            return grpc.ssl_channel_credentials(root_certificates=cert)
        return grpc.ssl_channel_credentials(cert, self.key.read_bytes(), cert)


class _Road:
    """One address of core, and whether it is connected now."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        if tls is None:
            self.channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(address, tls.credentials(), options=_OPTIONS)
        self.ready = False
        # Whether it answered when it was last asked for its health.
        self.serves = True


class Upstream:
    """Calls core. Several addresses are used in turn, those first that are connected."""

    def __init__(self, addresses: tuple[str, ...], limits: Limits, tls: Tls | None = None) -> None:
        self._limits = limits
        self._roads = [_Road(address, tls) for address in addresses]
        # Taken apart, because a subscription makes one of each: together they would fall in step.
        self._calls, self._streams = count(), count()
        self._connected = asyncio.Event()
        self._some_serve = True
        # Calls that are cut when core is found not to serve.
        self._under_way: set[Any] = set()
        self._watchers = [asyncio.create_task(self._watch_road(road)) for road in self._roads]

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(road.channel.close() for road in self._roads))

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until an address is connected. Raises CoreError (UNAVAILABLE)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "core is away") from None

    async def unary(
        self,
        path: str,
        request: Message,
        reply: type[Reply],
        *,
        token: str | None = None,
        timeout_s: float | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """Call `path` (`/package.Service/Method`) as the owner of `token`, or as nobody.

        Waits for core at most `timeout_s`, by default `core_wait_s`. A call that never reached core
        is not made twice unless it is `repeatable`. Raises CoreError.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._limits.core_wait_s if timeout_s is None else timeout_s)
        while True:
            await self.wait(end - loop.time())
            try:
                return await self._call(path, request, reply, token, end - loop.time())
            except CoreError as error:
                again = repeatable and error.code == "UNAVAILABLE"
                if not again or loop.time() + _RETRY_S >= end:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def stream(
        self,
        path: str,
        request: Message,
        reply: type[Reply],
        *,
        token: str,
        silence_s: float,
    ) -> AsyncGenerator[Reply, None]:
        """Read a server stream. Ends, or raises CoreError, with it; UNAVAILABLE also when nothing
        has come for `silence_s`."""
        method = self._road(self._streams).channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token))
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    message = await call.read()
                if not isinstance(message, reply):
                    return
                yield message
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "core's stream fell silent") from None
        except grpc.aio.AioRpcError as error:
            raise _core_error(error) from None
        finally:
            call.cancel()

    async def serving(self) -> bool:
        """Whether a core says of itself that it serves."""
        return any(await self.serving_each(self._limits.health_s))

    async def serving_each(self, timeout_s: float) -> list[bool]:
        """Whether the core at each address says of itself that it serves, in their order."""
        return list(await asyncio.gather(*(self._serves(road, timeout_s) for road in self._roads)))

    def prefer(self, serving: Sequence[bool]) -> None:
        """Use the addresses that serve; where none does, core is away. In the addresses' order."""
        for road, serves in zip(self._roads, serving, strict=True):
            road.serves = serves
        self._some_serve = any(serving)
        self._say_connected()
        if not self._some_serve:
            for call in tuple(self._under_way):
                call.cancel()

    async def _serves(self, road: _Road, timeout_s: float) -> bool:
        request, reply = health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            left_s = end - asyncio.get_running_loop().time()
            try:
                answer = await self._call(_HEALTH, request, reply, None, left_s, road)
            except CoreError as error:
                if error.code != "UNAVAILABLE" or left_s <= _RETRY_S:
                    return error.code == "UNIMPLEMENTED"
                await asyncio.sleep(_RETRY_S)  # It may just be connecting.
            else:
                return bool(answer.status == reply.SERVING)

    async def _call(
        self,
        path: str,
        request: Message,
        reply: type[Reply],
        token: str | None,
        timeout_s: float,
        road: _Road | None = None,
    ) -> Reply:
        method = (road or self._road(self._calls)).channel.unary_unary(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token), timeout=max(timeout_s, 0))
        self._under_way.add(call)
        try:
            answer: Reply = await call
        except grpc.aio.AioRpcError as error:
            raise _core_error(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise CoreError("UNAVAILABLE", "core is away") from None
        finally:
            self._under_way.discard(call)
            call.cancel()
        return answer

    def _road(self, turns: Iterator[int]) -> _Road:
        ready = [road for road in self._roads if road.ready] or self._roads
        ready = [road for road in ready if road.serves] or ready
        return ready[next(turns) % len(ready)]

    async def _watch_road(self, road: _Road) -> None:
        while True:
            state = road.channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.SHUTDOWN:
                return
            road.ready = state is grpc.ChannelConnectivity.READY
            self._say_connected()
            await road.channel.wait_for_state_change(state)

    def _say_connected(self) -> None:
        if self._some_serve and any(road.ready for road in self._roads):
            self._connected.set()
        else:
            self._connected.clear()


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


def _core_error(error: grpc.aio.AioRpcError) -> CoreError:
    reason, fields = "", []
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        with contextlib.suppress(DecodeError):
            for detail in status_pb2.Status.FromString(value).details:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(bad):
                    fields = [(one.field, one.description) for one in bad.field_violations]
    return CoreError(error.code().name, error.details() or "", reason, tuple(fields))
