"""A bare aiohttp server: `python -m scripts.bench.peer.bare_aiohttp PORT`, with JWT_SECRET set.

/ws checks the token and then tells each line of standard input, as a frame that was made once, with
one `transport.write` for each socket: the least that aiohttp can do. /echo sends back what it gets.
/tell tells its body in the same way. /webhook takes a body and checks its signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import struct
import sys

import jwt
from aiohttp import web

from scripts.bench.peer.crowd import tell_lines

SECRET = os.environ.get("JWT_SECRET", "")
BACKLOG = 4096
# How many sockets are written before others get their turn, as Holdfast's own fan-out does.
SLICE = 128

sockets: dict[web.WebSocketResponse, asyncio.Transport] = {}


def _frame(text: str) -> bytes:
    payload = text.encode()
    if len(payload) < 126:
        return struct.pack("!BB", 0x81, len(payload)) + payload
    return struct.pack("!BBH", 0x81, 126, len(payload)) + payload


async def _tell(text: str) -> None:
    frame = _frame(text)
    for number, transport in enumerate(list(sockets.values()), start=1):
        transport.write(frame)
        if not number % SLICE:
            await asyncio.sleep(0)


async def _watch(request: web.Request) -> web.StreamResponse:
    try:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise web.HTTPUnauthorized from None
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    assert isinstance(request.transport, asyncio.Transport)
    await socket.send_str('{"type":"connected"}')
    sockets[socket] = request.transport
    try:
        async for _ in socket:
            pass
    finally:
        del sockets[socket]
    return socket


async def _echo(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def _told(request: web.Request) -> web.Response:
    await _tell(await request.text())
    return web.Response()


async def _webhook(request: web.Request) -> web.Response:
    body = await request.read()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    hmac.compare_digest(signature, request.headers.get("X-Razorpay-Signature", ""))
    return web.json_response({"outcome": "IGNORED"})


async def _serve(port: int) -> None:
    app = web.Application()
    app.add_routes(
        [
            web.get("/ws", _watch),
            web.get("/echo", _echo),
            web.post("/tell", _told),
            web.post("/webhook", _webhook),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG).start()
    await tell_lines(_tell)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1])))
