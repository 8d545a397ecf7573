"""Who follows all events: `python -m scripts.bench.peer.follower PORT [CORE TOKEN]`.

With CORE it reads WatchEvents from the newest event on. On PORT it takes webhooks and answers them.
To each line of standard input it answers one line of JSON: what has come since the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time

import grpc
from aiohttp import web
from escrow.v1 import feed_service_pb2 as rpc
from escrow.v1 import feed_service_pb2_grpc as service

from scripts.bench.peer.crowd import tell_lines

# A read that breaks off is made anew after so long.
AGAIN_S = 0.1


class Follower:
    """What has come: how late each event was, and how many webhooks."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []
        self._webhooks = 0

    async def read(self, core: str, token: str) -> None:
        """Follow for ever, from the last position."""
        metadata = (("authorization", f"Bearer {token}"),)
        position = 0
        async with grpc.aio.insecure_channel(core) as channel:
            feed = service.FeedServiceStub(channel)
            while True:
                request = rpc.WatchEventsRequest(after_position=position)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    async for answer in feed.WatchEvents(request, metadata=metadata):
                        position = answer.position
                        if answer.WhichOneof("message") == "event":
                            self._note(answer.event.create_time.ToNanoseconds())
                await asyncio.sleep(AGAIN_S)

    def _note(self, event_ns: int) -> None:
        self._late_ms.append((time.time_ns() - event_ns) / 1e6)

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self._webhooks += 1
        return web.Response()

    def told(self) -> str:
        late, self._late_ms = sorted(self._late_ms), []
        webhooks, self._webhooks = self._webhooks, 0
        told: dict[str, float] = {"events": len(late), "webhooks": webhooks}
        if late:
            told |= {"p50_ms": statistics.median(late), "p99_ms": late[len(late) * 99 // 100]}
        return json.dumps(told)


async def _run(port: int, *core: str) -> None:
    follower = Follower()
    app = web.Application()
    app.add_routes([web.post("/", follower.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    reading = asyncio.create_task(follower.read(*core)) if core else None

    async def tell(_line: str) -> None:
        print(follower.told(), flush=True)

    await tell_lines(tell)
    if reading is not None:
        reading.cancel()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), *sys.argv[2:]))
