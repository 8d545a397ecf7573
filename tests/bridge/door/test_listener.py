"""The port against bad clients: silence, rubbish, and what no client library would send."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from bridge.door.listener import Listener
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.core import FakeCore
from tests.fakes.wait import until
from tests.fakes.wire import raw

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Caller:
    """One connection, which sends what the test gives and knows whether it was cut."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def is_cut(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None


@asynccontextmanager
async def caller(bridge: Bridge, wire: bytes = b"") -> AsyncIterator[Caller]:
    parts = urlsplit(bridge.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(wire)
    yield Caller(reader, writer)
    writer.transport.abort()


@pytest.mark.parametrize("wire", [b"", b"G", GET], ids=["nothing", "a letter", "half a head"])
async def test_a_connection_without_a_head_is_closed(
    start_bridge: StartBridge, wire: bytes
) -> None:
    bridge = await start_bridge(head_s=0.2)
    async with caller(bridge, wire) as slow:
        await until(lambda: slow.is_cut, limit_s=5)
    assert await bridge.metric('holdfast_bridge_connections_dropped_total{why="head"}') == 1


async def test_a_slow_head_gets_no_more_time(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(head_s=0.3)
    began = time.monotonic()
    async with caller(bridge, GET) as slow:
        while not slow.is_cut and time.monotonic() - began < 5:
            slow.writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.02)
    assert time.monotonic() - began < 3


async def test_the_next_head_on_a_connection_has_its_time_from_its_first_byte(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(head_s=0.3)
    async with caller(bridge, GET + b"\r\n") as idle:
        await idle.reader.readuntil(b"}")
        await asyncio.sleep(0.6)
        assert not idle.is_cut
        idle.writer.write(GET)
        await until(lambda: idle.is_cut, limit_s=5)


async def test_an_idle_connection_ends(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(idle_s=0.3)
    async with caller(bridge, GET + b"\r\n") as idle:
        await idle.reader.readuntil(b"}")
        await until(lambda: idle.is_cut, limit_s=5)


async def test_a_websocket_outlives_every_limit_of_heads_and_idleness(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(head_s=0.4, idle_s=0.4, connections=2)
    async with bridge.browser() as browser:
        for _ in range(5):
            async with caller(bridge), caller(bridge):
                await asyncio.sleep(0.2)
        assert await browser.ask("ping") == {"type": "pong"}


async def test_others_are_served_while_silent_connections_take_all_places(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(connections=20)
    silent = [caller(bridge) for _ in range(60)]
    for one in silent:
        await one.__aenter__()
    async with bridge.browser() as browser:
        assert await browser.ask("ping") == {"type": "pong"}
        reply = await raw(bridge, GET + b"\r\n")
        assert reply.status == 200
    assert await bridge.metric("holdfast_bridge_connections") <= 21
    for one in silent:
        await one.__aexit__(None, None, None)
    await bridge.until_metric("holdfast_bridge_connections", 1)


class Exhausted(socket.socket):
    """A listening socket for whose connections there is no descriptor."""

    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        raise OSError(errno.EMFILE, "Too many open files")


async def test_without_descriptors_nothing_spins_and_little_is_logged(
    start_bridge: StartBridge, capfd: pytest.CaptureFixture[str]
) -> None:
    bridge = await start_bridge(accept_pause_s=0.05)
    listener = bridge.runner
    assert isinstance(listener, Listener)
    (usual,) = listener._sockets
    exhausted = Exhausted(fileno=os.dup(usual.fileno()))
    exhausted.setblocking(False)
    loop = asyncio.get_running_loop()
    loop.remove_reader(usual)
    listener._sockets.append(exhausted)
    loop.add_reader(exhausted, listener._accept, exhausted)
    # Kept waiting by the kernel: the socket stays readable.
    async with caller(bridge, GET + b"\r\n") as waiting:
        await asyncio.sleep(1)
        # Once for the connection, and once to turn it away.
        assert 4 <= exhausted.asked <= 50
        loop.remove_reader(exhausted)
        listener._sockets.remove(exhausted)
        loop.add_reader(usual, listener._accept, usual)
        assert b"200" in await waiting.reader.readline()
    exhausted.close()
    out, err = capfd.readouterr()
    assert 1 <= (out + err).count("cannot be accepted") <= 10
    assert await bridge.metric('holdfast_bridge_connections_dropped_total{why="descriptors"}')


async def test_a_peer_that_does_not_read_its_answer_is_cut(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(answer_s=0.3)
    path = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    parts = urlsplit(bridge.url)
    stubborn = socket.socket()
    stubborn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stubborn.connect((parts.hostname, parts.port))
    stubborn.sendall(path * 200)
    await bridge.until_metric("holdfast_bridge_connections", 2)
    await bridge.until_metric("holdfast_bridge_connections", 1)
    stubborn.close()


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # A TLS hello.
    b"GET / HTTP/9.9\r\n\r\n",
    b"rubbish\r\n\r\n",
    b"GET /api/v1/ws?token={token} x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/ws?token={token} HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(500)) + b"\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("wire", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_request_gets_our_json_error_and_no_token_is_logged(
    bridge: Bridge,
    wire: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = token("buyer")
    reply = await raw(bridge, wire.replace(b"{token}", secret.encode()))
    assert reply.status in (400, 431)
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.error["code"] == "INVALID_ARGUMENT"
    out, err = capfd.readouterr()
    told = caplog.text + out + err + reply.body.decode()
    assert "Traceback" not in told
    assert secret[:20] not in told
    assert secret[-20:] not in told


@pytest.mark.parametrize(
    ("wire", "status", "reason"),
    [
        (b"GET /api/v2/x HTTP/1.1\r\n", 404, "PATH_UNKNOWN"),
        (b"POST /api/v2/x HTTP/1.1\r\n", 404, "PATH_UNKNOWN"),
        (b"POST /api HTTP/1.1\r\n", 404, "PATH_UNKNOWN"),
        (b"GET /api/v1/nothing HTTP/1.1\r\n", 404, "PATH_UNKNOWN"),
        (b"POST /healthz HTTP/1.1\r\n", 405, "METHOD_NOT_ALLOWED"),
        (b"DELETE / HTTP/1.1\r\n", 405, "METHOD_NOT_ALLOWED"),
        (b"GET / HTTP/1.1\r\nExpect: much\r\n", 417, "EXPECTATION_FAILED"),
        (b"GET /api/v1/ws HTTP/1.1\r\n", 426, "UPGRADE_REQUIRED"),
        (b"GET /api/v1/escrows HTTP/1.1\r\n", 401, "TOKEN_MISSING"),
    ],
)
async def test_every_error_has_our_json_form(
    bridge: Bridge, wire: bytes, status: int, reason: str
) -> None:
    reply = await raw(bridge, wire + b"Host: x\r\n\r\n")
    assert (reply.status, reply.error["reason"]) == (status, reason)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    if status == 405:
        assert "get" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/config", "/api/v1/openapi.json"])
async def test_no_json_response_may_be_cached(bridge: Bridge, path: str) -> None:
    async with bridge.http.get(bridge.url + path) as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_body_that_breaks_off_logs_nothing(
    bridge: Bridge, core: FakeCore, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in ("webhooks/razorpay", "escrows", "demo/token"):
        head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        head += f"Authorization: Bearer {token('buyer')}\r\n\r\n{{"
        async with caller(bridge, head.encode()):
            await bridge.until_metric("holdfast_bridge_connections", 2)
            await asyncio.sleep(0.05)
        await bridge.until_metric("holdfast_bridge_connections", 1)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert not core.webhooks
