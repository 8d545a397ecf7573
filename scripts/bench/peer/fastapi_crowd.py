"""FastAPI on uvicorn: `send_json` to each socket in turn, as its own guide to WebSockets does.

`python -m scripts.bench.peer.fastapi_crowd PORT`
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from scripts.bench.peer.crowd import tell_lines

sockets: list[WebSocket] = []


async def _watch(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"type": "connected"})
    sockets.append(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        sockets.remove(socket)


async def _tell(text: str) -> None:
    data = json.loads(text)
    for socket in sockets.copy():
        await socket.send_json(data)


async def _serve(port: int) -> None:
    app = FastAPI()
    app.add_api_websocket_route("/ws", _watch)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", ws_per_message_deflate=False
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve())
    await tell_lines(_tell)
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
