"""What a real bridge logs of requests that are none: never a token, never much."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest

from tests.fakes.process import Process
from tests.fakes.stack import Client, Stack, token
from tests.fakes.wait import until

TOKEN = token("asha", "user", "admin")
HEAD, PAYLOAD, SIGNATURE = TOKEN.split(".")
# No piece of the token of this length may be in the log.
PIECE = 12
STRAYS = [
    "\r",
    "\n",
    "\r\n",
    "\r\n ",
    " ",
    "\t",
    "\0",
    "\x0b",
    "\x7f",
    "é",
    "\u2028",
    "€",
    '"',
    "\\",
]
HOST = "Host: x\r\n"


def cut(stray: str) -> list[str]:
    return [TOKEN[:at] + stray + TOKEN[at:] for at in (3, len(HEAD) + 1, len(TOKEN) // 2)]


def escaped(text: str) -> str:
    return "".join(f"%{ord(one):02X}" for one in text)


def websocket(path: str, more: str = "") -> str:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\n{HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
    )


def requests() -> dict[str, str]:
    """Every way that we could think of, by name."""
    path = f"/api/v1/ws?token={TOKEN}"
    chunked = f"POST /api/v1/demo/token HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
    whole = f"POST /api/v1/demo/token HTTP/1.1\r\n{HOST}Content-Length: 999\r\n\r\n"
    ways = {
        "good": websocket(path),
        "no upgrade": f"GET {path} HTTP/1.1\r\n{HOST}\r\n",
        "no version": f"GET {path}\r\n\r\n",
        "wrong version": f"GET {path} HTTP/7.7\r\n{HOST}\r\n",
        "no method": f"{path} HTTP/1.1\r\n{HOST}\r\n",
        "token as method": f"{TOKEN} / HTTP/1.1\r\n{HOST}\r\n",
        "token alone": f"{TOKEN}\r\n\r\n",
        "lower method": f"get {path} HTTP/1.1\r\n{HOST}\r\n",
        "absolute": f"GET http://x{path} HTTP/1.1\r\n{HOST}\r\n",
        "bad absolute": f"GET http://[{TOKEN}/ HTTP/1.1\r\n{HOST}\r\n",
        "in a path": f"GET /api/v1/escrows/{TOKEN} HTTP/1.1\r\n{HOST}\r\n",
        "percent": f"GET /api/v1/ws?token={escaped(TOKEN)} HTTP/1.1\r\n{HOST}\r\n",
        "percent name": f"GET /api/v1/ws?{escaped('token')}={TOKEN}%zz HTTP/1.1\r\n{HOST}\r\n",
        "quoted twice": f"GET /?u={quote(quote(path, safe=''), safe='')} HTTP/9\r\n{HOST}\r\n",
        "fragment": f"GET /#token={TOKEN} HTTP/1.1 x\r\n{HOST}\r\n",
        "too long": f"GET {path}&x={'y' * 9000} HTTP/1.1\r\n{HOST}\r\n",
        "bearer without colon": f"GET / HTTP/1.1\r\nAuthorization Bearer {TOKEN}\r\n\r\n",
        "blank in name": f"GET / HTTP/1.1\r\nAuthorization : Bearer {TOKEN}\r\n\r\n",
        "folded": f"GET / HTTP/1.1\r\nAuthorization: Bearer\r\n {TOKEN}\r\n\r\n",
        "token as name": f"GET / HTTP/1.1\r\n{TOKEN}: x\r\n\r\n",
        "long header": f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}{'y' * 9000}\r\n\r\n",
        "cookie": f"GET / HTTP/1.1\r\n{HOST}Cookie: token={TOKEN}; \x01\r\n\r\n",
        "referer": f"GET /api/v1/ws HTTP/1.1\r\n{HOST}Referer: http://x/?token={TOKEN}\r\n\r\n",
        "host": f"GET / HTTP/1.1\r\nHost: {TOKEN}\r\n\r\n",
        "origin": websocket("/api/v1/ws", f"Origin: https://{TOKEN}.example\r\n"),
        "length": f"POST / HTTP/1.1\r\n{HOST}Content-Length: {TOKEN}\r\n\r\n",
        "coding": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: {TOKEN}\r\n\r\n",
        "chunk": f"{chunked}{TOKEN}\r\n",
        "extension": f"{chunked}1;{TOKEN}\r\n\r\n",
        "expect": f"GET / HTTP/1.1\r\n{HOST}Expect: {TOKEN}\r\n\r\n",
        "body cut off": f"{whole}{TOKEN}",
        "http2": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TOKEN}",
        "tls": f"\x16\x03\x01\x02\x00\x01{TOKEN}",
        "pair": websocket("/api/v1/ws", f"Sec-WebSocket-Protocol: bearer, {TOKEN}\r\n"),
        "pair turned": websocket("/api/v1/ws", f"Sec-WebSocket-Protocol: {TOKEN}, bearer\r\n"),
        "other pair": websocket("/api/v1/ws", f"Sec-WebSocket-Protocol: other, {TOKEN}\r\n"),
        "three": websocket("/api/v1/ws", f"Sec-WebSocket-Protocol: bearer, x, {TOKEN}\r\n"),
        "key": f"GET /api/v1/ws HTTP/1.1\r\n{HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {TOKEN}\r\n\r\n",
        "pipelined": f"GET / HTTP/1.1\r\n{HOST}\r\nGET {path} x\r\n\r\n",
    }
    for stray in STRAYS:
        for at, text in enumerate(cut(stray)):
            ways[f"query {stray!r} {at}"] = f"GET /api/v1/ws?token={text} HTTP/1.1\r\n{HOST}\r\n"
            ways[f"header {stray!r} {at}"] = (
                f"GET /api/v1/escrows HTTP/1.1\r\n{HOST}Authorization: Bearer {text}\r\n\r\n"
            )
            ways[f"pair {stray!r} {at}"] = websocket(
                "/api/v1/ws", f"Sec-WebSocket-Protocol: bearer, {text}\r\n"
            )
    return ways


@pytest.fixture
async def debugging(stack: Stack) -> AsyncIterator[Process]:
    """A bridge that logs all that there is to log."""
    env = {"PORT": str(stack.spare_port), "LOG_LEVEL": "debug", "LOG_FORMAT": "console"}
    bridge = stack.another_bridge("debugging", 4096, **env)
    bridge.spawn()
    await until(lambda: "the bridge is ready" in bridge.lines, limit_s=20)
    yield bridge
    bridge.kill()


async def say(port: int, wire: str, codec: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(wire.encode(codec, "replace"))
        async with asyncio.timeout(1):
            while await reader.read(1 << 16):
                pass
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()


@pytest.mark.timeout(120)
async def test_no_request_of_any_kind_brings_a_token_into_the_log(
    stack: Stack, client: Client, debugging: Process
) -> None:
    for codec in ("utf-8", "latin-1"):
        await asyncio.gather(*(say(stack.spare_port, wire, codec) for wire in requests().values()))
    url = f"http://127.0.0.1:{stack.spare_port}/api/v1"
    async with client.http.ws_connect(f"{url}/ws?token={TOKEN}") as socket:
        for text in (
            json.dumps({"type": "auth", "token": TOKEN}),
            json.dumps({"type": "auth", "token": TOKEN + "x"}),
            json.dumps({"type": TOKEN}),
            json.dumps({"type": "subscribe", "escrow_id": TOKEN, "id": TOKEN}),
            TOKEN,
        ):
            await socket.send_str(text)
            assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT
        await socket.send_frame(TOKEN.encode() + b"\xff", aiohttp.WSMsgType.TEXT)
    for path in ("/escrows", f"/escrows/{TOKEN}", "/payees/x", "/demo/token", f"/{TOKEN}"):
        for method in ("GET", "POST", "PUT"):
            headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": TOKEN}
            async with client.http.request(
                method, url + path, headers=headers, data=TOKEN
            ) as answer:
                await answer.read()
    said = debugging.lines
    assert "a request could not be read" in said
    found = [piece for at in range(len(TOKEN) - PIECE) if (piece := TOKEN[at : at + PIECE]) in said]
    assert not found, [line for line in said.splitlines() if found[0] in line]
    assert "Traceback" not in said
    assert len(said) < 60_000


@pytest.mark.timeout(60)
async def test_a_refused_origin_is_logged_with_both_values(stack: Stack, client: Client) -> None:
    before = len(stack.bridge.lines)
    # As nginx proxies by default: its upstream's name for Host, the page's own for Origin.
    headers = {"Host": "upstream", "Origin": "https://pay.example"}
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await client.http.ws_connect(f"{stack.bridge_url}/api/v1/ws", headers=headers)
    await until(lambda: "foreign origin" in stack.bridge.lines[before:])
    assert "host=upstream origin=https://pay.example" in stack.bridge.lines[before:]
