"""FeedService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import feed_service_pb2 as rpc
from escrow.v1 import feed_service_pb2_grpc as service

from core.errors import Reason, Refusal
from core.service.check import Check
from core.service.guard import caller

# Events in one page of ListEvents: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 100, 500
# Types that a filter may name.
MAX_TYPES = 100


class FeedService(service.FeedServiceServicer):
    """Every event of every escrow over gRPC."""

    async def WatchEvents(
        self, request: rpc.WatchEventsRequest, context: Any
    ) -> AsyncIterator[rpc.WatchEventsResponse]:
        _require_keeper("WatchEvents")
        check_ = Check()
        _check_filter(check_, request)
        check_.done()
        while True:
            yield rpc.WatchEventsResponse(heartbeat=rpc.FeedHeartbeat())
            await asyncio.sleep(15)

    async def ListEvents(
        self, request: rpc.FeedServiceListEventsRequest, context: Any
    ) -> rpc.FeedServiceListEventsResponse:
        _require_keeper("ListEvents")
        check_ = Check()
        check_.range("page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE)
        _check_filter(check_, request)
        check_.done()
        return rpc.FeedServiceListEventsResponse()


def _check_filter(check_: Check, request: Any) -> None:
    check_.range("after_position", request.after_position, least=0, most=2**63 - 1)
    check_.user_id("user_id", request.user_id, may_be_empty=True)
    if len(request.types) > MAX_TYPES:
        check_.problem("types", f"must have at most {MAX_TYPES} entries")
    _check_enum(check_, "types", pb.EventType.values(), request.types)
    _check_enum(check_, "status", pb.EscrowStatus.values(), [request.status])


def _check_enum(check_: Check, field: str, known: Sequence[int], given: Iterable[int]) -> None:
    if not set(given) <= set(known):
        check_.problem(field, "has a value that this server does not know")


def _require_keeper(call: str) -> None:
    if caller().roles.isdisjoint({"admin", "service"}):
        raise Refusal(Reason.ROLE_MISSING, f"{call} is for the roles admin and service.")
