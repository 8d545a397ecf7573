"""A receiver of webhooks out: records what comes, and answers as the test says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.served import Served
from tests.fakes.wait import until

Answer = int | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One try of a delivery."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def position(self) -> int:
        return int(self.json["data"]["position"])

    @property
    def place(self) -> tuple[str, int]:
        """The escrow and its version."""
        data = self.json["data"]
        return data["escrow_id"], int(data["version"])


@dataclass
class Receiver(Served):
    """Use with `async with`. `answer` is the status, or what makes it, for all that comes."""

    answer: Answer = 204
    tries: list[Received] = field(default_factory=list)
    # Tries that were answered 2xx, each delivery once.
    taken: dict[str, Received] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.base}/hook"

    async def wait(self, count: int, limit_s: float = 20.0) -> list[Received]:
        """Wait until so many deliveries were taken, and return all that were, in their order."""
        await until(lambda: len(self.taken) >= count, limit_s)
        return list(self.taken.values())

    def app(self) -> web.Application:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(headers, await request.read())
        self.tries.append(received)
        answer = self.answer
        if not isinstance(answer, int):
            return await answer(request)
        if 200 <= answer < 300:
            self.taken.setdefault(received.id, received)
        return web.Response(status=answer, text="" if answer == 204 else "as you say")


def versions_of(taken: list[Received], escrow_id: str) -> list[int]:
    """The versions of an escrow, in the order in which they came."""
    return [one.place[1] for one in taken if one.place[0] == escrow_id]


async def hang(_request: web.Request) -> web.StreamResponse:
    """Answer never."""
    await asyncio.Event().wait()
    raise AssertionError("nothing sets this event")


def redirect(to: str) -> Answer:
    """Send the sender elsewhere."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": to})

    return answer


async def gigabyte(request: web.Request) -> web.StreamResponse:
    """Answer 200 and more than anybody wants to read."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1024):
        await response.write(b"x" * (1 << 20))
    return response
