"""`live: true` is said only when everything that a socket looks at has been compared with core."""

import asyncio
from typing import Any

from tests.bridge.conftest import StartBridge
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.wait import until

SOON: dict[str, Any] = {"standing_every_s": 0.02, "compared_every_s": 0.02, "behind_s": 0.1}
A_WHILE_S = 0.5


async def until_away(*browsers: Browser) -> None:
    for browser in browsers:
        assert (await browser.until("live"))["live"] is False


async def until_live(browser: Browser) -> list[dict[str, Any]]:
    """Answer what came before the browser was told that it is live."""
    *told, live = await browser.through("live")
    assert live == {"type": "live", "live": True}
    return told


async def hears_nothing(browser: Browser) -> None:
    """Nothing has come that the test did not take."""
    await browser.send("ping")
    assert await browser.through("pong") == [{"type": "pong"}]


async def test_what_was_missed_comes_before_a_socket_is_told_that_it_is_live(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    await core.create("e1")
    async with bridge.browser() as one, bridge.browser() as all_of_them:
        await one.subscribe("e1")
        await all_of_them.subscribe("*")
        await core.stop()
        await until_away(one, all_of_them)
        for _ in range(3):
            await core.append("e1")
        await core.start()
        for browser in (one, all_of_them):
            told = await until_live(browser)
            assert [frame["version"] for frame in told] == [2, 3, 4]


async def test_no_socket_is_live_before_core_has_answered_for_all_that_it_watches(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    await core.create("e1")
    async with bridge.browser() as watcher, bridge.browser() as idle:
        await watcher.subscribe("e1")
        await core.stop()
        await until_away(watcher, idle)
        await core.append("e1")
        core.answering.clear()
        await core.start()
        assert await until_live(idle) == []
        await until(lambda: core.calls["Open"] == 2)
        await asyncio.sleep(A_WHILE_S)
        await hears_nothing(watcher)
        core.answering.set()
        assert [frame["version"] for frame in await until_live(watcher)] == [2]


async def test_a_stream_that_stays_broken_is_told_although_core_serves(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    await core.create("e1")
    async with bridge.browser() as watcher, bridge.browser() as idle:
        await watcher.subscribe("e1")
        core.answering.clear()
        await core.break_streams()
        assert "catching up" in (await watcher.until("live"))["reason"]
        core.answering.set()
        assert await until_live(watcher) == []
        await hears_nothing(idle)


async def test_a_stream_that_is_back_soon_is_told_to_nobody(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**(SOON | {"behind_s": 5.0}))
    await core.create("e1")
    async with bridge.browser() as watcher:
        await watcher.subscribe("e1")
        await core.break_streams()
        await core.append("e1")
        assert [frame["type"] for frame in await watcher.through("escrow_update")] == [
            "escrow_update"
        ]


async def test_a_socket_without_core_is_told_once_and_why(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(**SOON)
    async with bridge.browser() as browser:
        await core.stop()
        told = await browser.until("live")
        assert told == {"type": "live", "live": False, "reason": "Core cannot be reached."}
        await asyncio.sleep(A_WHILE_S)
        await hears_nothing(browser)
