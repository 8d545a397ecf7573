"""The check of a public address, through proxies that get something wrong."""

import asyncio
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.check import address
from bridge.check.command import check
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.core import FakeCore
from tests.fakes.peer import Peer, http
from tests.fakes.process import ROOT
from tests.fakes.proxy import Proxy

TOKEN = token("buyer")


@pytest.fixture
async def behind(start_bridge: StartBridge, core: FakeCore) -> Bridge:
    """A bridge that pings often, so that silence need not last long."""
    started: Bridge = await start_bridge(ping_interval_s=0.5)
    await started.until_metric("holdfast_bridge_core_connected", 1)
    return started


async def checked(url: str, bearer: str = TOKEN, wait_s: float = 1.0) -> tuple[int, str]:
    lines: list[str] = []
    code = await check(address.read(url), bearer, wait_s=wait_s, say=lines.append)
    assert not any(piece in "\n".join(lines) for piece in TOKEN.split("."))
    return code, "\n".join(lines)


async def through(bridge: Bridge, **faults: Any) -> tuple[int, str]:
    port = urlsplit(bridge.url).port
    assert port is not None
    async with Proxy(port, **faults) as proxy:
        return await checked(proxy.url)


async def test_a_good_address_has_nothing_wrong(behind: Bridge) -> None:
    for code, told in (await checked(behind.url), await through(behind)):
        assert (code, "WRONG" in told) == (0, False), told
        for word in ("answers", "ready", "webhooks", "API", "opens", "at once", "stays open"):
            assert word in told
        assert told.endswith("all is well")


@pytest.mark.parametrize(
    ("faults", "wrong", "remedy"),
    [
        ({"drops": ["Upgrade"]}, "upgrade is not passed on", "proxy_set_header Upgrade"),
        ({"sets": {"Connection": "close"}}, "upgrade is not passed on", "Connection"),
        ({"sets": {"Host": "upstream"}}, "Origin and Host do not match", "ALLOWED_ORIGINS"),
        ({"sets": {"Host": "upstream"}}, "does not see the Host", "proxy_set_header Host"),
        ({"buffers": True}, "keeps it back", "proxy_buffering off"),
        ({"idle_s": 0.3}, "is cut after 0 s of silence", "proxy_read_timeout"),
        ({"drops": ["Sec-WebSocket-Protocol"]}, "subprotocol is lost", "Sec-WebSocket-Protocol"),
        ({"hides": ["Sec-WebSocket-Protocol"]}, "subprotocol is lost", "both directions"),
        ({"drops": ["Authorization"]}, "Authorization does not reach", "pass it on"),
        ({"body_bytes": 1000}, "refused on its way (413)", "client_max_body_size"),
        ({"hides": ["Content-Security-Policy"]}, "without its Content-Security", "headers"),
        ({"hides": ["Referrer-Policy"]}, "in Referer", "Referrer-Policy"),
        ({"redirects_to": "https://other.example"}, "redirects to", "check that address"),
    ],
)
async def test_what_a_proxy_does_wrong_is_said_with_its_remedy(
    behind: Bridge,
    monkeypatch: pytest.MonkeyPatch,
    faults: dict[str, Any],
    wrong: str,
    remedy: str,
) -> None:
    monkeypatch.setattr("bridge.check.line.FRAME_S", 1.0)
    code, told = await through(behind, **faults)
    assert code == 1
    assert wrong in told
    assert remedy in told


async def test_a_redirect_that_repeats_a_token_is_wrong(behind: Bridge) -> None:
    """Where the healthy paths are passed on and the WebSocket's is not."""

    class Gatekeeper(Proxy):
        async def _serve(self, reader: Any, writer: Any) -> None:
            line = bytes(await reader.readuntil(b"\r\n"))
            self.redirects_to = "/login?next=" if b"/ws?" in line else ""
            reader._buffer[:0] = line
            await super()._serve(reader, writer)

    port = urlsplit(behind.url).port
    assert port is not None
    async with Gatekeeper(port) as proxy:
        code, told = await checked(proxy.url)
    assert code == 1
    assert "repeats a token of the URL" in told


async def test_without_a_token_the_demo_gives_one_or_the_beginning_is_tried(
    start_bridge: StartBridge,
) -> None:
    demo = await start_bridge(ping_interval_s=0.5)
    code, told = await checked(demo.url, "")
    assert (code, "stays open" in told) == (0, True), told
    closed = await start_bridge({"demo_login": False})
    code, told = await checked(closed.url, "")
    assert code == 0, told
    assert "a bad token is refused" in told
    assert "stays open" not in told


async def test_a_token_that_is_not_good_is_said(behind: Bridge) -> None:
    code, told = await checked(behind.url, token("buyer", seconds=-5))
    assert code == 1
    assert "401 TOKEN_EXPIRED" in told
    assert "refuses the token (4401)" in told


async def test_a_bridge_that_is_not_ready_is_said(behind: Bridge, core: FakeCore) -> None:
    await core.set_serving(False)
    code, told = await checked(behind.url)
    assert code == 1
    assert "not ready" in told


async def test_an_open_line_is_wrong_and_gets_no_token(
    behind: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(behind.url).port
    seen = address.Address("http", f"127.0.0.1:{port}", is_local=False)
    lines: list[str] = []
    code = await check(seen, TOKEN, wait_s=0.5, say=lines.append)
    told = "\n".join(lines)
    assert code == 1
    assert "plain http" in told
    assert "JSON API" not in told


async def test_where_nobody_answers_nothing_is_tried() -> None:
    code, told = await checked("http://127.0.0.1:1")
    assert code == 2
    assert "cannot be reached" in told


async def test_what_is_no_bridge_is_said(core: FakeCore) -> None:
    async def hello(writer: asyncio.StreamWriter) -> None:
        await http(200, "<html>hello</html>")(writer)

    async with Peer(hello) as peer:
        code, told = await checked(peer.url)
    assert code == 1
    assert "not as a Holdfast bridge does" in told


@pytest.mark.parametrize(
    "text",
    ["pay.example", "ftp://pay.example", "https://", "https://a:b@c", "https://a/b", "http://[::1"],
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|host alone"):
        address.read(text)


def test_an_address_is_read_as_a_browser_writes_it() -> None:
    read = address.read("HTTPS://Pay.Example:443/")
    assert (read.origin, read.socket) == ("https://pay.example", "wss://pay.example/api/v1/ws")
    local = address.read("http://[::1]:8000")
    assert local.is_local
    assert not local.is_unencrypted
    assert address.read("http://pay.example").is_unencrypted


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), ([], 2), (["nonsense"], 2), (["http://127.0.0.1:1"], 2)],
)
def test_the_command_line_ends_with_its_codes(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "bridge", "check", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
