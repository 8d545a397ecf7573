"""A browser's end of the WebSocket: frames as dictionaries, every wait with a limit."""

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp

LIMIT_S = 10.0


class Browser:
    """One connection. Uses only the documented protocol, and nothing of the bridge's code."""

    def __init__(self, http: aiohttp.ClientSession, url: str, **options: Any) -> None:
        self._http = http
        self._url = url
        self._options = {"autoping": True, "max_msg_size": 0, **options}
        self.socket: aiohttp.ClientWebSocketResponse
        self.connected: dict[str, Any] = {}

    async def open(self) -> Self:
        """Connect; the bridge may close the connection at once."""
        self.socket = await self._http.ws_connect(self._url, **self._options)
        return self

    async def __aenter__(self) -> Self:
        await self.open()
        self.connected = await self.next()
        assert self.connected["type"] == "connected", self.connected
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.socket.close()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def next(self) -> dict[str, Any]:
        """Answer the next frame but `live`, which comes whenever core goes or returns."""
        while (frame := await self._read())["type"] == "live":
            pass
        return frame

    async def _read(self) -> dict[str, Any]:
        """Answer the next frame. Raises AssertionError if the connection ended instead."""
        async with asyncio.timeout(LIMIT_S):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        frame: dict[str, Any] = message.json()
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """Answer the next frame of a type; skip the others before it."""
        while (frame := await self._read())["type"] != kind:
            pass
        return frame

    async def through(self, kind: str) -> list[dict[str, Any]]:
        """Answer every frame up to the next one of a type, and that one as the last."""
        frames = [await self._read()]
        while frames[-1]["type"] != kind:
            frames.append(await self._read())
        return frames

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a frame and take the next one as its answer."""
        await self.send(kind, **fields)
        return await self.next()

    async def subscribe(self, escrow_id: str, **fields: Any) -> dict[str, Any]:
        answer = await self.ask("subscribe", escrow_id=escrow_id, **fields)
        assert answer["type"] == "subscribed", answer
        return answer

    async def versions(self, count: int) -> list[int]:
        """Answer the versions of the next `count` updates."""
        return [(await self.until("escrow_update"))["version"] for _ in range(count)]

    async def closed(self) -> int:
        """Read to the end; answer the close code, or 1006 if there was none."""
        async with asyncio.timeout(LIMIT_S):
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code or 1006
