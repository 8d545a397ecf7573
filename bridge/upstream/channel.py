"""The gRPC client of core: a channel for each address, calls that wait for core, and streams.

With endpoint.py and error.py the only module of the bridge that imports gRPC. Must never start a
call that it does not cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from bridge.limits import Limits
from bridge.upstream.endpoint import Endpoint, Health, Tls
from bridge.upstream.error import CoreError, has_ended, read_error, unless_cancelled

Reply = TypeVar("Reply", bound=Message)
Asked = TypeVar("Asked", bound=Message)

_HEALTH = "/grpc.health.v1.Health/Check"
_RETRY_S = 0.05
# What is said of a call that was cut, or has nobody to go to.
_AWAY = "Core is unavailable. Try again."
_ENDED = "Core has ended the stream."
_MOVES = "The stream moves to another core."
# How much more than its share of the streams an address may keep, so that few move to and fro.
_UNEVEN = 0.05


class Talk(Generic[Asked, Reply]):
    """A stream in both directions. Both methods raise CoreError when it has failed."""

    def __init__(
        self,
        call: Any,
        reply: type[Reply],
        failed: Callable[[grpc.aio.AioRpcError], CoreError],
    ) -> None:
        self._call = call
        self._reply = reply
        self._failed = failed

    async def say(self, message: Asked) -> None:
        """Send a message; waits while core does not read."""
        try:
            await self._call.write(message)
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError) as error:
            if isinstance(error, grpc.aio.AioRpcError) and not has_ended(error):
                raise self._failed(error) from None
            raise CoreError("UNAVAILABLE", _ENDED) from None  # `hear` knows why.
        except asyncio.CancelledError:
            raise unless_cancelled(_MOVES) from None

    async def hear(self, silence_s: float) -> Reply:
        """Wait for the next message, at most `silence_s`."""
        try:
            async with asyncio.timeout(silence_s):
                message = await self._call.read()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", "Core's stream has fallen silent.") from None
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        except asyncio.CancelledError:
            raise unless_cancelled(_MOVES) from None
        if not isinstance(message, self._reply):
            raise CoreError("UNAVAILABLE", _ENDED)
        return message


class Upstream:
    """Calls core. Of several addresses it uses those that are connected and serve.

    A call goes to each in turn, a stream to the one with the fewest. What fails at one address has
    the next attempts made at another until a core there says again that it serves.
    """

    def __init__(self, addresses: tuple[str, ...], limits: Limits, tls: Tls | None = None) -> None:
        self._limits = limits
        # Called after each check of which cores serve.
        self.checked: list[Callable[[], None]] = []
        self.endpoints = [Endpoint(address, tls) for address in addresses]
        self._next = count()
        self._connected = asyncio.Event()
        self._some_serve = True
        self._watchers = [
            asyncio.create_task(self._watch_endpoint(endpoint)) for endpoint in self.endpoints
        ]

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(endpoint.channel.close() for endpoint in self.endpoints))

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until an address is connected. Raises CoreError (UNAVAILABLE)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            raise CoreError("UNAVAILABLE", _AWAY) from None

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

    async def send(
        self,
        path: str,
        requests: AsyncIterator[Message],
        reply: type[Reply],
        *,
        token: str,
        timeout_s: float,
    ) -> Reply:
        """Make a call whose request is a stream. What `requests` raises goes through.

        Raises CoreError.
        """
        endpoint = self._pick()
        method: Any = endpoint.channel.stream_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        call = method(metadata=_metadata(token), timeout=timeout_s)
        with self._under_way(endpoint, endpoint.calls, call):
            try:
                async for request in requests:
                    await call.write(request)
                await call.done_writing()
            except asyncio.InvalidStateError:
                pass
            except grpc.aio.AioRpcError as error:
                if not has_ended(error):
                    raise
            answer: Reply = await call  # What has ended mostly says why.
        return answer

    async def receive(
        self,
        path: str,
        request: Message,
        reply: type[Reply],
        *,
        token: str,
        timeout_s: float,
    ) -> AsyncGenerator[Reply, None]:
        """Make a call whose answer is a stream that ends by itself. Raises CoreError."""
        endpoint = self._pick()
        method = endpoint.channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token), timeout=timeout_s)
        with self._under_way(endpoint, endpoint.calls, call):
            while isinstance(message := await call.read(), reply):
                yield message

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
        come for `silence_s`, and if it has to move to another core."""
        endpoint = self._pick_for_stream()
        method = endpoint.channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token))
        with self._under_way(endpoint, endpoint.streams, call, _MOVES):
            try:
                while True:
                    async with asyncio.timeout(silence_s):
                        message = await call.read()
                    if not isinstance(message, reply):
                        return
                    yield message
            except TimeoutError:
                raise CoreError("UNAVAILABLE", "Core's stream has fallen silent.") from None

    @contextlib.asynccontextmanager
    async def talk(
        self, endpoint: Endpoint, path: str, request: type[Asked], reply: type[Reply], *, token: str
    ) -> AsyncIterator[Talk[Asked, Reply]]:
        """Open a stream in both directions to one core, as long as the block lasts."""
        method = endpoint.channel.stream_stream(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(metadata=_metadata(token))
        endpoint.talks.add(call)
        try:
            yield Talk(call, reply, lambda error: self._failed(error, endpoint))
        finally:
            endpoint.talks.discard(call)
            call.cancel()

    def is_useful(self, endpoint: Endpoint) -> bool:
        """Whether a core is connected, and serves as far as any does."""
        return self.connected and endpoint in self._candidates()

    async def serving(self) -> bool:
        """Whether a core says of itself that it serves."""
        return Health.SERVING in await self.health_each(self._limits.health_s)

    async def health_each(self, timeout_s: float) -> list[Health]:
        """What the core at each address says of itself, in their order."""
        return list(await asyncio.gather(*(self._health(one, timeout_s) for one in self.endpoints)))

    def prefer(self, healths: Sequence[Health]) -> None:
        """Use only the addresses that serve: streams at others move, and calls to silent ones are
        cut. If none serves, core counts as away and all calls are cut.

        `healths` is in the order of the addresses.
        """
        for endpoint, health in zip(self.endpoints, healths, strict=True):
            endpoint.serves = health is Health.SERVING
        self._some_serve = Health.SERVING in healths
        self._note_connected()
        for endpoint, health in zip(self.endpoints, healths, strict=True):
            if health is Health.SILENT or not self._some_serve:
                endpoint.cut_calls()
            if health is not Health.SERVING and self._some_serve:
                endpoint.cut_streams()
        self._even_out()
        for tell in self.checked:
            tell()

    def _even_out(self) -> None:
        """Move some streams from addresses that have more than their share.

        A core that has just come back gets few at a time, and its share in the end.
        """
        used = [endpoint for endpoint in self.endpoints if endpoint.usable]
        if len(used) < 2:
            return
        share = sum(len(endpoint.streams) for endpoint in used) / len(used)
        for endpoint in used:
            surplus = int(len(endpoint.streams) - share * (1 + _UNEVEN))
            endpoint.cut_streams(min(max(surplus, 0), self._limits.moves))

    async def _health(self, endpoint: Endpoint, timeout_s: float) -> Health:
        request, reply = health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            left_s = end - asyncio.get_running_loop().time()
            try:
                answer = await self._call(_HEALTH, request, reply, None, left_s, endpoint)
            except CoreError as error:
                if error.code == "UNIMPLEMENTED":
                    return Health.SERVING
                if error.code != "UNAVAILABLE" or left_s <= _RETRY_S:
                    return Health.SILENT
                await asyncio.sleep(_RETRY_S)  # It may just be connecting.
            else:
                return Health.SERVING if answer.status == reply.SERVING else Health.REFUSING

    async def _call(
        self,
        path: str,
        request: Message,
        reply: type[Reply],
        token: str | None,
        timeout_s: float,
        endpoint: Endpoint | None = None,
    ) -> Reply:
        endpoint = endpoint or self._pick()
        method = endpoint.channel.unary_unary(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token), timeout=max(timeout_s, 0))
        with self._under_way(endpoint, endpoint.calls, call):
            answer: Reply = await call
        return answer

    @contextlib.contextmanager
    def _under_way(
        self, endpoint: Endpoint, calls: set[Any], call: Any, cut: str = _AWAY
    ) -> Iterator[None]:
        """Count a call among those that can be cut, and cancel it at the end of the block.

        Raises CoreError where it fails; `cut` is the message where it was cut.
        """
        calls.add(call)
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._failed(error, endpoint) from None
        except asyncio.CancelledError:
            raise unless_cancelled(cut) from None
        finally:
            calls.discard(call)
            call.cancel()

    def _failed(self, error: grpc.aio.AioRpcError, endpoint: Endpoint) -> CoreError:
        """Answer the error, and leave an address whose core is gone or about to go."""
        told = read_error(error)
        if told.code == "UNAVAILABLE" and told.gone:
            endpoint.serves = False
        return told

    def _pick(self) -> Endpoint:
        candidates = self._candidates()
        return candidates[next(self._next) % len(candidates)]

    def _pick_for_stream(self) -> Endpoint:
        return min(self._candidates(), key=lambda endpoint: len(endpoint.streams))

    def _candidates(self) -> list[Endpoint]:
        ready = [endpoint for endpoint in self.endpoints if endpoint.ready] or self.endpoints
        return [endpoint for endpoint in ready if endpoint.serves] or ready

    async def _watch_endpoint(self, endpoint: Endpoint) -> None:
        while True:
            state = endpoint.channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.SHUTDOWN:
                return
            endpoint.ready = state is grpc.ChannelConnectivity.READY
            self._note_connected()
            await endpoint.channel.wait_for_state_change(state)

    def _note_connected(self) -> None:
        if self._some_serve and any(endpoint.ready for endpoint in self.endpoints):
            self._connected.set()
        else:
            self._connected.clear()


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)
