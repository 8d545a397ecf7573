"""The subscription to `*`: snapshots, then every event of every escrow, once and in order."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.wait import until


async def follow(browser: Browser, **fields: Any) -> dict[str, int]:
    """Subscribe to all; answer the versions of the snapshots."""
    await browser.send("subscribe", escrow_id="*", **fields)
    told = {}
    while (frame := await browser.next())["escrow_id"] != "*":
        assert frame["type"] == "subscribed", frame
        assert frame["data"]["version"] == frame["version"]
        assert isinstance(frame["position"], int)
        told[frame["escrow_id"]] = frame["version"]
    expected = {"type": "subscribed", "escrow_id": "*", "position": frame["position"]}
    assert frame == (expected | {"id": fields["id"]} if "id" in fields else expected)
    return told


async def seen(browser: Browser, count: int) -> dict[str, list[int]]:
    """The versions of the next `count` updates, by escrow."""
    versions = defaultdict(list)
    for _ in range(count):
        frame = await browser.until("escrow_update")
        versions[frame["escrow_id"]].append(frame["version"])
    return dict(versions)


async def test_a_subscription_to_all_gets_snapshots_then_the_answer_then_every_event(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    await core.create("e2", buyer_id="x", arbiter_id="buyer")
    await core.create("final")
    await core.append("final", status=pb.ESCROW_STATUS_RELEASED)
    await core.create("strange", buyer_id="x")
    async with bridge.browser() as browser:
        assert await follow(browser, id=7) == {"e1": 1, "e2": 1}
        await core.append("strange")
        await core.append("final")
        assert await seen(browser, 1) == {"final": [3]}
        await core.create("new", seller_id="y")
        for escrow_id in ("e1", "new", "e2"):
            await core.append(escrow_id)
        assert await seen(browser, 4) == {"new": [1, 2], "e1": [2], "e2": [2]}
        assert await browser.ask("ping") == {"type": "pong"}


async def test_a_subscription_to_all_gets_the_frames_of_one_to_an_escrow_with_the_position(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as one, bridge.browser() as all_:
        await one.subscribe("e1")
        await follow(all_)
        await core.append(
            "e1",
            pb.EVENT_TYPE_PAYMENT_CAPTURED,
            status=pb.ESCROW_STATUS_HELD,
            payment_status=pb.PAYMENT_STATUS_CAPTURED,
        )
        frames = [await one.next() for _ in range(3)]
        assert [frame["type"] for frame in frames] == [
            "payment_status",
            "status_change",
            "escrow_update",
        ]
        assert [await all_.next() for _ in range(3)] == [one | {"position": 2} for one in frames]


async def test_the_sockets_of_a_user_share_one_stream(bridge: Bridge, core: FakeCore) -> None:
    for number in range(30):
        await core.create(f"e{number}")
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(bridge.browser()) for _ in range(10)]
        for told in await asyncio.gather(*(follow(browser) for browser in browsers)):
            assert told == {f"e{number}": 1 for number in range(30)}
        await core.append("e3")
        for browser in browsers:
            assert await browser.versions(1) == [2]
        # Snapshots are read for all who wait: for the first, and for those who came meanwhile.
        assert core.calls["WatchEscrow"] <= 3
        await until(lambda: core.watching == 1)


async def test_the_stream_ends_after_the_last_socket(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await follow(browser)
        assert await bridge.metric("holdfast_bridge_subscriptions") == 1
        answer = await browser.ask("unsubscribe", escrow_id="*", id=1)
        assert answer == {"type": "unsubscribed", "escrow_id": "*", "id": 1}
        await core.append("e1")
        assert await browser.ask("ping") == {"type": "pong"}
        await until(lambda: core.watching == 0)
        await bridge.until_metric("holdfast_bridge_follows", 0)
        assert await follow(browser) == {"e1": 2}


async def test_subscribing_twice_is_answered_twice_and_sends_each_event_once(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="*", id="a")
        await browser.send("subscribe", escrow_id="*", id="b", after=9)
        frames = [await browser.next() for _ in range(3)]
        assert [frame.get("id") for frame in frames] == [None, "a", "b"]
        assert (await browser.ask("subscribe", escrow_id="*", id="c"))["id"] == "c"
        await core.append("e1")
        assert await seen(browser, 1) == {"e1": [2]}
        assert await browser.ask("ping") == {"type": "pong"}


async def test_a_restart_of_core_loses_and_doubles_nothing(bridge: Bridge, core: FakeCore) -> None:
    for name in ("open", "ends", "ended"):
        await core.create(name)
    await core.append("ended", status=pb.ESCROW_STATUS_CANCELLED)
    async with bridge.browser() as browser:
        await follow(browser)
        await core.stop()
        for _ in range(150):
            await core.append("open")
        await core.append("ends", status=pb.ESCROW_STATUS_REFUNDED)
        await core.append("ended")
        await core.create("short")
        await core.append("short", status=pb.ESCROW_STATUS_CANCELLED)
        await core.create("new")
        await core.start()
        expected = {
            "open": list(range(2, 152)),
            "ends": [2],
            "ended": [3],
            "short": [1, 2],
            "new": [1],
        }
        assert await seen(browser, 155) == expected
        await until(lambda: core.watching)
        for name in expected:
            await core.append(name)
        assert await seen(browser, 5) == {name: [v[-1] + 1] for name, v in expected.items()}


async def test_events_while_core_comes_back_are_sent_once(bridge: Bridge, core: FakeCore) -> None:
    """Events while the stream is opened again are missed ones or live ones."""
    await core.create("e1")
    async with bridge.browser() as browser:
        await follow(browser)
        for restart in range(5):
            await core.stop()
            await core.append("e1")

            async def flood() -> None:
                for _ in range(50):
                    await core.append("e1")
                    await asyncio.sleep(0)

            calls = core.calls["WatchEscrow"]
            await core.start()
            await until(partial(core.has_more, "WatchEscrow", calls))
            await flood()
            first = 2 + restart * 51
            assert await seen(browser, 51) == {"e1": list(range(first, first + 51))}


async def test_an_event_that_core_left_out_is_fetched(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await follow(browser)
        await until(lambda: core.watching)
        core.tamper = lambda event: None if event.version == 2 else event
        await core.append("e1")
        await core.append("e1")
        assert await seen(browser, 2) == {"e1": [2, 3]}


async def test_a_late_subscriber_gets_the_present_state(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as first, bridge.browser() as late:
        await follow(first)
        await core.append("e1")
        await core.create("e2")
        await core.append("e2", status=pb.ESCROW_STATUS_CANCELLED)
        assert await seen(first, 3) == {"e1": [2], "e2": [1, 2]}
        assert await follow(late) == {"e1": 2}
        await until(lambda: core.watching == 1)


@pytest.mark.parametrize("escrows", [1, 5])
async def test_joining_in_the_middle_of_a_flood_leaves_no_gap(
    bridge: Bridge, core: FakeCore, escrows: int
) -> None:
    names = [f"e{number}" for number in range(escrows)]
    for name in names:
        await core.create(name)
    last = 1 + 200 // escrows

    async def flood() -> None:
        for _ in range(last - 1):
            for name in names:
                await core.append(name)
                await asyncio.sleep(0)

    async def watch(browser: Browser, delay: int) -> None:
        await until(lambda: len(core.records["e0"]) > delay)
        await browser.send("subscribe", escrow_id="*")
        told: dict[str, int] = {}
        answered = False
        while not answered or any(told[name] < last for name in names):
            frame = await browser.next()
            name = frame["escrow_id"]
            if name == "*":
                assert set(told) == set(names)
                answered = True
            else:
                assert frame["version"] == told.get(name, frame["version"] - 1) + 1
                assert name in told or frame["type"] == "subscribed"
                told[name] = frame["version"]

    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(bridge.browser()) for _ in range(8)]
        delays = (place * last // 10 for place in range(8))
        watching = (watch(one, delay) for one, delay in zip(browsers, delays, strict=True))
        await asyncio.gather(flood(), *watching)


async def test_a_socket_subscribed_to_an_escrow_and_to_all_gets_each_event_once(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    await core.create("e2")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        assert await follow(browser) == {"e1": 1, "e2": 1}
        await core.append("e1")
        await core.append("e2")
        assert await seen(browser, 2) == {"e1": [2], "e2": [2]}
        assert (await browser.subscribe("e2", id=1))["version"] == 2
        await core.append("e2")
        assert await seen(browser, 1) == {"e2": [3]}
        for name in ("e1", "e2"):
            await browser.ask("unsubscribe", escrow_id=name)
            await core.append(name)
            assert await seen(browser, 1) == {name: [len(core.records[name])]}
        assert await browser.ask("ping") == {"type": "pong"}


@pytest.mark.parametrize("resumes", [False, True])
async def test_subscriptions_that_come_and_go_beside_all_send_each_event_once(
    start_bridge: StartBridge, core: FakeCore, resumes: bool
) -> None:
    """They begin and end amid a flood of events: none is missing, repeated or out of order."""
    bridge = await start_bridge(frames_burst=1000)
    await core.create("e1")
    rounds, events = 15, 20
    async with bridge.browser() as browser:
        await follow(browser)
        newest = 1
        for turn in range(rounds):
            fields = {"after": newest} if resumes else {}
            await browser.send("subscribe", escrow_id="e1", **fields)
            # Events before the bridge reads this frame would come again, as being after `after`.
            await until(partial(core.has_more, "Open", turn))
            for number in range(events):
                await core.append("e1")
                await asyncio.sleep(0)
                if number == turn:
                    await browser.send("unsubscribe", escrow_id="e1", id=turn)
            gone = False
            while newest < 1 + (turn + 1) * events or not gone:
                frame = await browser.next()
                if frame["type"] == "escrow_update":
                    assert frame["version"] == newest + 1
                    newest += 1
                elif frame["type"] == "subscribed":
                    assert frame["version"] == newest
                else:
                    assert frame == {"type": "unsubscribed", "escrow_id": "e1", "id": turn}
                    gone = True


async def test_when_a_subscription_to_an_escrow_fails_the_one_to_all_sends_its_events(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(core_busy_s=2)
    await core.create("e1")
    async with bridge.browser() as browser:
        await follow(browser)
        core.answering.clear()
        await browser.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"])
        for _ in range(3):
            await core.append("e1")
        assert await seen(browser, 3) == {"e1": [2, 3, 4]}
        refused = await browser.next()
        assert (refused["code"], refused["escrow_id"]) == ("UNAVAILABLE", "e1")
        await core.append("e1")
        assert await seen(browser, 1) == {"e1": [5]}


async def test_a_subscription_to_all_does_not_wait_for_one_to_an_escrow(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(core_busy_s=2)
    await core.create("e1")
    async with bridge.browser() as browser:
        core.answering.clear()
        await browser.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"])
        assert await follow(browser) == {"e1": 1}
        await core.append("e1")
        assert await seen(browser, 1) == {"e1": [2]}
        assert (await browser.next())["code"] == "UNAVAILABLE"
        await core.append("e1")
        assert await seen(browser, 1) == {"e1": [3]}


async def test_while_core_is_away_a_subscribe_waits_and_then_fails(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    # The bridge does not notice within the test that core is away, so that no `live` frame comes.
    bridge = await start_bridge(core_wait_s=0.3, standing_s=60)
    await core.stop()
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="*", id=1)
        assert (answer["code"], answer["retry"], answer["id"]) == ("UNAVAILABLE", True, 1)
        assert answer["escrow_id"] == "*"


async def test_while_core_is_away_a_subscribe_waits_and_is_then_answered(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    # Long enough for any machine. The test before this one shows how long the wait is.
    bridge = await start_bridge(core_wait_s=60, standing_s=60)
    await core.create("e1")
    await core.stop()
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="*")
        await browser.send("ping")
        assert (await browser.next())["type"] == "pong"
        await core.start()
        assert (await browser.next())["escrow_id"] == "e1"


async def test_a_subscriber_that_joins_while_core_is_away_gets_what_is_true_when_it_is_back(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(core_wait_s=60)
    await core.create("e1")
    async with bridge.browser() as first, bridge.browser() as second:
        await follow(first)
        await core.stop()
        await second.send("subscribe", escrow_id="*")
        assert await first.ask("ping") == {"type": "pong"}
        await core.append("e1")
        await core.start()
        told = [await second.next() for _ in range(2)]
        assert [(frame["escrow_id"], frame["position"]) for frame in told] == [("e1", 2), ("*", 2)]
        assert await seen(first, 1) == {"e1": [2]}


async def test_only_the_newest_open_escrows_are_sent_and_more_says_that_there_are_others(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(user_escrows=3)
    for number in range(5):
        await core.create(f"e{number}")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="*", id=1)
        told = [await browser.next() for _ in range(4)]
        assert [frame["escrow_id"] for frame in told] == ["e4", "e3", "e2", "*"]
        answer = {"type": "subscribed", "escrow_id": "*", "position": 5, "more": True, "id": 1}
        assert told[-1] == answer
        # Events of an escrow without a snapshot come all the same, and it can be subscribed to.
        await core.append("e0")
        assert await seen(browser, 1) == {"e0": [2]}
        assert (await browser.subscribe("e1"))["version"] == 1
    for number in (3, 4):
        await core.append(f"e{number}", status=pb.ESCROW_STATUS_CANCELLED)
    await bridge.until_metric("holdfast_bridge_follows", 0)
    async with bridge.browser() as browser:
        assert await follow(browser) == {"e0": 2, "e1": 1, "e2": 1}


async def test_a_user_that_core_cannot_know_is_refused(bridge: Bridge, core: FakeCore) -> None:
    core.refusals["WatchEscrow"] = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    async with bridge.with_token(token("a b")) as browser:
        answer = await browser.ask("subscribe", escrow_id="*")
        assert (answer["code"], answer["retry"]) == ("ESCROW_NOT_FOUND", False)
    assert core.calls["WatchEscrow"] == 1


async def test_a_slow_reader_gets_more_snapshots_than_an_outbox_holds(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(outbox_bytes=64 * 1024)
    for number in range(300):
        await core.create(f"e{number}", description="x" * 5_000)
    async with bridge.browser() as browser:
        reading = browser.socket._response.connection.transport
        await browser.send("subscribe", escrow_id="*")
        reading.pause_reading()
        await until(lambda: core.calls["WatchEscrow"])
        await until(lambda: not core.watching)
        reading.resume_reading()
        told = [await browser.next() for _ in range(301)]
        assert [frame["type"] for frame in told] == ["subscribed"] * 301


async def test_many_catch_ups_share_one_outbox(start_bridge: StartBridge, core: FakeCore) -> None:
    """Each event is large, so that all catch-ups wait for room in the outbox at the same time."""
    bridge = await start_bridge(outbox_bytes=64 * 1024)
    names = [f"e{number}" for number in range(8)]
    for name in names:
        await core.create(name)
        for _ in range(30):
            await core.append(name, data={"text": "x" * 8_000})
    async with bridge.browser() as browser:
        reading = browser.socket._response.connection.transport
        reading.pause_reading()
        for name in names:
            await browser.send("subscribe", escrow_id=name, after=1)
        await until(lambda: core.watching == len(names))
        reading.resume_reading()
        assert await seen(browser, 240) == {name: list(range(2, 32)) for name in names}
