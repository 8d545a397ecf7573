"""The gRPC client of core: a channel for each address, calls that wait for core, and streams.

With endpoint.py the only module of the bridge that imports gRPC. Must never start a call that it
does not cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from bridge.limits import Limits
from bridge.upstream.endpoint import Endpoint, Health, Tls

Reply = TypeVar("Reply", bound=Message)
Asked = TypeVar("Asked", bound=Message)

_HEALTH = "/grpc.health.v1.Health/Check"
_RETRY_S = 0.05
_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
# Reasons of UNAVAILABLE with which another core may do better: gRPC's own, and that of a core that
# drains. A core that lacks its database says so in its health too.
_GONE = frozenset({"", "SHUTTING_DOWN"})
# How much more than its share of the streams an address may keep, so that few move to and fro.
_UNEVEN = 0.05


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

    @property
    def gone(self) -> bool:
        """Whether core went or is about to, so that what only reads may be asked again.

        A core that stops at once cancels the calls that it was answering.
        """
        return self.code in ("UNAVAILABLE", "CANCELLED") and self.reason in _GONE


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
        except grpc.aio.AioRpcError as error:
            raise self._failed(error) from None
        except asyncio.InvalidStateError:  # It has ended; `hear` knows why.
            raise CoreError("UNAVAILABLE", "Core has ended the stream.") from None
        except asyncio.CancelledError:
            raise _unless_cancelled("The stream moves to another core.") from None

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
            raise _unless_cancelled("The stream moves to another core.") from None
        if not isinstance(message, self._reply):
            raise CoreError("UNAVAILABLE", "Core has ended the stream.")
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
        come for `silence_s`, and if it has to move to another core."""
        endpoint = self._pick_for_stream()
        method = endpoint.channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = method(request, metadata=_metadata(token))
        endpoint.streams.add(call)
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
            raise self._failed(error, endpoint) from None
        except asyncio.CancelledError:
            raise _unless_cancelled("The stream moves to another core.") from None
        finally:
            endpoint.streams.discard(call)
            call.cancel()

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
        endpoint.calls.add(call)
        try:
            answer: Reply = await call
        except grpc.aio.AioRpcError as error:
            raise self._failed(error, endpoint) from None
        except asyncio.CancelledError:
            raise _unless_cancelled("Core is unavailable. Try again.") from None
        finally:
            endpoint.calls.discard(call)
            call.cancel()
        return answer

    def _failed(self, error: grpc.aio.AioRpcError, endpoint: Endpoint) -> CoreError:
        """Answer the error, and leave an address whose core is gone or about to go."""
        told = _core_error(error)
        if told.code == "UNAVAILABLE" and told.reason in _GONE:
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


def _unless_cancelled(message: str) -> BaseException:
    """The error of a call that was cut here; a task that was itself cancelled stays so."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        return asyncio.CancelledError()
    return CoreError("UNAVAILABLE", message)


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
