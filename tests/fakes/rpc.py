"""A gRPC client without proto files: it learns the API from the server's reflection."""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

PACKAGE = "escrow.v1."
LIMIT_S = 15.0
INSIST_LIMIT_S = 45.0
AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")


@dataclass
class Refused(Exception):
    """A call that failed: its canonical code, and what ErrorInfo and BadRequest say."""

    code: str
    message: str
    reason: str = ""
    domain: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message} {self.fields or ''}"


class Api:
    """Every method of the services of Holdfast, as a running core describes them."""

    def __init__(self, address: str) -> None:
        with grpc.insecure_channel(address) as channel:
            told = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(told)
            self.services = sorted(told.get_services())
            # Look everything up now: the pool asks the server for what it does not know.
            ours = [name for name in self.services if name.startswith(PACKAGE)]
            # By the names of their requests, which are their own names but where two are alike.
            self.methods: dict[str, MethodDescriptor] = {
                method.input_type.name.removesuffix("Request"): method
                for name in ours
                for method in pool.FindServiceByName(name).methods
            }
            self._enums = {
                name: pool.FindEnumTypeByName(PACKAGE + name)
                for name in ("EscrowStatus", "EventType", "PaymentStatus", "AttentionCode")
            }

    def request(self, rpc: str, fields: dict[str, Any]) -> Any:
        """Make a request from values as the JSON mapping of proto3 writes them."""
        return json_format.ParseDict(fields, self._class(self.methods[rpc].input_type))

    def answer(self, rpc: str) -> Any:
        return self._class(self.methods[rpc].output_type)

    def number(self, enum: str, name: str) -> int:
        """The number of an enum's value by its name without prefix."""
        return int(self._enums[enum].values_by_name[_prefix(enum) + name].number)

    def name(self, enum: str, number: int) -> str:
        """The name of an enum's value, without prefix."""
        name: str = self._enums[enum].values_by_number[number].name
        return name.removeprefix(_prefix(enum))

    def path(self, rpc: str) -> str:
        method = self.methods[rpc]
        return f"/{method.containing_service.full_name}/{method.name}"

    def _class(self, kind: Any) -> Any:
        return GetMessageClass(kind)()


def _prefix(enum: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum).upper() + "_"


class Caller:
    """A user with a token and a channel."""

    def __init__(self, api: Api, channel: grpc.aio.Channel, user_id: str, token: str) -> None:
        self.api = api
        self.user_id = user_id
        self.token = token
        self._channel = channel

    async def call(self, rpc: str, **fields: Any) -> Any:
        """Make a unary call. Raises Refused."""
        return await self.send(rpc, self.api.request(rpc, fields).SerializeToString())

    async def insist(self, rpc: str, **fields: Any) -> Any:
        """Repeat a unary call, under one request id, until core answers it."""
        body = self.api.request(rpc, {"request_id": secrets.token_hex(8), **fields})
        async with asyncio.timeout(INSIST_LIMIT_S):
            while True:
                try:
                    return await self.send(rpc, body.SerializeToString(), wait_for_ready=True)
                except Refused as refusal:
                    if refusal.code not in AWAY:
                        raise

    async def send(self, rpc: str, body: bytes, *, wait_for_ready: bool = False) -> Any:
        """Make a unary call with exactly these bytes. Raises Refused."""
        method: Any = self._channel.unary_unary(
            self.api.path(rpc), response_deserializer=type(self.api.answer(rpc)).FromString
        )
        try:
            return await method(
                body,
                metadata=self._metadata(),
                timeout=LIMIT_S,
                wait_for_ready=wait_for_ready,
            )
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None

    async def tell(self, rpc: str, parts: Sequence[dict[str, Any]]) -> Any:
        """Make a call whose request is a stream of these. Raises Refused."""
        method: Any = self._channel.stream_unary(
            self.api.path(rpc), response_deserializer=type(self.api.answer(rpc)).FromString
        )
        bodies = [self.api.request(rpc, part).SerializeToString() for part in parts]
        try:
            return await method(iter(bodies), metadata=self._metadata(), timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None

    async def refusal(self, rpc: str, **fields: Any) -> Refused:
        """Make a unary call that must fail; answer its error."""
        try:
            answer = await self.call(rpc, **fields)
        except Refused as error:
            return error
        raise AssertionError(f"{rpc} was not refused: {answer}")

    async def watch(
        self, escrow_id: str, after: int | None = None, limit_s: float = LIMIT_S
    ) -> AsyncGenerator[Any]:
        """Yield every message of WatchEscrow. Raises Refused."""
        fields: dict[str, Any] = {"escrow_id": escrow_id}
        if after is not None:
            fields["after_version"] = after
        async for message in self.stream("WatchEscrow", limit_s, **fields):
            yield message

    async def stream(
        self, rpc: str, limit_s: float = LIMIT_S, **fields: Any
    ) -> AsyncGenerator[Any]:
        """Every message of a server stream. Raises Refused."""
        method: Any = self._channel.unary_stream(
            self.api.path(rpc),
            response_deserializer=type(self.api.answer(rpc)).FromString,
        )
        body = self.api.request(rpc, fields).SerializeToString()
        call = method(body, metadata=self._metadata(), timeout=limit_s)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None
        finally:
            call.cancel()

    async def follow(self, escrow_id: str, seen: list[Any], limit_s: float = LIMIT_S) -> Refused:
        """Watch from the first event, append each message, and answer the error at the end."""
        try:
            async for message in self.watch(escrow_id, 0, limit_s):
                seen.append(message)  # noqa: PERF401 - it must grow while it is awaited
        except Refused as refusal:
            return refusal
        raise AssertionError("the stream ended without an error")

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def refused(error: grpc.aio.AioRpcError) -> Refused:
    """Read a failed call's status and its details."""
    told = Refused(error.code().name, error.details() or "")
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            _read_details(told, status_pb2.Status.FromString(value))
    return told


def _read_details(told: Refused, status: Any) -> None:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(info):
            told.reason, told.domain = info.reason, info.domain
        elif detail.Unpack(bad):
            told.fields = {v.field: v.description for v in bad.field_violations}
