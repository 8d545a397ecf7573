"""A browser that is light enough to have hundreds: it keeps versions, and comes back by itself."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

# How long a bridge may take for the handshake before the next one is tried.
OPEN_LIMIT_S = 5.0
# The pause before it comes back, so that all do not at the same moment.
BACK_S = (0.05, 0.5)


@dataclass
class Reader:
    """Reads one escrow from the first version on, at one bridge after another, until cancelled.

    `versions` are all that came, in order. `awaited_s` is the longest time without a subscription
    after the first, `silent_s` the longest time between two versions.
    """

    http: aiohttp.ClientSession
    urls: Sequence[str]
    escrow_id: str
    versions: list[int] = field(default_factory=list)
    is_subscribed: bool = False
    losses: int = 0
    awaited_s: float = 0.0
    silent_s: float = 0.0
    heard_at: float | None = None

    @property
    def last(self) -> int:
        return self.versions[-1] if self.versions else 0

    async def run(self) -> None:
        lost_at: float | None = None
        for url in itertools.cycle(self.urls):
            try:
                async with asyncio.timeout(OPEN_LIMIT_S):
                    socket = await self.http.ws_connect(url)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(random.uniform(*BACK_S))
                continue
            async with socket:
                await self._read(socket, lost_at)
            if self.is_subscribed or lost_at is None:
                lost_at = time.monotonic()
            self.is_subscribed = False
            self.losses += 1
            await asyncio.sleep(random.uniform(*BACK_S))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, lost_at: float | None) -> None:
        await self._subscribe(socket)
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return
            frame = message.json()
            if frame["type"] == "escrow_update":
                self._hear(frame["version"])
            elif frame["type"] == "subscribed":
                self.is_subscribed = True
                if lost_at is not None:
                    self.awaited_s = max(self.awaited_s, time.monotonic() - lost_at)
            elif frame["type"] == "error":
                assert frame["retry"], frame
                await asyncio.sleep(random.uniform(*BACK_S))
                await self._subscribe(socket)

    def _hear(self, version: int) -> None:
        self.versions.append(version)
        now = time.monotonic()
        if self.heard_at is not None:
            self.silent_s = max(self.silent_s, now - self.heard_at)
        self.heard_at = now

    async def _subscribe(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            await socket.send_json(
                {"type": "subscribe", "escrow_id": self.escrow_id, "after": self.last, "id": 1}
            )
        except ConnectionError:
            return  # The reading that follows says so too.
