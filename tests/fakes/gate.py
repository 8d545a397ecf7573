"""The network between core and Razorpay: forwards every call, or holds it back for a while.

When it opens, it delivers what it has held back, even if the caller is gone.
"""

import asyncio
from typing import Self

import aiohttp
from aiohttp import web

from tests.fakes.served import Served
from tests.fakes.wait import until

HANDED_ON = ("Authorization", "Content-Type", "X-Refund-Idempotency")
HOLD_LIMIT_S = 60.0


class Gate(Served):
    """Use with `async with`; `opens_to` is where calls go."""

    def __init__(self) -> None:
        self.opens_to = ""
        self._shut_for: set[str] = set()
        self._opened = asyncio.Event()
        self._opened.set()
        self._held: list[str] = []
        self._loses = False
        self._under_way = 0

    @property
    def url(self) -> str:
        return self.base

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        return app

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self._http.close()

    def shut(self, *methods: str) -> None:
        """Hold back calls of these methods from now on."""
        self._shut_for = set(methods)
        self._opened.clear()

    async def waiting(self, *ends: str) -> None:
        """Wait until a call is held back for each of these ends of paths."""
        await until(lambda: all(any(p.endswith(end) for p in self._held) for end in ends))

    async def open(self) -> None:
        """Deliver what is held back, and return when everything is delivered."""
        self._shut_for.clear()
        self._opened.set()
        await until(lambda: not self._under_way)

    async def lose(self) -> None:
        """Forget what is held back, and hand on what comes from now on."""
        self._loses = True
        await self.open()
        self._loses = False

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._under_way += 1
        try:
            if request.method in self._shut_for:
                self._held.append(request.path)
                async with asyncio.timeout(HOLD_LIMIT_S):
                    await self._opened.wait()
                if self._loses:
                    return web.Response(status=502)
            headers = {k: request.headers[k] for k in HANDED_ON if k in request.headers}
            async with self._http.request(
                request.method, self.opens_to + request.path_qs, data=body, headers=headers
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type=answer.content_type,
                )
        finally:
            self._under_way -= 1
