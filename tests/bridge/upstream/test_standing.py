"""Whether the bridge can do its job: sockets and /readyz say so in time, and why not."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from bridge.upstream import standing
from bridge.upstream.standing import token_problem
from holdfast.tokens import Verifier
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import SECRET, Bridge, token
from tests.fakes.core import FakeCore
from tests.fakes.wait import until

SOON: dict[str, Any] = {"standing_every_s": 0.02, "backoff_last_s": 0.1}


async def ready(bridge: Bridge) -> tuple[int, str]:
    async with bridge.http.get(f"{bridge.url}/readyz") as answer:
        return answer.status, (await answer.json())["status"]


async def until_ready(bridge: Bridge, status: int, words: str = "") -> str:
    async with asyncio.timeout(10):
        while True:
            told, why = await ready(bridge)
            if told == status and words in why:
                return why
            await asyncio.sleep(0.02)


async def test_sockets_are_told_when_core_goes_and_when_it_is_back(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.stop()
        away = await browser.until("live")
        assert away == {"type": "live", "live": False, "reason": "Core cannot be reached."}
        async with bridge.browser() as late:
            assert (await late.until("live"))["live"] is False
            await core.start()
            for one in (browser, late):
                assert await one.until("live") == {"type": "live", "live": True}
        # What went on meanwhile comes by itself.
        await core.append("e1")
        assert (await browser.until("escrow_update"))["version"] == 2
    assert await until_ready(bridge, 200) == "ready"


async def test_a_core_that_says_it_does_not_serve_counts_as_away(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    async with bridge.browser() as browser:
        await core.set_serving(False)
        assert (await browser.until("live"))["live"] is False
        assert (await ready(bridge))[0] == 503
        await core.set_serving(True)
        assert (await browser.until("live"))["live"] is True


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"),
        (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING"),
    ],
)
async def test_a_core_that_refuses_the_bridge_fails_readyz_and_tells_sockets(
    start_bridge: StartBridge, core: FakeCore, code: grpc.StatusCode, reason: str
) -> None:
    bridge = await start_bridge(**SOON)
    async with bridge.browser() as browser:
        core.refusals["GetDefaults"] = (code, reason)
        assert "refuses BRIDGE_TOKEN" in (await browser.until("live"))["reason"]
        assert "refuses BRIDGE_TOKEN" in await until_ready(bridge, 503)
        await bridge.until_metric("holdfast_bridge_ready", 0)
        core.refusals.clear()
        assert (await browser.until("live"))["live"] is True
        await bridge.until_metric("holdfast_bridge_ready", 1)
    assert await until_ready(bridge, 200) == "ready"


async def test_a_bridge_token_that_expires_while_running_is_reported(
    start_bridge: StartBridge, core: FakeCore, capfd: pytest.CaptureFixture[str]
) -> None:
    short = token("bridge", roles=["service"], exp=time.time() + 2)
    bridge = await start_bridge({"bridge_token": SecretStr(short)}, **SOON)
    assert await until_ready(bridge, 200) == "ready"
    # Core may be the first to say so.
    assert "BRIDGE_TOKEN" in await until_ready(bridge, 503)
    await until_ready(bridge, 503, "BRIDGE_TOKEN is not valid: it has expired")
    out, err = capfd.readouterr()
    assert "expires soon" in out + err
    assert short not in out + err


async def test_a_core_that_is_only_busy_is_not_away(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    """Nobody gets an error while core serves, however many calls wait."""
    bridge = await start_bridge(**SOON, asks=2, core_wait_s=0.3)
    for number in range(30):
        await core.create(f"e{number}")
    async with bridge.browser() as browser:
        core.answering.clear()
        for number in range(30):
            await browser.send("subscribe", escrow_id=f"e{number}")
        await until(lambda: core.calls["Open"] >= 2)
        await asyncio.sleep(1)  # Longer than core may be away.
        assert core.calls["Open"] == 2
        core.answering.set()
        told = [await browser.next() for _ in range(30)]
        assert {frame["type"] for frame in told} == {"subscribed"}


async def test_a_token_with_fewer_roles_ends_subscriptions_that_it_does_not_allow(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    await core.create("own", buyer_id="boss")
    await core.create("strange", buyer_id="x", seller_id="y")
    async with bridge.with_token(token("boss", roles=["admin"])) as browser:
        for escrow_id in ("own", "strange"):
            await browser.subscribe(escrow_id)
        assert (await browser.ask("auth", token=token("boss", roles=["user"])))["type"] == (
            "authenticated"
        )
        lost = await browser.until("error")
        assert (lost["code"], lost["escrow_id"]) == ("ESCROW_NOT_FOUND", "strange")
        await core.append("strange")
        await core.append("own")
        assert (await browser.until("escrow_update"))["escrow_id"] == "own"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        # Made when the test runs: one that is made at collection may have expired by then.
        (partial(token, "bridge", roles=["user"]), "lacks the role service"),
        (partial(token, "bridge", roles=["service"], exp=1), "it has expired"),
        (lambda: "a.b.c", "is not valid"),
    ],
)
async def test_the_problem_of_a_token_is_named_without_the_token(
    make: Callable[[], str], words: str
) -> None:
    text = make()
    problem = await token_problem(Verifier(secret=SECRET), text)
    assert words in problem
    assert text not in problem


async def test_a_good_token_has_no_problem() -> None:
    good = token("bridge", roles=["service"])
    assert await token_problem(Verifier(secret=SECRET), good) == ""
    assert tuple(sorted(standing.ANNOUNCED_S, reverse=True)) == standing.ANNOUNCED_S
