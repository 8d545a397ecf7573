"""FeedService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import feed_service_pb2 as rpc
from escrow.v1 import feed_service_pb2_grpc as service

from core.feed.tail import Tail, unknown
from core.service.check import Check
from core.service.guard import ending, require_keeper
from core.service.stream import Endings, feed_response, until
from core.storage.position import Placed, Positions, Which
from holdfast.revocation import Revocations

# Events in one page of ListEvents: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 100, 500
# Bytes of the events of one page, the last of which may go beyond them.
PAGE_BYTES = 2 << 20
# Types that a filter may name.
MAX_TYPES = 100


class FeedService(service.FeedServiceServicer):
    """Every event of every escrow over gRPC."""

    def __init__(self, positions: Positions, tail: Tail, revocations: Revocations) -> None:
        self._positions = positions
        self._tail = tail
        self._endings = Endings(revocations)

    async def WatchEvents(  # type: ignore[override]  # the guard lets bytes pass as they are
        self, request: rpc.WatchEventsRequest, context: Any
    ) -> AsyncIterator[rpc.WatchEventsResponse | bytes]:
        require_keeper("WatchEvents is")
        check_ = Check()
        which = _which(check_, request)
        with self._endings.opened(ending()) as end:
            async with (
                contextlib.aclosing(self._watch(request.after_position, which)) as watching,
                contextlib.aclosing(until(watching, end, time.time)) as responses,
            ):
                async for response in responses:
                    yield response

    async def _watch(
        self, after: int, which: Which
    ) -> AsyncGenerator[rpc.WatchEventsResponse | bytes]:
        async with contextlib.aclosing(self._tail.follow(after, which)) as following:
            async for item in following:
                if isinstance(item, Placed):
                    yield feed_response(item.body, item.position)
                else:
                    heartbeat = rpc.FeedHeartbeat(position=item)
                    yield rpc.WatchEventsResponse(heartbeat=heartbeat, position=item)

    async def ListEvents(
        self, request: rpc.FeedServiceListEventsRequest, context: Any
    ) -> rpc.FeedServiceListEventsResponse:
        require_keeper("ListEvents is")
        check_ = Check()
        size = check_.range(
            "page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE
        )
        which = _which(check_, request)
        newest = await self._positions.newest()
        if request.after_position > newest:
            raise unknown()
        page = await self._positions.after(request.after_position, size, which, newest=newest)
        placed, reached = _fitting(page.placed), page.reached
        if len(placed) < len(page.placed):
            reached = placed[-1].position
        # A read of everything may have come further than what was the newest before it.
        newest = max(newest, reached)
        return rpc.FeedServiceListEventsResponse(
            events=[
                rpc.FeedEvent(position=one.position, event=pb.EscrowEvent.FromString(one.body))
                for one in placed
            ],
            next_position=reached,
            has_more=reached < newest,
            newest_position=newest,
        )


def _fitting(placed: Sequence[Placed]) -> Sequence[Placed]:
    """Cut events to what fits a page, one at least."""
    size = 0
    for count, one in enumerate(placed, start=1):
        size += len(one.body)
        if size > PAGE_BYTES:
            return placed[:count]
    return placed


def _which(check_: Check, request: Any) -> Which:
    check_.range("after_position", request.after_position, least=0, most=2**63 - 1)
    user_id = check_.user_id("user_id", request.user_id, may_be_empty=True)
    if len(request.types) > MAX_TYPES:
        check_.problem("types", f"must have at most {MAX_TYPES} entries")
    _check_enum(check_, "types", pb.EventType.values(), request.types)
    _check_enum(check_, "status", pb.EscrowStatus.values(), [request.status])
    check_.done()
    types = {pb.EventType.Name(one) for one in request.types if one}
    status = pb.EscrowStatus.Name(request.status) if request.status else ""
    return Which(
        user_id,
        frozenset(one.removeprefix("EVENT_TYPE_") for one in types),
        status.removeprefix("ESCROW_STATUS_"),
    )


def _check_enum(check_: Check, field: str, known: Sequence[int], given: Iterable[int]) -> None:
    if not set(given) <= set(known):
        check_.problem(field, "has a value that this server does not know")
