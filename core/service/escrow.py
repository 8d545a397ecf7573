"""EscrowService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as rpc
from escrow.v1 import escrow_service_pb2_grpc as service
from google.protobuf import json_format

from core.errors import Reason, Refusal
from core.execute import Executor
from core.law import command as c
from core.law.command import Caller, Command
from core.law.escrow import Escrow
from core.law.message import escrow_message, timestamp
from core.law.rules import may_see
from core.live.feed import Feed
from core.live.follow import Followers, SnapshotsEnd, Told
from core.service import check, listing, text
from core.service.agreement import default_terms, new_escrow
from core.service.check import Check
from core.service.guard import caller, ending
from core.service.share import Quota, Shares
from core.service.stream import Endings, event_response, until
from core.service.watches import Watches
from core.settlement.override import Overrider
from core.storage.position import Placed
from core.storage.store import Store
from holdfast.revocation import Revocations

# Events in one page of ListEvents: where the call names no size, and at most.
DEFAULT_EVENTS, MAX_EVENTS = 100, 500
# What a service or an admin may name in place of a user, to follow everything.
EVERYTHING = "*"


async def visible(store: Store, escrow_id: str, who: Caller) -> Escrow:
    """Load an escrow that the caller may see. Raises Refusal ESCROW_NOT_FOUND."""
    escrow = await store.escrow(check.escrow_id(escrow_id))
    if escrow is None or not may_see(escrow, who):
        raise Refusal(Reason.ESCROW_NOT_FOUND, "There is no such escrow.")
    return escrow


class EscrowService(service.EscrowServiceServicer):
    """The life of an escrow over gRPC."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        feed: Feed,
        followers: Followers,
        *,
        new_id: Callable[[], str],
        fee_bps: int,
        remind_before_us: int,
        overrider: Overrider,
        watches: Watches,
        shares: Shares | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._feed = feed
        self._followers = followers
        self._new_id = new_id
        self._fee_bps = fee_bps
        self._remind_before_us = remind_before_us
        self._overrider = overrider
        self._watches = watches
        self._quota = Quota(store, shares or Shares())
        self._endings = Endings(revocations or Revocations())

    async def _run(self, request: Any, command: Command, escrow_id: str) -> pb.Escrow:
        who = caller()
        answer = await self._executor.execute(
            command,
            escrow_id=escrow_id,
            caller=who,
            cause=check.cause(who, request.request_id),
            fingerprint=check.fingerprint(request),
        )
        return answer.escrow

    async def CreateEscrow(
        self, request: rpc.CreateEscrowRequest, context: Any
    ) -> rpc.CreateEscrowResponse:
        escrow_id = self._new_id()
        command = new_escrow(
            request,
            escrow_id,
            fee_bps=self._fee_bps,
            remind_before_us=self._remind_before_us,
        )
        who = caller()
        async with self._quota.creating(who, command.buyer_id, command.seller_id):
            escrow = await self._run(request, command, escrow_id)
        return rpc.CreateEscrowResponse(escrow=escrow)

    async def GetDefaults(
        self, request: rpc.GetDefaultsRequest, context: Any
    ) -> rpc.GetDefaultsResponse:
        return rpc.GetDefaultsResponse(fee_bps=self._fee_bps, terms=default_terms())

    async def GetEscrow(self, request: rpc.GetEscrowRequest, context: Any) -> rpc.GetEscrowResponse:
        escrow = await visible(self._store, request.escrow_id, caller())
        return rpc.GetEscrowResponse(escrow=escrow_message(escrow))

    async def ListEscrows(
        self, request: rpc.ListEscrowsRequest, context: Any
    ) -> rpc.ListEscrowsResponse:
        asked = listing.read(request, caller())
        page = await listing.answer(self._store, asked)
        reached_us = page.reached_us
        return rpc.ListEscrowsResponse(
            escrows=[escrow_message(e) for e in page.escrows],
            next_page_token=page.token,
            totals=await listing.totals(self._store, asked),
            reached_time=None if reached_us is None else timestamp(reached_us),
        )

    async def CancelEscrow(
        self, request: rpc.CancelEscrowRequest, context: Any
    ) -> rpc.CancelEscrowResponse:
        escrow_id = _checked(request, note=check.MAX_NOTE)
        command = c.CancelEscrow(request.note)
        return rpc.CancelEscrowResponse(escrow=await self._run(request, command, escrow_id))

    async def AcceptEscrow(
        self, request: rpc.AcceptEscrowRequest, context: Any
    ) -> rpc.AcceptEscrowResponse:
        escrow_id = _checked(request)
        escrow = await self._run(request, c.AcceptEscrow(), escrow_id)
        return rpc.AcceptEscrowResponse(escrow=escrow)

    async def AddConfirmation(
        self, request: rpc.AddConfirmationRequest, context: Any
    ) -> rpc.AddConfirmationResponse:
        escrow_id = _checked(request)
        command = c.AddConfirmation(request.milestone_id)
        return rpc.AddConfirmationResponse(escrow=await self._run(request, command, escrow_id))

    async def ReleaseEscrow(
        self, request: rpc.ReleaseEscrowRequest, context: Any
    ) -> rpc.ReleaseEscrowResponse:
        escrow_id = _checked(request, note=check.MAX_NOTE)
        command = c.ReleaseEscrow(request.note, request.milestone_id)
        return rpc.ReleaseEscrowResponse(escrow=await self._run(request, command, escrow_id))

    async def RefundEscrow(
        self, request: rpc.RefundEscrowRequest, context: Any
    ) -> rpc.RefundEscrowResponse:
        escrow_id = _checked(request, note=check.MAX_NOTE)
        command = c.RefundEscrow(request.note, request.milestone_id)
        return rpc.RefundEscrowResponse(escrow=await self._run(request, command, escrow_id))

    async def RaiseDispute(
        self, request: rpc.RaiseDisputeRequest, context: Any
    ) -> rpc.RaiseDisputeResponse:
        escrow_id = _checked(request, reason=check.MAX_REASON)
        command = c.RaiseDispute(request.reason, request.milestone_id)
        return rpc.RaiseDisputeResponse(escrow=await self._run(request, command, escrow_id))

    async def WithdrawDispute(
        self, request: rpc.WithdrawDisputeRequest, context: Any
    ) -> rpc.WithdrawDisputeResponse:
        escrow_id = _checked(request)
        command = c.WithdrawDispute(request.milestone_id)
        return rpc.WithdrawDisputeResponse(escrow=await self._run(request, command, escrow_id))

    async def ResolveDispute(
        self, request: rpc.ResolveDisputeRequest, context: Any
    ) -> rpc.ResolveDisputeResponse:
        escrow_id = _checked(request, note=check.MAX_NOTE)
        command = c.ResolveDispute(
            request.release_minor, request.refund_minor, request.note, request.milestone_id
        )
        return rpc.ResolveDisputeResponse(escrow=await self._run(request, command, escrow_id))

    async def AddDisputeMessage(
        self, request: rpc.AddDisputeMessageRequest, context: Any
    ) -> rpc.AddDisputeMessageResponse:
        escrow_id = _checked(request)
        file_ids = check.file_ids(request.file_ids)
        check_ = Check()
        check_.text("text", request.text, least=0 if file_ids else 1, most=check.MAX_MESSAGE)
        check_.done()
        command = c.AddDisputeMessage(request.text, file_ids, request.milestone_id)
        return rpc.AddDisputeMessageResponse(escrow=await self._run(request, command, escrow_id))

    async def OverrideSettlement(
        self, request: rpc.OverrideSettlementRequest, context: Any
    ) -> rpc.OverrideSettlementResponse:
        escrow_id = _checked(request, note=check.MAX_NOTE)
        who = caller()
        cause, fingerprint = check.cause(who, request.request_id), check.fingerprint(request)
        answer = await self._executor.recall(cause, fingerprint)
        if answer is None:
            answer = await self._overrider.override(
                c.OverrideSettlement(
                    request.release_minor,
                    request.refund_minor,
                    request.note,
                    request.milestone_id,
                ),
                escrow_id=escrow_id,
                caller=who,
                cause=cause,
                fingerprint=fingerprint,
            )
        return rpc.OverrideSettlementResponse(escrow=answer.escrow)

    async def PublishUpdate(
        self, request: rpc.PublishUpdateRequest, context: Any
    ) -> rpc.PublishUpdateResponse:
        if "service" not in caller().roles:
            raise Refusal(Reason.ROLE_MISSING, "PublishUpdate is for the role service.")
        escrow_id = _checked(request)
        check_ = Check()
        check_.update_type("event_type", request.event_type)
        if request.data.ByteSize() > check.MAX_DATA_BYTES:
            check_.problem("data", f"must be at most {check.MAX_DATA_BYTES} bytes")
        check_.done()
        command = c.PublishUpdate(request.event_type, _struct(request))
        return rpc.PublishUpdateResponse(escrow=await self._run(request, command, escrow_id))

    async def ListEvents(
        self, request: rpc.ListEventsRequest, context: Any
    ) -> rpc.ListEventsResponse:
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_EVENTS, default=DEFAULT_EVENTS
        )
        after = check_.range("after_version", request.after_version, least=0, most=2**63 - 1)
        check_.done()
        escrow = await visible(self._store, request.escrow_id, caller())
        bodies = await self._store.events_after(escrow.escrow_id, after, size + 1)
        return rpc.ListEventsResponse(
            events=[pb.EscrowEvent.FromString(body) for body in bodies[:size]],
            has_more=len(bodies) > size,
        )

    async def WatchEscrow(  # type: ignore[override]  # the guard lets bytes pass as they are
        self, request: rpc.WatchEscrowRequest, context: Any
    ) -> AsyncIterator[rpc.WatchEscrowResponse | bytes]:
        check_ = Check()
        for name in ("after_version", "after_position"):
            check_.range(name, getattr(request, name), least=0, most=2**63 - 1)
        check_.user_id("user_id", request.user_id, may_be_empty=True)
        is_one = bool(request.escrow_id) or not (request.user_id or caller().sees_all)
        if is_one and request.user_id:
            check_.problem("user_id", "goes without escrow_id")
        if is_one and request.HasField("after_position"):
            check_.problem("after_position", "goes without escrow_id")
        if not is_one and request.HasField("after_version"):
            check_.problem("after_version", "goes only with escrow_id")
        check_.done()
        watching = self._watch(request) if is_one else self._follow(request)
        with self._endings.opened(ending()) as end:
            async with (
                contextlib.aclosing(watching),
                contextlib.aclosing(until(watching, end, time.time)) as responses,
            ):
                async for response in responses:
                    yield response

    async def WatchMany(  # type: ignore[override]  # the guard lets bytes pass as they are
        self, requests: AsyncIterator[rpc.WatchManyRequest], context: Any
    ) -> AsyncIterator[bytes]:
        if "service" not in caller().roles:
            raise Refusal(Reason.ROLE_MISSING, "WatchMany is for the role service.")
        with self._endings.opened(ending()) as end:
            async with (
                contextlib.aclosing(self._watches.serve(requests)) as watching,
                contextlib.aclosing(until(watching, end, time.time)) as responses,
            ):
                async for response in responses:
                    yield response

    async def _watch(
        self, request: rpc.WatchEscrowRequest
    ) -> AsyncGenerator[rpc.WatchEscrowResponse | bytes]:
        escrow = await visible(self._store, request.escrow_id, caller())
        after = request.after_version
        if not request.HasField("after_version"):
            yield rpc.WatchEscrowResponse(snapshot=escrow_message(escrow))
            after = escrow.version
        async with contextlib.aclosing(self._feed.watch(escrow.escrow_id, after)) as watching:
            async for version, body in watching:
                if body is None:
                    yield rpc.WatchEscrowResponse(heartbeat=rpc.Heartbeat(version=version))
                else:
                    yield event_response(body)

    async def _follow(
        self, request: rpc.WatchEscrowRequest
    ) -> AsyncGenerator[rpc.WatchEscrowResponse | bytes]:
        who, user_id = caller(), request.user_id
        if who.sees_all and user_id == EVERYTHING:
            user_id = ""
        elif user_id != who.user_id and not who.sees_all:
            raise Refusal(Reason.NOT_A_PARTY, "A user can follow only what concerns that user.")
        after = request.after_position if request.HasField("after_position") else None
        async with contextlib.aclosing(self._followers.follow(user_id, after)) as following:
            async for item in following:
                yield _followed(item)


def _followed(item: Told) -> rpc.WatchEscrowResponse | bytes:
    if isinstance(item, Placed):
        return event_response(item.body, item.position)
    if isinstance(item, int):
        return rpc.WatchEscrowResponse(heartbeat=rpc.Heartbeat(), position=item)
    if isinstance(item, SnapshotsEnd):
        end = rpc.Heartbeat(more=item.more)
        return rpc.WatchEscrowResponse(heartbeat=end, position=item.position)
    return rpc.WatchEscrowResponse(snapshot=escrow_message(item.escrow), position=item.position)


def _checked(request: Any, *, note: int = 0, reason: int = 0) -> str:
    """Check what requests on one escrow share; answers the escrow's id."""
    escrow_id = check.escrow_id(request.escrow_id)
    check_ = Check()
    check_.request_id(request.request_id)
    if note:
        # One that is given must say something that can be seen; the law says where one must be.
        check_.text("note", request.note, least=min(1, len(request.note.strip())), most=note)
    if reason:
        check_.text("reason", request.reason, least=1, most=reason)
    check_.done()
    return escrow_id


def _struct(request: rpc.PublishUpdateRequest) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json_format.MessageToDict(request.data)
    except (json_format.Error, ValueError, TypeError) as error:
        # A number that JSON does not know, or a value of no kind.
        raise Refusal(
            Reason.FIELD_INVALID, f"data: {error}", {"data": "must be writable as JSON"}
        ) from None
    if not check.is_flat(data, check.MAX_DATA_DEPTH):
        problem = f"must nest at most {check.MAX_DATA_DEPTH} deep"
        raise Refusal(Reason.FIELD_INVALID, f"data: {problem}", {"data": problem})
    if not text.is_clean(data):
        raise Refusal(Reason.FIELD_INVALID, f"data: {text.FORBIDDEN}", {"data": text.FORBIDDEN})
    return data
