"""python-socketio on uvicorn: one `emit` to the room that every socket is in.

`python -m scripts.bench.peer.socketio_crowd PORT`
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import socketio
import uvicorn

from scripts.bench.peer.crowd import tell_lines

ROOM = "escrow"
# So rare that no ping falls into a measurement.
PING_S = 600


async def _serve(port: int) -> None:
    server = socketio.AsyncServer(async_mode="asgi", ping_interval=PING_S, http_compression=False)

    async def connect(sid: str, _environ: dict[str, Any]) -> None:
        await server.enter_room(sid, ROOM)

    async def tell(text: str) -> None:
        await server.emit("escrow_update", json.loads(text), room=ROOM)

    server.on("connect", connect)
    app = socketio.ASGIApp(server)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve())
    await tell_lines(tell)
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
