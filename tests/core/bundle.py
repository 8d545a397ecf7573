"""A caller of WatchMany: opens watches by number, and keeps what each was told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import grpc
from escrow.v1 import escrow_service_pb2 as rpc

from core.server import SERVICES
from tests.core.counter import LIMIT_S, Counter, Failed, token
from tests.fakes.wait import until


class Bundle:
    """One stream. `news` has what each watch was told, in order."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self.call = call
        self.news: dict[int, list[rpc.WatchNews]] = defaultdict(list)
        self.tallies: list[rpc.WatchTally] = []
        self.requests = 0
        self._reading = asyncio.create_task(self._read())

    async def send(self, request: rpc.WatchManyRequest) -> None:
        self.requests += 1
        await self.call.write(request)

    async def open(self, *watches: rpc.NewWatch, bearer: str = "") -> None:
        opening = rpc.OpenWatches(token=bearer or token("buyer-1"), watches=watches)
        await self.send(rpc.WatchManyRequest(open=[opening]))

    async def drop(self, *watch_ids: int) -> None:
        await self.send(rpc.WatchManyRequest(drop=watch_ids))

    async def told(self, watch_id: int, count: int = 1) -> list[rpc.WatchNews]:
        """Wait until a watch was told so much."""
        await until(lambda: len(self.news[watch_id]) >= count or self._reading.done(), LIMIT_S)
        if self._reading.done():
            self._reading.result()
        return self.news[watch_id]

    async def opened(self, watch_id: int) -> rpc.WatchOpened:
        first = (await self.told(watch_id))[0]
        assert first.WhichOneof("news") == "opened", first
        return first.opened

    async def ended(self, watch_id: int, after: int = 0) -> str:
        """Wait for the end of a watch; answers its reason."""
        last = (await self.told(watch_id, after + 1))[after]
        assert last.WhichOneof("news") == "ended", last
        return last.ended.reason

    def versions(self, watch_id: int) -> list[int]:
        return [one.event.version for one in self.news[watch_id] if one.HasField("event")]

    async def failure(self) -> Failed:
        """Wait for the end of the stream."""
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._reading
        except Failed as failed:
            return failed
        raise AssertionError("the stream ended without an error")

    async def close(self) -> None:
        self.call.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for response in self.call:
                for one in response.news:
                    self.news[one.watch_id].append(one)
                if response.HasField("tally"):
                    self.tallies.append(response.tally)
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None


@contextlib.asynccontextmanager
async def open_bundle(counter: Counter, bearer: str = "") -> AsyncIterator[Bundle]:
    """Open a stream as a bridge does."""
    bearer = bearer or token("bridge", "service")
    call = counter.channel.stream_stream(
        f"/{SERVICES[0]}/WatchMany",
        request_serializer=rpc.WatchManyRequest.SerializeToString,
        response_deserializer=rpc.WatchManyResponse.FromString,
    )(metadata=[("authorization", f"Bearer {bearer}")], timeout=LIMIT_S)
    bundle = Bundle(call)
    try:
        yield bundle
    finally:
        await bundle.close()
