"""WatchMany of the core in memory: the watches of one stream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service


class Record(Protocol):
    """What a fake core has, and how it misbehaves."""

    records: dict[str, list[pb.EscrowEvent]]
    watching: int
    heartbeat_s: float
    answering: asyncio.Event
    bell: asyncio.Condition
    tamper: Callable[[pb.EscrowEvent], pb.EscrowEvent | None]

    def judge(self, token: str, escrow_id: str) -> tuple[grpc.StatusCode, str] | None:
        """Count an open, and answer why it is refused."""


@dataclass
class Place:
    escrow_id: str
    version: int
    token: str


class ManyWatch:
    """One stream."""

    def __init__(self, core: Record) -> None:
        self._core = core
        self.places: dict[int, Place] = {}
        self._answers: list[service.WatchNews] = []
        self._requests = 0
        self.is_broken = False
        self._opening: list[asyncio.Task[None]] = []

    async def serve(
        self, requests: AsyncIterator[service.WatchManyRequest]
    ) -> AsyncIterator[service.WatchManyResponse]:
        hearing = asyncio.create_task(self._hear(requests))
        try:
            yield self._tally()
            while not self.is_broken:
                news = self._answers + self._events()
                self._answers = []
                if news:
                    yield service.WatchManyResponse(news=news)
                elif not await self._rung():
                    yield self._tally()
        finally:
            for task in (hearing, *self._opening):
                task.cancel()
            self._core.watching = max(self._core.watching - len(self.places), 0)

    async def end(self, number: int, code: grpc.StatusCode, reason: str) -> None:
        """End a watch as core does when its token has ended."""
        del self.places[number]
        self._core.watching -= 1
        await self._tell(_ended(number, code, reason))

    async def _hear(self, requests: AsyncIterator[service.WatchManyRequest]) -> None:
        async for request in requests:
            self._requests += 1
            for number in request.drop:
                if self.places.pop(number, None):
                    self._core.watching -= 1
            for opening in request.open:
                for new in opening.watches:
                    refusal = self._core.judge(opening.token, new.escrow_id)
                    self._opening.append(
                        asyncio.create_task(self._open(refusal, opening.token, new))
                    )

    async def _open(
        self, refusal: tuple[grpc.StatusCode, str] | None, token: str, new: service.NewWatch
    ) -> None:
        await self._core.answering.wait()
        if refusal:
            await self._tell(_ended(new.watch_id, *refusal))
            return
        escrow = self._core.records[new.escrow_id][-1].escrow
        opened = service.WatchOpened(version=escrow.version)
        after = new.after_version if new.HasField("after_version") else escrow.version
        if not (new.once or new.known or 1 <= escrow.version - after <= 64):
            after = escrow.version
            opened.snapshot.CopyFrom(escrow)
        if not new.once:
            self.places[new.watch_id] = Place(new.escrow_id, after, token)
            self._core.watching += 1
        await self._tell(service.WatchNews(watch_id=new.watch_id, opened=opened))

    async def _tell(self, news: service.WatchNews) -> None:
        async with self._core.bell:
            self._answers.append(news)
            self._core.bell.notify_all()

    def _events(self) -> list[service.WatchNews]:
        news = []
        for number, place in self.places.items():
            for event in self._core.records[place.escrow_id][place.version :]:
                sent = self._core.tamper(event)
                if sent is not None:
                    news.append(service.WatchNews(watch_id=number, event=sent))
                place.version = event.version
        return news

    async def _rung(self) -> bool:
        def is_behind() -> bool:
            records = self._core.records
            return (
                self.is_broken
                or bool(self._answers)
                or any(
                    len(records.get(one.escrow_id, ())) > one.version
                    for one in self.places.values()
                )
            )

        async with self._core.bell:
            try:
                async with asyncio.timeout(self._core.heartbeat_s):
                    await self._core.bell.wait_for(is_behind)
            except TimeoutError:
                return False
        return True

    def _tally(self) -> service.WatchManyResponse:
        tally = service.WatchTally(
            requests=self._requests,
            watches=len(self.places),
            versions=sum(place.version for place in self.places.values()),
        )
        return service.WatchManyResponse(tally=tally)


def _ended(number: int, code: grpc.StatusCode, reason: str) -> service.WatchNews:
    ended = service.WatchEnded(code=code.value[0], reason=reason, message=f"refused: {reason}")
    return service.WatchNews(watch_id=number, ended=ended)
