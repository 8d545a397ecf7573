"""The calls that the bridge makes to core: as a user with that user's token, or as itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import attachment_service_pb2 as attachments
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service
from escrow.v1 import feed_service_pb2 as feed
from escrow.v1 import ledger_service_pb2 as ledger
from escrow.v1 import payment_service_pb2 as payments

from bridge.limits import Limits
from bridge.upstream.channel import Talk, Upstream
from bridge.upstream.endpoint import Endpoint, Tls
from bridge.upstream.error import CoreError
from bridge.upstream.turns import Turns
from holdfast.tokens import Identity

_ESCROWS = "/escrow.v1.EscrowService/"
_PAYMENTS = "/escrow.v1.PaymentService/"
_LEDGER = "/escrow.v1.LedgerService/"
_ADMIN = "/escrow.v1.AdminService/"
_ATTACHMENTS = "/escrow.v1.AttachmentService/"
_FEED = "/escrow.v1.FeedService/"

Answer = TypeVar("Answer")
WatchTalk = Talk[service.WatchManyRequest, service.WatchManyResponse]


class Core(Upstream):
    """Core's calls, with the limits of each."""

    def __init__(
        self, addresses: tuple[str, ...], token: str, limits: Limits, tls: Tls | None = None
    ) -> None:
        super().__init__(addresses, limits, tls)
        self._token = token
        self._turns = Turns(limits.core_calls)

    async def get_escrow_as(self, who: Identity, escrow_id: str) -> pb.Escrow:
        """Read the escrow as this user may see it, in turn. Raises CoreError."""
        reply = await self.in_turn(who.user_id, lambda: self._get_escrow(escrow_id, who.token))
        return reply.escrow

    async def in_turn(self, key: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make a call that only reads. Raises CoreError.

        Waits `core_wait_s` for a core that is away; for one that is only busy it waits in turn, one
        key (a user) after another, up to `core_busy_s`.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._limits.core_wait_s
        has_failed = False
        while True:
            await self.wait(give_up_s - loop.time())
            try:
                async with self._turns.turn(key):
                    return await call()
            except CoreError as error:
                if not error.gone or (has_failed and loop.time() >= give_up_s):
                    raise
            if not has_failed:
                # Also a call that has waited long in turn gives a core that has just gone a moment.
                has_failed = True
                give_up_s = max(give_up_s, loop.time() + self._limits.backoff_last_s)
            await asyncio.sleep(self._limits.backoff_first_s)

    async def _get_escrow(self, escrow_id: str, token: str) -> service.GetEscrowResponse:
        return await self.unary(
            _ESCROWS + "GetEscrow",
            service.GetEscrowRequest(escrow_id=escrow_id),
            service.GetEscrowResponse,
            token=token,
            timeout_s=self._limits.core_busy_s,
        )

    async def list_events(
        self, escrow_id: str, after_version: int, token: str | None = None
    ) -> list[pb.EscrowEvent]:
        """Read one page of the events after a version (exclusive), oldest first.

        Raises CoreError. It is UNAVAILABLE also if there are no events or one is missing, so that
        no gap is ever passed on.
        """
        reply = await self.unary(
            _ESCROWS + "ListEvents",
            service.ListEventsRequest(
                escrow_id=escrow_id,
                after_version=after_version,
                page_size=self._limits.catch_up_events,
            ),
            service.ListEventsResponse,
            token=token or self._token,
            repeatable=True,
        )
        versions = [event.version for event in reply.events]
        if not versions or versions != list(range(after_version + 1, versions[-1] + 1)):
            raise CoreError("UNAVAILABLE", "An event is missing from core's answer.")
        return list(reply.events)

    async def read_feed(
        self, user_id: str, after_position: int
    ) -> feed.FeedServiceListEventsResponse:
        """Read one page of the events after a position (exclusive), as the bridge itself, in turn.

        They are those that concern a user, or all where `user_id` is empty. Raises CoreError.
        """
        request = feed.FeedServiceListEventsRequest(
            after_position=after_position,
            page_size=self._limits.catch_up_events,
            user_id=user_id,
        )
        return await self.in_turn(
            user_id,
            lambda: self.unary(
                _FEED + "ListEvents",
                request,
                feed.FeedServiceListEventsResponse,
                token=self._token,
                timeout_s=self._limits.core_busy_s,
            ),
        )

    async def upload(
        self, header: attachments.UploadHeader, chunks: AsyncIterator[bytes], token: str
    ) -> attachments.UploadAttachmentResponse:
        """Pass a file on to core as it comes. What `chunks` raises goes through.

        Raises CoreError.
        """

        async def requests() -> AsyncGenerator[attachments.UploadAttachmentRequest]:
            yield attachments.UploadAttachmentRequest(header=header)
            async for chunk in chunks:
                yield attachments.UploadAttachmentRequest(chunk=chunk)

        async with contextlib.aclosing(requests()) as parts:
            return await self.send(
                _ATTACHMENTS + "UploadAttachment",
                parts,
                attachments.UploadAttachmentResponse,
                token=token,
                timeout_s=self._limits.attachment_s,
            )

    def download(
        self, escrow_id: str, file_id: str, token: str
    ) -> AsyncGenerator[attachments.DownloadAttachmentResponse, None]:
        """Read a file: first what it is, then its bytes. Raises CoreError."""
        return self.receive(
            _ATTACHMENTS + "DownloadAttachment",
            attachments.DownloadAttachmentRequest(escrow_id=escrow_id, file_id=file_id),
            attachments.DownloadAttachmentResponse,
            token=token,
            timeout_s=self._limits.attachment_s,
        )

    async def ingest_webhook(self, body: bytes, signature: str, event_id: str) -> str:
        """Pass one webhook to core; answer its outcome in lower case. Raises CoreError."""
        reply = await self.unary(
            _PAYMENTS + "IngestWebhook",
            payments.IngestWebhookRequest(body=body, signature=signature, event_id=event_id),
            payments.IngestWebhookResponse,
            token=self._token,
            timeout_s=self._limits.webhook_s,
            repeatable=True,
        )
        outcome = payments.WebhookOutcome.Name(reply.outcome)
        return outcome.removeprefix("WEBHOOK_OUTCOME_").lower()

    async def greet(self) -> None:
        """Make a call with the bridge's own token that costs core nothing. Raises CoreError."""
        await self.unary(
            _ESCROWS + "GetDefaults",
            service.GetDefaultsRequest(),
            service.GetDefaultsResponse,
            token=self._token,
            timeout_s=self._limits.standing_s,
        )

    async def last_check(self) -> ledger.GetLastCheckResponse:
        """Read the result of core's last check of the books. Raises CoreError."""
        return await self.unary(
            _LEDGER + "GetLastCheck",
            ledger.GetLastCheckRequest(),
            ledger.GetLastCheckResponse,
            token=self._token,
            timeout_s=self._limits.books_s,
        )

    def watch_revocations(self) -> AsyncGenerator[admin.WatchRevocationsResponse, None]:
        """Hear of revoked tokens: first of all, then of each. Raises CoreError at its end."""
        return self.stream(
            _ADMIN + "WatchRevocations",
            admin.WatchRevocationsRequest(),
            admin.WatchRevocationsResponse,
            token=self._token,
            silence_s=self._limits.watch_silence_s,
        )

    def watch_many(self, endpoint: Endpoint) -> AbstractAsyncContextManager[WatchTalk]:
        """Open a stream of watches, as the bridge itself; each watch has a token of its own."""
        return self.talk(
            endpoint,
            _ESCROWS + "WatchMany",
            service.WatchManyRequest,
            service.WatchManyResponse,
            token=self._token,
        )

    def follow(
        self, user_id: str, after_position: int | None
    ) -> AsyncGenerator[service.WatchEscrowResponse, None]:
        """Follow all that concerns a user, or everything where `user_id` is empty, as the bridge
        itself: from a position (exclusive) on, or with snapshots first.

        Ends, or raises CoreError, with the stream.
        """
        return self.stream(
            _ESCROWS + "WatchEscrow",
            service.WatchEscrowRequest(user_id=user_id, after_position=after_position),
            service.WatchEscrowResponse,
            token=self._token,
            silence_s=self._limits.watch_silence_s,
        )
