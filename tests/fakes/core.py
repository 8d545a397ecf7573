"""A core in memory that speaks real gRPC: enough for a bridge, with ways to make it misbehave.

Its data and its port stay the same after `stop` and `start`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
import jwt
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service
from escrow.v1 import ledger_service_pb2 as ledger
from escrow.v1 import payment_service_pb2 as payments
from escrow.v1.escrow_service_pb2_grpc import (
    EscrowServiceServicer,
    add_EscrowServiceServicer_to_server,
)
from escrow.v1.feed_service_pb2_grpc import add_FeedServiceServicer_to_server
from escrow.v1.ledger_service_pb2_grpc import (
    LedgerServiceServicer,
    add_LedgerServiceServicer_to_server,
)
from escrow.v1.payment_service_pb2_grpc import (
    PaymentServiceServicer,
    add_PaymentServiceServicer_to_server,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from tests.fakes.manywatch import ManyWatch
from tests.fakes.order import FakeFeed, parties, sees_all
from tests.fakes.port import free_port

PAGE = 100


class FakeCore(EscrowServiceServicer, PaymentServiceServicer, LedgerServiceServicer):
    """Starts on a free port. `create` and `append` stand for what other clients do."""

    def __init__(self, secret: str) -> None:
        self.records: dict[str, list[pb.EscrowEvent]] = {}
        # Every event; its position is its place, counted from 1.
        self.order: list[pb.EscrowEvent] = []
        self.calls: Counter[str] = Counter()
        self.webhooks: list[payments.IngestWebhookRequest] = []
        self.outcome = payments.WEBHOOK_OUTCOME_APPLIED
        self.check = ledger.GetLastCheckResponse()
        self.watching = 0
        # The streams of WatchMany that are open.
        self.many: list[ManyWatch] = []
        # By RPC: the code and the reason with which every call is refused; `Open` is a watch that
        # is opened on WatchMany.
        self.refusals: dict[str, tuple[grpc.StatusCode, str]] = {}
        # GetEscrow and `Open` wait while this is cleared.
        self.answering = asyncio.Event()
        self.answering.set()
        # WatchEscrow waits between the position and the snapshots while this is cleared.
        self.showing = asyncio.Event()
        self.showing.set()
        # What FeedService.ListEvents has read waits while this is cleared.
        self.replying = asyncio.Event()
        self.replying.set()
        self.heartbeat_s = 15.0
        # Changes what a watcher is sent; None sends nothing.
        self.tamper: Callable[[pb.EscrowEvent], pb.EscrowEvent | None] = lambda event: event
        self.credentials: grpc.ServerCredentials | None = None
        self.port = 0
        self._secret = secret
        # Rung by each event. Two cores on one record share one.
        self.bell = asyncio.Condition()
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()
        self._feed = FakeFeed(self)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        # Two cores on one port would each get half of the calls.
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_EscrowServiceServicer_to_server(self, server)
        add_PaymentServiceServicer_to_server(self, server)
        add_LedgerServiceServicer_to_server(self, server)
        add_FeedServiceServicer_to_server(self._feed, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        # Not localhost, which has two addresses: if another process has the port on one of them,
        # gRPC listens on the other alone, and half of the calls go to that process. And not a port
        # of the kernel's choice, which it might give away between `stop` and `start`.
        self.port = self.port or free_port()
        at = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = server.add_insecure_port(at)
        else:
            self.port = server.add_secure_port(at, self.credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Stop at once: streams break, as with SIGKILL."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
        self.watching = 0

    async def break_streams(self) -> None:
        """End every WatchMany, while all else goes on."""
        async with self.bell:
            for many in self.many:
                many.is_broken = True
            self.bell.notify_all()

    async def set_serving(self, serving: bool) -> None:
        told = health_pb2.HealthCheckResponse
        await self._health.set("", told.SERVING if serving else told.NOT_SERVING)

    async def create(self, escrow_id: str, **fields: Any) -> pb.Escrow:
        fields = {"buyer_id": "buyer", "seller_id": "seller", "title": "A cow", **fields}
        escrow = pb.Escrow(
            escrow_id=escrow_id,
            amount=pb.Money(amount_minor=100_000, currency="INR"),
            status=pb.ESCROW_STATUS_INITIATED,
            **fields,
        )
        escrow.create_time.GetCurrentTime()
        self.records[escrow_id] = []
        await self.append(escrow_id, pb.EVENT_TYPE_ESCROW_CREATED, escrow=escrow)
        return self.escrow(escrow_id)

    async def append(
        self,
        escrow_id: str,
        kind: pb.EventType.ValueType = pb.EVENT_TYPE_UPDATE_PUBLISHED,
        *,
        escrow: pb.Escrow | None = None,
        status: pb.EscrowStatus.ValueType | None = None,
        data: dict[str, Any] | None = None,
        **fields: Any,
    ) -> pb.EscrowEvent:
        """Make the next event, and send it to the watchers."""
        record = self.records[escrow_id]
        after = pb.Escrow()
        after.CopyFrom(escrow or self.escrow(escrow_id))
        old = self.escrow(escrow_id).status if record else pb.ESCROW_STATUS_UNSPECIFIED
        after.version = len(record) + 1
        after.status = status or after.status
        after.update_time.GetCurrentTime()
        event = pb.EscrowEvent(
            escrow_id=escrow_id,
            version=after.version,
            type=kind,
            actor_id="service",
            old_status=old,
            new_status=after.status,
            escrow=after,
            **fields,
        )
        event.create_time.GetCurrentTime()
        event.data.update(data or {})
        record.append(event)
        self.order.append(event)
        async with self.bell:
            self.bell.notify_all()
        return event

    def has_more(self, rpc: str, calls: int) -> bool:
        """Whether a call was made more often than so."""
        return self.calls[rpc] > calls

    def escrow(self, escrow_id: str) -> pb.Escrow:
        return self.records[escrow_id][-1].escrow

    async def GetEscrow(self, request: service.GetEscrowRequest, context: Any) -> Any:
        await self.enter("GetEscrow", context)
        await self.answering.wait()
        return service.GetEscrowResponse(escrow=await self._see(request.escrow_id, context))

    async def ListEscrows(self, request: service.ListEscrowsRequest, context: Any) -> Any:
        await self.enter("ListEscrows", context)
        claims = await self.claims(context)
        newest_first = [record[-1].escrow for record in reversed(self.records.values())]
        concerned = [one for one in newest_first if request.party in parties(one)]
        if not sees_all(claims):
            concerned = [one for one in concerned if claims["sub"] in parties(one)]
        start = int(request.page_token or 0)
        end = start + (request.page_size or PAGE)
        return service.ListEscrowsResponse(
            escrows=concerned[start:end], next_page_token=str(end) if concerned[end:] else ""
        )

    async def ListEvents(self, request: service.ListEventsRequest, context: Any) -> Any:
        await self.enter("ListEvents", context)
        await self._see(request.escrow_id, context)
        rest = self.records[request.escrow_id][request.after_version :]
        size = request.page_size or PAGE
        return service.ListEventsResponse(events=rest[:size], has_more=len(rest) > size)

    async def WatchEscrow(
        self, request: service.WatchEscrowRequest, context: Any
    ) -> AsyncIterator[service.WatchEscrowResponse]:
        await self.enter("WatchEscrow", context)
        if not request.escrow_id and (request.user_id or sees_all(await self.claims(context))):
            async for response in self._feed.follow(request, context):
                yield response
            return
        await self._see(request.escrow_id, context)
        self.watching += 1
        try:
            async for response in self._live(request.escrow_id, request.after_version):
                yield response
        finally:
            self.watching = max(self.watching - 1, 0)

    async def WatchMany(
        self, requests: AsyncIterator[service.WatchManyRequest], context: Any
    ) -> AsyncIterator[service.WatchManyResponse]:
        await self.enter("WatchMany", context)
        await self.claims(context)
        many = ManyWatch(self)
        self.many.append(many)
        try:
            async for response in many.serve(requests):
                yield response
        finally:
            self.many.remove(many)

    def judge(self, token: str, escrow_id: str) -> tuple[grpc.StatusCode, str] | None:
        self.calls["Open"] += 1
        if "Open" in self.refusals:
            return self.refusals["Open"]
        claims = self._read(token)
        if claims is None:
            return grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"
        record = self.records.get(escrow_id)
        if record is None or not _may_see(claims, record[-1].escrow):
            return grpc.StatusCode.NOT_FOUND, "ESCROW_NOT_FOUND"
        return None

    async def _live(
        self, escrow_id: str, version: int
    ) -> AsyncIterator[service.WatchEscrowResponse]:
        record = self.records[escrow_id]
        while True:
            for event in record[version:]:
                sent = self.tamper(event)
                if sent is not None:
                    yield service.WatchEscrowResponse(event=sent)
                version = event.version
            async with self.bell:
                try:
                    async with asyncio.timeout(self.heartbeat_s):
                        while len(record) <= version:
                            await self.bell.wait()
                except TimeoutError:
                    beat = service.Heartbeat(version=version)
                    yield service.WatchEscrowResponse(heartbeat=beat)

    async def IngestWebhook(self, request: payments.IngestWebhookRequest, context: Any) -> Any:
        await self.enter("IngestWebhook", context)
        if "service" not in (await self.claims(context))["roles"]:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
        self.webhooks.append(request)
        return payments.IngestWebhookResponse(outcome=self.outcome)

    async def GetDefaults(self, request: service.GetDefaultsRequest, context: Any) -> Any:
        await self.enter("GetDefaults", context)
        await self.claims(context)
        await self.answering.wait()
        return service.GetDefaultsResponse()

    async def GetLastCheck(self, request: ledger.GetLastCheckRequest, context: Any) -> Any:
        await self.enter("GetLastCheck", context)
        if "service" not in (await self.claims(context))["roles"]:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
        await self.answering.wait()
        return self.check

    async def enter(self, name: str, context: Any) -> None:
        self.calls[name] += 1
        if name in self.refusals:
            await _refuse(context, *self.refusals[name])

    async def claims(self, context: Any) -> dict[str, Any]:
        metadata = dict(context.invocation_metadata())
        token = str(metadata.get("authorization", "")).removeprefix("Bearer ")
        claims = self._read(token)
        if claims is None:
            await _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
        return claims

    def _read(self, token: str) -> dict[str, Any] | None:
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, ["HS256"])
        except jwt.PyJWTError:
            return None
        return {"roles": ["user"], **claims}

    async def refuse(self, context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
        await _refuse(context, code, reason)

    async def _see(self, escrow_id: str, context: Any) -> pb.Escrow:
        claims = await self.claims(context)
        if escrow_id not in self.records:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "ESCROW_NOT_FOUND")
        escrow = self.escrow(escrow_id)
        if not _may_see(claims, escrow):
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "ESCROW_NOT_FOUND")
        return escrow


def _may_see(claims: dict[str, Any], escrow: pb.Escrow) -> bool:
    return claims["sub"] in parties(escrow) or sees_all(claims)


async def _refuse(context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="holdfast"))
    status = status_pb2.Status(
        code=code_pb2.Code.Value(code.name), message=f"refused: {reason}", details=[detail]
    )
    rich = rpc_status.to_status(status)
    await context.abort(code, rich.details, rich.trailing_metadata)
    raise AssertionError("abort always raises")


def fake_core(secret: str) -> FakeCore:
    """Make one whose tokens are signed with `secret`. Other RPCs answer UNIMPLEMENTED."""
    return FakeCore(secret)  # type: ignore[abstract]
