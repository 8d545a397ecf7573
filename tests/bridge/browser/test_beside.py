"""An escrow and `*` on one socket: each event once, in order, by whichever has it first."""

import asyncio

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge
from tests.fakes.core import FakeCore
from tests.fakes.told import missed, place, resume, updates
from tests.fakes.wait import until


async def test_a_snapshot_is_not_older_than_what_the_socket_has(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    core.showing.clear()
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="*")
        await until(lambda: core.calls["WatchEscrow"])
        assert (await browser.subscribe("e1"))["version"] == 1
        await core.append("e1")
        assert await browser.versions(1) == [2]
        core.showing.set()
        frame = await browser.next()
        assert (frame["escrow_id"], frame["version"], frame["position"]) == ("e1", 2, 1)
        assert frame["data"]["version"] == 2
        assert (await browser.next())["escrow_id"] == "*"


async def test_a_socket_that_resumes_an_escrow_and_all_gets_each_event_once_and_in_order(
    bridge: Bridge, core: FakeCore
) -> None:
    for name in ("e1", "e2"):
        await core.create(name)
        for _ in range(150):
            await core.append(name)
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1", after=30)
        await browser.send("subscribe", escrow_id="*", after=10)
        newest = {"e1": 30, "e2": 0}
        while newest != {"e1": 171, "e2": 171}:
            frame = await browser.until("escrow_update")
            name, version = frame["escrow_id"], frame["version"]
            # Of what the browser has by its own word, `*` may tell again.
            if version > 30 or name == "e2":
                assert version == newest[name] + 1
                newest[name] = version
            if newest["e1"] == 100 and len(core.records["e2"]) < 171:
                for _ in range(20):
                    await core.append("e1")
                    await core.append("e2")
        await browser.send("ping")
        rest = await browser.through("pong")
        assert "escrow_update" not in {frame["type"] for frame in rest}


async def test_an_answer_waits_for_the_version_that_all_has_sent_before(
    bridge: Bridge, core: FakeCore
) -> None:
    """The stream of watches is broken, and the one for `*` is not."""
    await core.create("e1")
    async with bridge.browser() as browser:
        await resume(browser, 1)
        await browser.subscribe("e1")
        core.answering.clear()
        await core.break_streams()
        await until(lambda: core.calls["Open"] == 2)
        await core.append("e1")
        assert await updates(browser, 1) == [(2, "e1", 2)]
        await browser.send("subscribe", escrow_id="e1", id="again")
        assert await browser.ask("ping") == {"type": "pong"}
        core.answering.set()
        answer = await browser.next()
        assert (answer["id"], answer["version"], answer["data"]["version"]) == ("again", 2, 2)
        await core.append("e1")
        assert await browser.versions(1) == [3]
        assert await browser.ask("ping") == {"type": "pong"}


async def test_an_escrow_beside_all_that_catches_up_begins_with_its_snapshot(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(outbox_bytes=16 * 1024)
    await core.create("e1")
    for _ in range(300):
        await core.append("e1", data={"text": "x" * 1_000})
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="*", after=0)
        await browser.send("subscribe", escrow_id="e1", id="own")
        told = [await browser.next()]
        while told[-1]["type"] != "subscribed" or told[-1]["escrow_id"] != "*":
            told.append(await browser.next())
        answers = [one["version"] for one in told if one.get("id") == "own"]
        assert answers == [301]
        # All of it by `*`, and nothing twice.
        events = [place(one) for one in told if one["type"] == "escrow_update"]
        assert events == missed(core, 0)
        await core.append("e1")
        assert await browser.versions(1) == [302]
        assert await browser.ask("ping") == {"type": "pong"}


async def test_an_older_after_of_one_escrow_is_sent_before_newer_events_of_all(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    """What a browser asks for again does not come behind what happens meanwhile."""
    bridge = await start_bridge(frames_burst=1000)
    await core.create("e1")
    for _ in range(250):
        await core.append("e1")
    async with bridge.browser() as browser:
        await resume(browser, 251)
        for turn in range(10):
            opens = core.calls["Open"]
            await browser.send("subscribe", escrow_id="e1", after=turn)
            await until(lambda: core.calls["Open"] > opens)  # noqa: B023 - it is used at once
            for _ in range(20):
                await core.append("e1")
                await asyncio.sleep(0)
            newest = turn
            while newest < len(core.records["e1"]):
                frame = await browser.next()
                if frame["type"] == "escrow_update":
                    assert frame["version"] == newest + 1
                    newest += 1
            await browser.send("unsubscribe", escrow_id="e1")
            await browser.until("unsubscribed")
