"""The interceptor: who is calling, and how an error leaves. No call passes without it.

Bytes that are not a message of the right type reach no handler; the answer is INVALID_ARGUMENT.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from core.errors import DOMAIN, Reason, Refusal
from core.law.command import Caller
from core.service.share import Pace
from core.service.stream import Ending
from core.strain import Strain
from holdfast.tokens import KeysUnavailable, TokenRefused, Verifier

log = logging.getLogger(__name__)

# grpcurl must be able to look around, and a balancer to ask, without a token.
_OPEN = ("/grpc.reflection.", "/grpc.health.")
_KEEPERS = frozenset({"admin", "service"})


# How much of a refused stream is read to its end, and for how long.
REST_BYTES, REST_S = 12 << 20, 10.0


@dataclass(frozen=True, slots=True)
class Verified:
    """Who makes a call, and until when the token is good (seconds since the epoch)."""

    caller: Caller
    expires_at_s: float
    # Seconds since the epoch; 0 where the token does not say.
    issued_at_s: float = 0.0


_verified: contextvars.ContextVar[Verified] = contextvars.ContextVar("verified")


def caller() -> Caller:
    """Answer who makes the call that is being handled."""
    return _verified.get().caller


def is_keeper() -> bool:
    """Whether the call is made by an admin or a service."""
    return not caller().roles.isdisjoint(_KEEPERS)


def require_keeper(what_is: str) -> None:
    """Refuse other callers: `what_is` begins the sentence, "RevokeTokens is". Raises Refusal."""
    if not is_keeper():
        raise Refusal(Reason.ROLE_MISSING, f"{what_is} for the roles admin and service.")


def ending() -> Ending:
    """Make the end of the stream that is being handled: that of its token."""
    verified = _verified.get()
    return Ending(verified.caller.user_id, verified.issued_at_s, verified.expires_at_s)


async def authenticate(verifier: Verifier, token: str) -> Verified:
    """Answer who calls. Raises Refusal TOKEN_INVALID, TOKEN_EXPIRED or KEYS_UNAVAILABLE."""
    try:
        identity = await verifier.verify(token)
    except TokenRefused as error:
        if error.revoked:
            text = "The token was revoked; sign in again."
            raise Refusal(Reason.TOKEN_REVOKED, text) from None
        if error.expired:
            text = "The token has expired; sign in again."
            raise Refusal(Reason.TOKEN_EXPIRED, text) from None
        raise Refusal(Reason.TOKEN_INVALID, f"The token is not valid: {error}.") from None
    except KeysUnavailable:
        text = "Tokens cannot be checked right now, for the key server is away; try again."
        raise Refusal(Reason.KEYS_UNAVAILABLE, text) from None
    return Verified(
        Caller(identity.user_id, frozenset(identity.roles)), identity.expires_at, identity.issued_at
    )


class _Malformed:
    """Stands in for a request that could not be read."""


_MALFORMED = _Malformed()
_MALFORMED_TEXT = (
    "The request is not a valid message of its type: wrong bytes, or text that is not UTF-8."
)


class Guard(grpc.aio.ServerInterceptor):
    """Checks the token of every call and turns every error into a canonical one."""

    def __init__(self, verifier: Verifier, pace: Pace, strain: Strain) -> None:
        self._verifier = verifier
        self._pace = pace
        self._strain = strain
        # What each method does behind the guard; a method's handler is always the same.
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            guarded = self._guarded[method] = self._guard(method, handler)
        return guarded

    def _guard(
        self, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        if method.startswith(_OPEN):
            return _readable(handler)
        read = _careful(handler.request_deserializer)
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                self._guard_telling(handler.stream_unary), read, handler.response_serializer
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._guard_talk(handler.stream_stream), read, _ready(handler.response_serializer)
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._guard_stream(handler.unary_stream), read, _ready(handler.response_serializer)
            )
        return grpc.unary_unary_rpc_method_handler(
            self._guard_unary(handler.unary_unary), read, handler.response_serializer
        )

    def _guard_unary(
        self, behave: Any, before_refusal: Callable[[Any], Awaitable[None]] | None = None
    ) -> Callable[..., Any]:
        async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            self._strain.call_began()
            try:
                await self._admit(request, context)
                return await behave(request, context)
            except Refusal as refusal:
                if before_refusal is not None:
                    await before_refusal(request)
                await _abort(context, refusal)
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    raise
                await _abort(context, _unexpected(error))
            finally:
                self._strain.call_ended()

        return guarded

    def _guard_telling(self, behave: Any) -> Callable[..., Any]:
        async def tell(requests: AsyncIterator[Any], context: Any) -> Any:
            return await behave(_heard(requests), context)

        return self._guard_unary(tell, _hear_out)

    def _guard_talk(self, behave: Any) -> Callable[..., Any]:
        async def talk(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            async with contextlib.aclosing(behave(_heard(requests), context)) as responses:
                async for response in responses:
                    yield response

        return self._guard_stream(talk)

    def _guard_stream(self, behave: Any) -> Callable[..., Any]:
        async def guarded(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            try:
                await self._admit(request, context)
                async with contextlib.aclosing(behave(request, context)) as responses:
                    async for response in responses:
                        yield response
            except Refusal as refusal:
                await _abort(context, refusal)
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    raise
                await _abort(context, _unexpected(error))

        return guarded

    async def _admit(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        verified = await authenticate(self._verifier, _bearer(context))
        _verified.set(verified)
        self._pace.take(verified.caller)
        _require_sound(request)


async def _hear_out(requests: AsyncIterator[Any]) -> None:
    """Read what is still coming of a refused stream, and ignore it.

    A client of grpc.aio that writes when its call ends says INTERNAL, and loses our reason.
    """
    left_bytes = REST_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_S):
            async for request in requests:
                left_bytes -= 0 if request is _MALFORMED else request.ByteSize()
                if left_bytes < 0:
                    return


async def _heard(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        _require_sound(request)
        yield request


def _require_sound(request: Any) -> None:
    if request is _MALFORMED:
        raise Refusal(Reason.REQUEST_MALFORMED, _MALFORMED_TEXT)


def _readable(handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
    """Have an open call refuse what it cannot read, which gRPC would log and call UNKNOWN."""
    read, write = _careful(handler.request_deserializer), handler.response_serializer
    # The types of gRPC's handlers are those of its synchronous half.
    stream: Any = handler.stream_stream
    watch: Any = handler.unary_stream
    ask: Any = handler.unary_unary
    if stream is not None:

        async def conversing(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            async for response in stream(_legible(requests, context), context):
                yield response

        return grpc.stream_stream_rpc_method_handler(conversing, read, write)
    if watch is not None:

        async def watching(request: Any, context: Any) -> None:
            await _refuse_malformed(request, context)
            try:
                await watch(request, context)  # Health writes to the context itself.
            except Refusal as refusal:
                await _abort(context, refusal)

        return grpc.unary_stream_rpc_method_handler(watching, read, write)

    async def asking(request: Any, context: Any) -> Any:
        await _refuse_malformed(request, context)
        return await ask(request, context)

    return grpc.unary_unary_rpc_method_handler(asking, read, write)


async def _legible(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    async for request in requests:
        await _refuse_malformed(request, context)
        yield request


async def _refuse_malformed(request: Any, context: Any) -> None:
    if request is _MALFORMED:
        await _abort(context, Refusal(Reason.REQUEST_MALFORMED, _MALFORMED_TEXT))


def _bearer(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                return token.strip()
    raise Refusal(
        Reason.TOKEN_MISSING, "Send metadata `authorization: Bearer <jwt>` with every call."
    )


def _careful(read: Callable[[bytes], Message] | None) -> Callable[[bytes], Any]:
    def reading(body: bytes) -> Any:
        try:
            return read(body) if read else body
        except (DecodeError, ValueError):
            return _MALFORMED

    return reading


def _ready(write: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """Pass on what is already bytes, because an event is serialized once for all watchers."""

    def writing(message: Any) -> bytes:
        if isinstance(message, bytes):
            return message
        assert write is not None
        return write(message)

    return writing


def _unexpected(error: Exception) -> Refusal:
    if isinstance(error, asyncio.TimeoutError):
        return Refusal(Reason.STORAGE_UNAVAILABLE, "This took too long; try again.")
    log.error("a call failed unexpectedly", exc_info=error)
    return Refusal(Reason.STORAGE_UNAVAILABLE, "Something went wrong here; try again.")


def rich_status(refusal: Refusal) -> status_pb2.Status:
    """Write a refusal as a google.rpc.Status with its details."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=refusal.reason.name,
            domain=DOMAIN,
            metadata={"retry": "true" if refusal.reason.retry else "false"},
        )
    ]
    if refusal.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=name, description=problem)
            for name, problem in refusal.fields.items()
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    status = status_pb2.Status(
        code=code_pb2.Code.Value(refusal.reason.code), message=refusal.message
    )
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


async def _abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    status = rich_status(refusal)
    await context.abort(
        grpc.StatusCode[refusal.reason.code],
        refusal.message,
        trailing_metadata=(("grpc-status-details-bin", status.SerializeToString()),),
    )
