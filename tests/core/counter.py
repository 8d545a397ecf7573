"""A whole core behind a real gRPC channel, and callers of it."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import jwt
from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import attachment_service_pb2 as attachments
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import feed_service_pb2 as feed
from escrow.v1 import ledger_service_pb2 as ledger
from escrow.v1 import payment_service_pb2 as payments
from escrow.v1 import profile_service_pb2 as profiles
from escrow.v1 import webhook_service_pb2 as webhooks
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from pydantic import SecretStr

from core.config import Settings
from core.server import SERVICES, Core, serving
from scripts.sandbox import Sandbox
from tests.core.till import QUICK
from tests.fakes.visitor import Visitor

SECRET = "a secret for the tests of core, 32 bytes and more"
WEBHOOK_SECRET = "whsec_of_the_tests"
LIMIT_S = 20.0
FILES: tuple[Any, ...] = (escrows, payments, admin, ledger, feed, webhooks, attachments, profiles)
# By the names of their requests, which are their own names but where two are alike.
DESCRIPTORS = {
    method.input_type.name.removesuffix("Request"): method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# The calls of the books and of the feed are for two roles only, whoever the parties are.
UNARY = sorted(
    name
    for name, method in DESCRIPTORS.items()
    if not (method.server_streaming or method.client_streaming)
    and method.containing_service.name not in ("LedgerService", "FeedService")
)


def messages_of(name: str) -> Any:
    """The module that has the messages of a call."""
    return next(m for m in FILES if hasattr(m, f"{name}Request"))


def token(user_id: str, *roles: str, secret: str = SECRET, **claims: Any) -> str:
    body = {"sub": user_id, "roles": list(roles) or ["user"], "exp": int(time.time()) + 3600}
    return jwt.encode(body | claims, secret, algorithm="HS256")


class Failed(Exception):
    """A call failed: its code, and the reason, the fields and the retry advice of its details."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code().name
        self.message = error.details() or ""
        self.reason, self.retry, self.domain, self.fields = "", "", "", dict[str, str]()
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin" and isinstance(value, bytes):
                self._read(status_pb2.Status.FromString(value))

    def _read(self, status: status_pb2.Status) -> None:
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.domain = info.reason, info.domain
                self.retry = info.metadata["retry"]
            elif detail.Unpack(bad):
                self.fields = {v.field: v.description for v in bad.field_violations}


class Counter:
    """Calls RPCs by their names, as anybody."""

    def __init__(self, core: Core, channel: grpc.aio.Channel, sandbox: Sandbox) -> None:
        self.core = core
        self.channel = channel
        self.sandbox = sandbox

    async def send(self, name: str, body: bytes, bearer: str | None) -> bytes:
        """Call with bytes, whatever they are."""
        rpc = DESCRIPTORS[name]
        metadata = [] if bearer is None else [("authorization", f"Bearer {bearer}")]
        try:
            method: Any = self.channel.unary_unary(
                f"/{rpc.containing_service.full_name}/{rpc.name}"
            )
            answer: bytes = await method(body, metadata=metadata, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None
        return answer

    async def call(self, request: Message, user_id: str = "buyer-1", *roles: str) -> Any:
        name = type(request).__name__.removesuffix("Request")
        answer = await self.send(name, request.SerializeToString(), token(user_id, *roles))
        return _answer_type(name).FromString(answer)

    async def watch(
        self, request: escrows.WatchEscrowRequest, bearer: str
    ) -> AsyncIterator[escrows.WatchEscrowResponse]:
        stream = self.channel.unary_stream(
            f"/{SERVICES[0]}/WatchEscrow",
            request_serializer=escrows.WatchEscrowRequest.SerializeToString,
            response_deserializer=escrows.WatchEscrowResponse.FromString,
        )(request, metadata=[("authorization", f"Bearer {bearer}")], timeout=LIMIT_S)
        try:
            async for response in stream:
                yield response
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None
        finally:
            stream.cancel()

    async def upload(
        self, header: attachments.UploadHeader, body: bytes, user_id: str = "buyer-1", *roles: str
    ) -> attachments.Attachment:
        """Upload a file in two pieces."""
        half = len(body) // 2
        parts = [
            attachments.UploadAttachmentRequest(header=header),
            attachments.UploadAttachmentRequest(chunk=body[:half]),
            attachments.UploadAttachmentRequest(chunk=body[half:]),
        ]
        return await self.upload_parts(parts, user_id, *roles)

    async def upload_parts(
        self, parts: Iterable[attachments.UploadAttachmentRequest], user_id: str, *roles: str
    ) -> attachments.Attachment:
        method: Any = self.channel.stream_unary(
            "/escrow.v1.AttachmentService/UploadAttachment",
            request_serializer=attachments.UploadAttachmentRequest.SerializeToString,
            response_deserializer=attachments.UploadAttachmentResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {token(user_id, *roles)}")]
        try:
            answer = await method(iter(parts), metadata=metadata, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None
        stored: attachments.Attachment = answer.attachment
        return stored

    async def download(
        self, escrow_id: str, file_id: str, user_id: str = "buyer-1", *roles: str
    ) -> tuple[attachments.Attachment, bytes]:
        method: Any = self.channel.unary_stream(
            "/escrow.v1.AttachmentService/DownloadAttachment",
            request_serializer=attachments.DownloadAttachmentRequest.SerializeToString,
            response_deserializer=attachments.DownloadAttachmentResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {token(user_id, *roles)}")]
        request = attachments.DownloadAttachmentRequest(escrow_id=escrow_id, file_id=file_id)
        call = method(request, metadata=metadata, timeout=LIMIT_S)
        try:
            parts = [part async for part in call]
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None
        return parts[0].attachment, b"".join(part.chunk for part in parts[1:])

    async def create(self, **changes: Any) -> pb.Escrow:
        answer = await self.call(new_escrow(**changes))
        made: pb.Escrow = answer.escrow
        return made

    async def count(self) -> int:
        answer = await self.call(escrows.ListEscrowsRequest(page_size=200), "admin-1", "admin")
        return len(answer.escrows)


def _answer_type(name: str) -> Any:
    return getattr(messages_of(name), f"{name}Response")


def new_escrow(**changes: Any) -> escrows.CreateEscrowRequest:
    fields: dict[str, Any] = {
        "buyer_id": "buyer-1",
        "seller_id": "seller-1",
        "arbiter_id": "arbiter-1",
        "title": "A bicycle",
        "amount": pb.Money(amount_minor=100_000, currency="INR"),
        **changes,
    }
    return escrows.CreateEscrowRequest(**fields)


async def pay(counter: Counter, escrow_id: str) -> payments.ConfirmPaymentRequest:
    """Start the payment and pay; answers Checkout's callback, not yet made."""
    started = await counter.call(payments.StartPaymentRequest(escrow_id=escrow_id))
    async with Visitor(counter.sandbox) as buyer:
        _, told = await buyer.door(
            "POST", f"/orders/{started.order_id}/pay", {"outcome": "captured"}
        )
    return payments.ConfirmPaymentRequest(
        escrow_id=escrow_id,
        order_id=told["razorpay_order_id"],
        payment_id=told["razorpay_payment_id"],
        signature=told["razorpay_signature"],
    )


@contextlib.asynccontextmanager
async def open_counter(database_url: str, **more: Any) -> AsyncIterator[Counter]:
    """Serve on a free port, with a sandbox; `more` are settings of core."""
    async with Sandbox(process_delay_s=0.01) as sandbox:
        settings = Settings(
            database_url=database_url,
            core_listen="127.0.0.1:0",
            jwt_secret=SecretStr(SECRET),
            razorpay_key_id=sandbox.key_id,
            razorpay_key_secret=SecretStr(sandbox.key_secret),
            razorpay_webhook_secret=SecretStr(WEBHOOK_SECRET),
            razorpay_base_url=sandbox.base_url,
            **more,
        )
        async with (
            serving(settings, patience=QUICK) as core,
            grpc.aio.insecure_channel(f"127.0.0.1:{core.port}") as channel,
        ):
            yield Counter(core, channel, sandbox)
