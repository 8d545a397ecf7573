"""The WebSocket endpoint: how a token is given, who may connect, and how all are disconnected."""

import asyncio
import logging
from typing import Any

import aiohttp
import jwt
import pytest

from bridge.server import HUB
from tests.bridge.conftest import ORIGIN, StartBridge
from tests.fakes.bridge import SECRET, Bridge, token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore


def bare(bridge: Bridge, **options: Any) -> Browser:
    return Browser(bridge.http, bridge.url + "/api/v1/ws", **options)


async def test_the_token_may_come_as_a_header(bridge: Bridge) -> None:
    headers = {"Authorization": f"Bearer {token('buyer')}"}
    async with bare(bridge, headers=headers) as browser:
        assert browser.connected["user_id"] == "buyer"


async def test_the_token_may_come_as_a_subprotocol_and_bearer_is_selected(bridge: Bridge) -> None:
    async with bare(bridge, protocols=("bearer", token("buyer"))) as browser:
        assert browser.connected["user_id"] == "buyer"
        assert browser.socket.protocol == "bearer"


async def test_a_token_in_the_url_can_be_forbidden(start_bridge: StartBridge) -> None:
    bridge = await start_bridge({"allow_query_token": False})
    refused = await bridge.browser().open()
    assert await refused.closed() == 4401
    async with bare(bridge, protocols=("bearer", token("buyer"))) as browser:
        assert browser.connected["user_id"] == "buyer"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        "a.b.c",
        token(seconds=-1),
        token(sub=""),
        token(nbf=4_000_000_000),
        token(roles="admin"),
        "x" * 5000,
    ],
)
async def test_a_bad_token_is_accepted_and_closed_4401(bridge: Bridge, text: str) -> None:
    browser = await bridge.with_token(text).open()
    assert await browser.closed() == 4401


async def test_no_token_at_all_closes_4401(bridge: Bridge) -> None:
    assert await (await bare(bridge).open()).closed() == 4401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://", "http://[", "x"])
async def test_a_foreign_page_is_refused_before_the_upgrade(bridge: Bridge, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await bridge.browser(origin=origin).open()
    assert refused.value.status == 403


async def test_our_own_and_listed_pages_may_connect(bridge: Bridge) -> None:
    for origin in (bridge.url, ORIGIN):
        async with bridge.browser(origin=origin) as browser:
            assert await browser.ask("ping") == {"type": "pong"}


async def test_a_plain_get_is_told_to_upgrade(bridge: Bridge) -> None:
    async with bridge.http.get(bridge.url + "/api/v1/ws") as response:
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")


async def test_the_21st_connection_of_a_user_closes_4409(bridge: Bridge) -> None:
    browsers = [await bridge.browser("buyer").__aenter__() for _ in range(20)]
    assert await (await bridge.browser("buyer").open()).closed() == 4409
    async with bridge.browser("seller") as other:
        assert await other.ask("ping") == {"type": "pong"}
    await browsers.pop().socket.close()
    await bridge.until_metric("holdfast_bridge_sockets", 19)
    async with bridge.browser("buyer") as again:
        assert await again.ask("ping") == {"type": "pong"}
    for browser in browsers:
        await browser.socket.close()


async def test_a_connection_above_the_limit_of_the_bridge_gets_503(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(sockets=1)
    async with bridge.browser():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await bridge.browser().open()
    assert refused.value.status == 503


async def test_a_connection_that_is_being_turned_away_counts_against_the_limit(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(sockets=1)
    rude = await bridge.with_token("rubbish", autoclose=False).open()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await bridge.browser().open()
    assert refused.value.status == 503
    assert await rude.closed() == 4401


async def test_a_connection_that_is_turned_away_sees_why_even_if_it_has_sent_much(
    bridge: Bridge,
) -> None:
    """A browser may have sent many subscribes already; it must still receive the close code."""
    headers = {"Sec-WebSocket-Protocol": "bearer, rubbish"}
    browser = await bare(bridge, headers=headers).open()
    for _ in range(60):
        await browser.send("subscribe", escrow_id="x" * 100)
    assert await browser.closed() == 4401


async def test_when_many_do_not_answer_the_close_frame_they_are_cut(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(leaving=1)
    rude = [await bridge.with_token("rubbish", autoclose=False).open() for _ in range(3)]
    for browser in rude:
        assert (await browser.socket.receive(timeout=10)).data == 4401
    # One that is given time, and the client's own connection for the metrics.
    await bridge.until_metric("holdfast_bridge_connections", 2)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Key": "é" * 16}, 400),
    ],
)
async def test_a_wrong_handshake_is_refused(
    bridge: Bridge, changed: dict[str, str], status: int
) -> None:
    headers = {
        "Upgrade": "WebSocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **changed,
    }
    async with bridge.http.get(bridge.url + "/api/v1/ws", headers=headers) as response:
        assert response.status == status
        if status == 400:
            assert response.headers["Sec-WebSocket-Version"] == "13"


async def test_a_drain_fails_readyz_then_gives_each_its_slot_and_closes_1012(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(drain_notice_s=1.5)
    await core.create("e1")
    browsers = [await bridge.browser(f"user{n}").__aenter__() for n in range(10)]
    draining = asyncio.create_task(bridge.app[HUB].drain())
    await asyncio.sleep(0)
    async with bridge.http.get(bridge.url + "/readyz") as response:
        assert response.status == 503
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await bridge.browser().open()
    assert refused.value.status == 503
    # The notice is for load balancers: open connections are still served.
    assert await browsers[0].ask("ping") == {"type": "pong"}
    slots = [await browser.next() for browser in browsers]
    assert {slot["type"] for slot in slots} == {"reconnect"}
    assert sorted(slot["after_ms"] for slot in slots) == [n * 500 for n in range(10)]
    assert [await browser.closed() for browser in browsers] == [1012] * 10
    await draining


async def test_a_peer_that_does_not_answer_the_close_does_not_hold_the_drain(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(drain_notice_s=0, drain_close_s=0.1)
    async with bridge.browser(autoclose=False) as browser:
        await asyncio.wait_for(bridge.app[HUB].drain(), 5)
        assert (await browser.next())["type"] == "reconnect"


async def test_no_token_appears_in_a_log(
    bridge: Bridge, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = [token("buyer"), token("buyer", seconds=-1)]
    # As log.set_up leaves it: this logger would print the offered subprotocols.
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.ERROR, logger="aiohttp.websocket")
    for one in secrets:
        for browser in (
            bridge.with_token(one),
            bare(bridge, headers={"Authorization": f"Bearer {one}"}),
            bare(bridge, protocols=("bearer", one)),
            bare(bridge, protocols=("other", one)),
        ):
            opened = await browser.open()
            await opened.socket.send_json({"type": "auth", "token": one})
            await opened.socket.close()
    out, err = capfd.readouterr()
    told = caplog.text + out + err
    for one in secrets:
        assert one not in told
        assert one.split(".")[2] not in told


async def test_an_unsigned_token_closes_4401(bridge: Bridge) -> None:
    unsigned = jwt.encode({"sub": "buyer", "exp": 4_000_000_000}, "", "none")
    assert await (await bridge.with_token(unsigned).open()).closed() == 4401
    other = jwt.encode({"sub": "buyer", "exp": 4_000_000_000}, SECRET + SECRET, "HS512")
    assert await (await bridge.with_token(other).open()).closed() == 4401
