"""A running bridge in the test's own loop, and a client for it."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
from aiohttp import web

from bridge.door.listener import Listener
from tests.fakes.browser import Browser

SECRET = "a secret of at least thirty-two bytes"
LIMIT_S = 10.0
LOOK_EVERY_S = 0.01


def token(user_id: str = "buyer", *, seconds: float = 3600, **claims: Any) -> str:
    return jwt.encode({"sub": user_id, "exp": time.time() + seconds, **claims}, SECRET, "HS256")


@dataclass
class Bridge:
    """A running bridge and a client for it."""

    runner: Listener
    http: aiohttp.ClientSession

    @property
    def app(self) -> web.Application:
        return self.runner.app

    @property
    def url(self) -> str:
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def browser(self, user_id: str = "buyer", **options: Any) -> Browser:
        return self.with_token(token(user_id), **options)

    def with_token(self, jwt_text: str, **options: Any) -> Browser:
        return Browser(self.http, f"{self.url}/api/v1/ws?token={jwt_text}", **options)

    async def metric(self, name: str) -> float:
        async with self.http.get(self.url + "/metrics") as response:
            for line in (await response.text()).splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        return 0.0

    async def until_metric(self, name: str, value: float) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await self.metric(name) != value:  # noqa: ASYNC110 - it is another's to change
                await asyncio.sleep(LOOK_EVERY_S)
