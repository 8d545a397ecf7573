"""A receiver of webhooks: records what the sandbox sends, and answers as the test says."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.served import Served
from tests.fakes.wait import until


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver an event."""

    body: bytes
    signature: str
    event_id: str

    @property
    def event(self) -> str:
        return str(self.json["event"])

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


@dataclass
class Hook(Served):
    """Use with `async with`. `answers` are the statuses of the next deliveries; then 200."""

    answers: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.base}/hook"

    @property
    def events(self) -> list[str]:
        return [delivery.event for delivery in self.deliveries]

    async def wait(self, count: int, limit_s: float = 10.0) -> list[Delivery]:
        """Wait for so many deliveries and return all."""
        await until(lambda: len(self.deliveries) >= count, limit_s)
        return self.deliveries

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        self.deliveries.append(
            Delivery(
                body=await request.read(),
                signature=request.headers["X-Razorpay-Signature"],
                event_id=request.headers["X-Razorpay-Event-Id"],
            )
        )
        return web.Response(status=self.answers.pop(0) if self.answers else 200)
