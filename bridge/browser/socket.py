"""aiohttp's WebSocket, but for its habit of ending a connection by itself."""

from __future__ import annotations

from aiohttp import web

from bridge.limits import Limits

SUBPROTOCOL = "bearer"


class Socket(web.WebSocketResponse[bool]):
    """Tells of every frame and answers none: a session ends a connection in its own order."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            compress=False,
            autoping=False,
            autoclose=False,
            decode_text=False,
            # aiohttp refuses what has as many bytes as this, and does not read it first.
            max_msg_size=limits.frame_bytes + 1,
            timeout=limits.close_s,
            protocols=(SUBPROTOCOL,),
        )

    async def close(self, **_how: object) -> bool:
        """Do nothing: aiohttp calls this when a frame is malformed or too big, and would lose
        both the last frames and the close code."""
        return False

    async def turn_away(self, code: int, reason: str) -> None:
        """Close at once, and wait for the peer's answer."""
        await super().close(code=code, message=reason.encode())
