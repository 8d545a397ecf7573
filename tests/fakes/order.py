"""What the core in memory sends to those who follow a user or everything, by position."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, Protocol

import grpc
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service
from escrow.v1 import feed_service_pb2 as feed
from escrow.v1.feed_service_pb2_grpc import FeedServiceServicer

PAGE = 100
UNKNOWN = grpc.StatusCode.OUT_OF_RANGE, "POSITION_UNKNOWN"


class Record(Protocol):
    """What a fake core has, and how it misbehaves."""

    # Every event; its position is its place, counted from 1.
    order: list[pb.EscrowEvent]
    records: dict[str, list[pb.EscrowEvent]]
    watching: int
    heartbeat_s: float
    bell: asyncio.Condition
    showing: asyncio.Event
    replying: asyncio.Event
    tamper: Callable[[pb.EscrowEvent], pb.EscrowEvent | None]

    async def enter(self, name: str, context: Any) -> None:
        """Count a call, and refuse it if all such calls are refused."""

    async def claims(self, context: Any) -> dict[str, Any]:
        """Read the caller's token."""

    async def refuse(self, context: Any, code: grpc.StatusCode, reason: str) -> NoReturn:
        """End the call with an error of core's catalogue."""


class FakeFeed(FeedServiceServicer):
    """FeedService.ListEvents; and WatchEscrow without an escrow."""

    def __init__(self, core: Record) -> None:
        self._core = core

    async def WatchEvents(
        self, request: feed.WatchEventsRequest, context: Any
    ) -> AsyncIterator[feed.WatchEventsResponse]:
        """No bridge calls it."""
        await self._core.refuse(context, grpc.StatusCode.UNIMPLEMENTED, "")
        yield

    async def ListEvents(self, request: feed.FeedServiceListEventsRequest, context: Any) -> Any:
        await self._core.enter("ReadFeed", context)
        if not sees_all(await self._core.claims(context)):
            await self._core.refuse(context, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
        newest = len(self._core.order)
        if request.after_position > newest:
            await self._core.refuse(context, *UNKNOWN)
        size = request.page_size or PAGE
        found = self._after(request.after_position, request.user_id)
        reached = found[size - 1][0] if len(found) >= size else newest
        answer = feed.FeedServiceListEventsResponse(
            events=[feed.FeedEvent(position=at, event=event) for at, event in found[:size]],
            next_position=reached,
            has_more=reached < newest,
            newest_position=newest,
        )
        await self._core.replying.wait()
        return answer

    async def follow(
        self, request: service.WatchEscrowRequest, context: Any
    ) -> AsyncIterator[service.WatchEscrowResponse]:
        core, user_id = self._core, request.user_id
        claims = await core.claims(context)
        if sees_all(claims) and user_id == "*":
            user_id = ""
        elif not sees_all(claims) and user_id != claims["sub"]:
            await core.refuse(context, grpc.StatusCode.PERMISSION_DENIED, "NOT_A_PARTY")
        shown: dict[str, int] = {}
        after = len(core.order)
        if request.HasField("after_position"):
            if request.after_position > after:
                await core.refuse(context, *UNKNOWN)
            after = request.after_position
        else:
            # As core does: the position is read first, then the snapshots, the newest first.
            await core.showing.wait()
            for escrow in reversed(self._snapshots(user_id)):
                shown[escrow.escrow_id] = escrow.version
                yield service.WatchEscrowResponse(snapshot=escrow, position=after)
            yield service.WatchEscrowResponse(heartbeat=service.Heartbeat(), position=after)
        core.watching += 1
        try:
            is_level = not request.HasField("after_position")
            async for response in self._live(user_id, after, shown, is_level):
                yield response
        finally:
            core.watching = max(core.watching - 1, 0)

    async def _live(
        self, user_id: str, after: int, shown: dict[str, int], is_level: bool
    ) -> AsyncIterator[service.WatchEscrowResponse]:
        core = self._core
        while True:
            for position, event in self._after(after, user_id):
                sent = core.tamper(event)
                if sent is not None and event.version > shown.get(event.escrow_id, 0):
                    yield service.WatchEscrowResponse(event=sent, position=position)
                after = position
            if not is_level:
                yield service.WatchEscrowResponse(heartbeat=service.Heartbeat(), position=after)
                is_level = True
            async with core.bell:
                try:
                    async with asyncio.timeout(core.heartbeat_s):
                        while not self._after(after, user_id):
                            await core.bell.wait()
                except TimeoutError:
                    is_level = False

    def _after(self, position: int, user_id: str) -> list[tuple[int, pb.EscrowEvent]]:
        later = enumerate(self._core.order[position:], start=position + 1)
        return [
            (at, event) for at, event in later if not user_id or user_id in parties(event.escrow)
        ]

    def _snapshots(self, user_id: str) -> list[pb.Escrow]:
        current = [record[-1].escrow for record in self._core.records.values()]
        if not user_id:
            return [one for one in current if one.attentions]
        return [
            one
            for one in current
            if user_id in parties(one) and one.status < pb.ESCROW_STATUS_RELEASED
        ]


def parties(escrow: pb.Escrow) -> set[str]:
    return {escrow.buyer_id, escrow.seller_id, escrow.arbiter_id}


def sees_all(claims: dict[str, Any]) -> bool:
    """Whether a caller sees all escrows."""
    return bool({"service", "admin"} & set(claims["roles"]))
