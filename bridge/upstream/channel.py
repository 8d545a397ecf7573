"""The gRPC client of core: a channel for each address, calls that wait for core, and streams.

The only module of the bridge that imports gRPC. Must never start a call that it does not cancel.
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
    # A silent connection is noticed after the sum of the two: 13 s. Without the third, the ping
    # time-out of gRPC's HTTP/2 layer (60 s by default) would override the second.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Otherwise channels to one address share a connection, and a restarted app gets a dead one.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(eq=False)
class CoreError(Exception):
    """An error that core answered, or that core could not be reached (`code` UNAVAILABLE).

    `code` is a name of google.rpc.Code. `reason` is a name of core's catalogue, or empty. `fields`
    are the wrong fields, each with its description, in core's order.
    """

    code: str
    message: str
    reason: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def away(self) -> bool:
        """Whether core gave no answer, as opposed to a refusal."""
        return self.code in _AWAY


@dataclass(frozen=True)
class Tls:
    """PEM files. Core's certificate is the trusted root; with `client` it is our own as well."""

    cert: Path
    key: Path
    client: bool

    def credentials(self) -> grpc.ChannelCredentials:
        cert = self.cert.read_bytes()
        if not self.client:
            return grpc.ssl_channel_credentials(root_certificates=cert)
        return grpc.ssl_channel_credentials(cert, self.key.read_bytes(), cert)


class _Endpoint:
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
    """Calls core. Uses several addresses in turn, the connected ones first."""

    def __init__(self, addresses: tuple[str, ...], limits: Limits, tls: Tls | None = None) -> None:
        self._limits = limits
        self._endpoints = [_Endpoint(address, tls) for address in addresses]
        # Two counters, because a subscription makes one call and one stream. With one counter, all
        # calls would go to one of two addresses, and all streams to the other.
        self._calls, self._streams = count(), count()
        self._connected = asyncio.Event()
        self._some_serve = True
        # The calls under way, which are cut when no core serves any more.
        self._under_way: set[Any] = set()
        self._watchers = [
            asyncio.create_task(self._watch_endpoint(endpoint)) for endpoint in self._endpoints
        ]

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(endpoint.channel.close() for endpoint in self._endpoints))

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until an address is connected. Raises CoreError (UNAVAILABLE)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "Core is unavailable. Try again.") from None

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
        """Read a server stream. Ends with it, or raises CoreError: UNAVAILABLE also if nothing has
        come for `silence_s`."""
        method = self._pick(self._streams).channel.unary_stream(
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
            raise CoreError("UNAVAILABLE", "Core's stream has fallen silent.") from None
        except grpc.aio.AioRpcError as error:
            raise _core_error(error) from None
        finally:
            call.cancel()

    async def serving(self) -> bool:
        """Whether a core says of itself that it serves."""
        return any(await self.serving_each(self._limits.health_s))

    async def serving_each(self, timeout_s: float) -> list[bool]:
        """Whether the core at each address says of itself that it serves, in their order."""
        return list(
            await asyncio.gather(
                *(self._serves(endpoint, timeout_s) for endpoint in self._endpoints)
            )
        )

    def prefer(self, serving: Sequence[bool]) -> None:
        """Use only the addresses that serve. If none does, core counts as away and calls are cut.

        `serving` is in the order of the addresses.
        """
        for endpoint, serves in zip(self._endpoints, serving, strict=True):
            endpoint.serves = serves
        self._some_serve = any(serving)
        self._note_connected()
        if not self._some_serve:
            for call in tuple(self._under_way):
                call.cancel()

    async def _serves(self, endpoint: _Endpoint, timeout_s: float) -> bool:
        request, reply = health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            left_s = end - asyncio.get_running_loop().time()
            try:
                answer = await self._call(_HEALTH, request, reply, None, left_s, endpoint)
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
        endpoint: _Endpoint | None = None,
    ) -> Reply:
        method = (endpoint or self._pick(self._calls)).channel.unary_unary(
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
            raise CoreError("UNAVAILABLE", "Core is unavailable. Try again.") from None
        finally:
            self._under_way.discard(call)
            call.cancel()
        return answer

    def _pick(self, turns: Iterator[int]) -> _Endpoint:
        ready = [endpoint for endpoint in self._endpoints if endpoint.ready] or self._endpoints
        ready = [endpoint for endpoint in ready if endpoint.serves] or ready
        return ready[next(turns) % len(ready)]

    async def _watch_endpoint(self, endpoint: _Endpoint) -> None:
        while True:
            state = endpoint.channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.SHUTDOWN:
                return
            endpoint.ready = state is grpc.ChannelConnectivity.READY
            self._note_connected()
            await endpoint.channel.wait_for_state_change(state)

    def _note_connected(self) -> None:
        if self._some_serve and any(endpoint.ready for endpoint in self._endpoints):
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
