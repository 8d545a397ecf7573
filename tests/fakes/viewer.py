"""A browser that keeps every frame: one WebSocket, read all the time."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import aiohttp

LIMIT_S = 15.0
Frame = dict[str, Any]


class Viewer:
    """Use with `async with`. `frames` are all that came, in order. Every wait has a limit."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self.frames: list[Frame] = []
        self._news = asyncio.Condition()
        self._ids = 0

    @property
    def is_open(self) -> bool:
        return not self._reading.done()

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    async def __aenter__(self) -> Self:
        self.socket = await self._http.ws_connect(self._url, max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        await self.sees(type="connected")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reading

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def ask(self, kind: str, limit_s: float = LIMIT_S, **fields: Any) -> Frame:
        """Send a frame and wait for its answer, which has the same id."""
        self._ids += 1
        await self.send(kind, id=self._ids, **fields)
        return await self.sees(limit_s=limit_s, id=self._ids)

    async def subscribe(self, escrow_id: str, **fields: Any) -> Frame:
        answer = await self.ask("subscribe", escrow_id=escrow_id, **fields)
        assert answer["type"] == "subscribed", answer
        return answer

    async def until(self, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Wait until it holds. Fail, with all frames, after the limit or if the socket ends."""
        try:
            async with asyncio.timeout(limit_s), self._news:
                while not holds():
                    assert self.is_open, f"closed with {self.close_code}: {self.frames}"
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {limit_s} s; came: {self.frames}") from None

    async def sees(self, limit_s: float = LIMIT_S, **fields: Any) -> Frame:
        """Wait for the first frame with all these fields, also among those that have come."""
        await self.until(lambda: self.find(**fields), limit_s)
        return self.find(**fields)[0]

    async def saw_status(self, escrow_id: str, status: str) -> None:
        """Wait until the latest update of an escrow has this status."""
        await self.until(
            lambda: [f["data"]["status"] for f in self.updates(escrow_id)][-1:] == [status]
        )

    async def more(self, count: int, limit_s: float = LIMIT_S) -> None:
        """Wait for so many more frames."""
        enough = len(self.frames) + count
        await self.until(lambda: len(self.frames) >= enough, limit_s)

    async def ends(self, limit_s: float = LIMIT_S) -> int | None:
        """Wait for the end of the connection and answer its close code."""
        async with asyncio.timeout(limit_s):
            await asyncio.shield(self._reading)
        return self.close_code

    def find(self, **fields: Any) -> list[Frame]:
        return [f for f in self.frames if all(f.get(k) == v for k, v in fields.items())]

    def updates(self, escrow_id: str) -> list[Frame]:
        return self.find(type="escrow_update", escrow_id=escrow_id)

    def versions(self, escrow_id: str) -> list[int]:
        return [frame["version"] for frame in self.updates(escrow_id)]

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(message.json())
                async with self._news:
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()
