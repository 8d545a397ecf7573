"""`python -m bridge` as a process: start, shutdown and exit codes."""

import asyncio
import signal
import socket

import aiohttp
import pytest

from tests.bridge.process import LIMIT_S, Start, address
from tests.fakes.bridge import token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_with_0(
    start: Start, core: FakeCore, name: signal.Signals
) -> None:
    await core.create("e1")
    process = await start()
    url = await address(process)
    async with (
        aiohttp.ClientSession() as http,
        Browser(http, f"{url}/api/v1/ws?token={token('buyer')}") as browser,
    ):
        await browser.subscribe("e1")
        process.send_signal(name)
        assert (await browser.next())["type"] == "reconnect"
        assert await browser.closed() == 1012
    _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0
    assert b"the bridge has stopped" in err
    assert b"Traceback" not in err


async def test_wrong_settings_end_with_2_and_one_message(start: Start) -> None:
    process = await start(PORT="x", BRIDGE_TOKEN="")
    _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert b"PORT" in err
    assert b"BRIDGE_TOKEN" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (token("bridge", roles=["service"], exp=1), b"expired"),
        (token("bridge"), b"lacks the role service"),
        ("not.a.token", b"BRIDGE_TOKEN is not valid"),
    ],
    ids=["expired", "without the role", "no token"],
)
async def test_a_bridge_token_that_cannot_serve_ends_with_2(
    start: Start, bad: str, why: bytes
) -> None:
    process = await start(BRIDGE_TOKEN=bad)
    _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert b"BRIDGE_TOKEN" in err
    assert why in err
    assert bad.encode() not in err
    assert b"Traceback" not in err


async def test_a_taken_port_ends_with_1_and_one_message(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await start(PORT=str(taken.getsockname()[1]))
        _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 1
    assert b"Traceback" not in err


async def test_it_serves_while_core_is_away(start: Start, core: FakeCore) -> None:
    await core.stop()
    url = await address(await start())
    async with aiohttp.ClientSession() as http, http.get(url + "/healthz") as response:
        assert response.status == 200
