"""Shared watches: one stream for all subscribers, every version once and in order."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.wait import until


async def test_200_sockets_share_one_stream(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with AsyncExitStack() as stack:
        tokens = [token(f"admin{number}", roles=["admin"]) for number in range(200)]
        browsers = [await stack.enter_async_context(bridge.with_token(one)) for one in tokens]
        await asyncio.gather(*(browser.subscribe("e1") for browser in browsers))
        await core.append("e1")
        seen = await asyncio.gather(*(browser.versions(1) for browser in browsers))
        assert core.watching == 1
    assert seen == [[2]] * 200
    assert (core.calls["WatchMany"], core.calls["Open"], core.calls["GetEscrow"]) == (1, 200, 0)


async def test_a_browser_does_not_notice_a_restart_of_core(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.append("e1")
        assert await browser.versions(1) == [2]
        for restart in range(3):
            await core.stop()
            # More events are committed while nobody watches than the bridge remembers.
            for _ in range(100):
                await core.append("e1")
            await core.start()
            first = 3 + restart * 100
            assert await browser.versions(100) == list(range(first, first + 100))
        assert await browser.ask("ping") == {"type": "pong"}


@pytest.mark.parametrize("missed", [0, 1, 5, 450])
async def test_with_after_come_the_missed_events_then_subscribed_then_new_events(
    bridge: Bridge, core: FakeCore, missed: int
) -> None:
    await core.create("e1")
    for _ in range(missed):
        await core.append("e1")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1", after=1)
        frames = [await browser.next() for _ in range(missed + 1)]
        assert [frame["version"] for frame in frames] == [*range(2, missed + 2), missed + 1]
        assert [frame["type"] for frame in frames] == ["escrow_update"] * missed + ["subscribed"]
        assert frames[-1]["data"]["version"] == missed + 1
        await core.append("e1")
        assert await browser.versions(1) == [missed + 2]


async def test_after_0_sends_the_whole_history(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        frame = await browser.ask("subscribe", escrow_id="e1", after=0)
        assert (frame["type"], frame["version"]) == ("escrow_update", 1)
        assert frame["data"]["event_type"] == "escrow_created"
        assert (await browser.next())["type"] == "subscribed"


async def test_an_after_newer_than_the_escrow_gets_the_snapshot(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        assert (await browser.subscribe("e1", after=99))["version"] == 1
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_a_subscriber_joins_the_open_stream(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as first, bridge.browser() as second:
        await first.subscribe("e1")
        for _ in range(20):
            await core.append("e1")
        await first.versions(20)
        await second.send("subscribe", escrow_id="e1", after=11)
        assert await second.versions(10) == list(range(12, 22))
        assert (await second.next())["version"] == 21
    assert core.calls["WatchMany"] == 1
    # The missed events came from the bridge's own history.
    assert core.calls["ListEvents"] == 0


@pytest.mark.parametrize("after", [None, 1])
async def test_joining_in_the_middle_of_a_flood_leaves_no_gap(
    bridge: Bridge, core: FakeCore, after: int | None
) -> None:
    await core.create("e1", arbiter_id="buyer")
    last = 301

    async def flood() -> None:
        for _ in range(last - 1):
            await core.append("e1")
            await asyncio.sleep(0)

    async def watch(browser: Browser, delay: int) -> None:
        await until(lambda: len(core.records["e1"]) > delay)
        fields: dict[str, Any] = {} if after is None else {"after": after}
        await browser.send("subscribe", escrow_id="e1", **fields)
        subscribed_at, seen = 0, [] if after is None else [after]
        while not seen or seen[-1] < last or not subscribed_at:
            frame = await browser.next()
            if frame["type"] == "subscribed":
                subscribed_at = frame["version"]
                assert not seen or seen[-1] == subscribed_at
                seen = seen or [subscribed_at]
            else:
                seen.append(frame["version"])
        assert seen == list(range(seen[0], last + 1))

    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(bridge.browser()) for _ in range(12)]
        watching = (watch(browser, place * 20) for place, browser in enumerate(browsers))
        await asyncio.gather(flood(), *watching)


async def test_a_missing_event_is_fetched(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: core.watching)

        def swallow(event: pb.EscrowEvent) -> pb.EscrowEvent | None:
            core.tamper = lambda sent: sent
            return None if event.version == 2 else event

        core.tamper = swallow
        await core.append("e1")
        await core.append("e1")
        assert await browser.versions(2) == [2, 3]


async def test_a_heartbeat_shows_what_the_stream_withheld(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge()
    core.heartbeat_s = 0.05
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: core.watching)

        def swallow(_event: pb.EscrowEvent) -> None:
            core.tamper = lambda sent: sent

        core.tamper = swallow
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_an_event_that_core_sends_twice_is_sent_once(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    await core.append("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        core.tamper = lambda event: core.records["e1"][1] if event.version == 3 else event
        await core.append("e1")
        core.tamper = lambda event: event
        await core.append("e1")
        assert await browser.versions(2) == [3, 4]


async def test_a_silent_stream_is_opened_again(start_bridge: StartBridge, core: FakeCore) -> None:
    bridge = await start_bridge(watch_silence_s=0.1)
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: core.calls["WatchMany"] >= 3)
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_a_stream_is_retried_until_core_accepts_the_bridges_token(
    start_bridge: StartBridge, core: FakeCore, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = await start_bridge(backoff_last_s=0.1)
    await core.create("e1")
    core.refusals["WatchMany"] = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["WatchMany"] >= 3)
        core.refusals.clear()
        assert (await browser.next())["type"] == "subscribed"
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_subscribers_are_told_when_an_escrow_is_gone(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: core.watching)
        await core.stop()
        record = core.records.pop("e1")
        await core.start()
        gone = await browser.next()
        assert (gone["code"], gone["escrow_id"]) == ("ESCROW_NOT_FOUND", "e1")
        core.records["e1"] = record
        await browser.subscribe("e1")
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_a_stream_ends_a_moment_after_its_last_subscriber(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: core.watching == 1)
        await browser.ask("unsubscribe", escrow_id="e1")
        await until(lambda: core.watching == 0)
        await browser.subscribe("e1")
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_after_a_reload_the_stream_is_still_open(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(linger_s=5)
    await core.create("e1")
    for _ in range(3):
        async with bridge.browser() as browser:
            await browser.subscribe("e1")
    assert core.watching == 1
    # One opens it; the others only ask whether they may see the escrow.
    assert (core.calls["WatchMany"], core.calls["Open"]) == (1, 3)


async def test_too_many_watches_are_refused_for_now(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(watches=1)
    await core.create("e1")
    await core.create("e2")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        answer = await browser.ask("subscribe", escrow_id="e2")
        assert (answer["code"], answer["retry"]) == ("UNAVAILABLE", True)
        # A stranger gets one answer, whether or not there is such an escrow or somebody watches it.
        async with bridge.browser("stranger") as stranger:
            for name in ("e1", "e2", "e3"):
                answer = await stranger.ask("subscribe", escrow_id=name)
                assert answer["code"] == "ESCROW_NOT_FOUND"


async def test_a_history_with_a_gap_is_not_sent(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    for _ in range(3):
        await core.append("e1")
    del core.records["e1"][1]
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="e1", after=1)
        assert (answer["code"], answer["retry"]) == ("UNAVAILABLE", True)


async def number_of(core: FakeCore, jwt_text: str) -> int:
    """The number of the watch that was opened with a token."""
    await until(lambda: any(one.token == jwt_text for one in core.many[0].places.values()))
    return next(at for at, one in core.many[0].places.items() if one.token == jwt_text)


@pytest.mark.parametrize("reason", ["TOKEN_EXPIRED", "TOKEN_REVOKED"])
async def test_the_end_of_a_token_ends_what_was_opened_with_it_and_others_go_on(
    bridge: Bridge, core: FakeCore, reason: str
) -> None:
    await core.create("e1")
    ending, lasting = token("buyer"), token("seller")
    async with bridge.with_token(ending) as buyer, bridge.with_token(lasting) as seller:
        await buyer.subscribe("e1")
        await seller.subscribe("e1")
        number = await number_of(core, ending)
        await core.many[0].end(number, grpc.StatusCode.UNAUTHENTICATED, reason)
        await core.append("e1")
        assert await seller.versions(1) == [2]
        assert await buyer.closed() == 4401
        assert await number_of(core, lasting) > number


async def test_a_watch_outlives_the_token_that_its_user_has_replaced(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    old, fresh = token("buyer"), token("buyer", seconds=7200)
    async with bridge.with_token(old) as browser:
        await browser.subscribe("e1")
        number = await number_of(core, old)
        assert (await browser.ask("auth", token=fresh))["type"] == "authenticated"
        await core.many[0].end(number, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
        await core.append("e1")
        assert await browser.versions(1) == [2]
        assert await number_of(core, fresh) > number


async def test_who_may_not_see_an_escrow_spoils_it_for_nobody_who_may(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser("stranger") as stranger, bridge.browser("buyer") as buyer:
        core.answering.clear()
        await stranger.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"] == 1)
        await buyer.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"] == 2)
        core.answering.set()
        assert (await stranger.next())["code"] == "ESCROW_NOT_FOUND"
        assert (await buyer.next())["type"] == "subscribed"
        await core.append("e1")
        assert await buyer.versions(1) == [2]
        assert (await stranger.ask("ping"))["type"] == "pong"


async def test_who_leaves_while_a_watch_is_opened_spoils_it_for_nobody(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser("seller") as seller, bridge.browser("buyer") as buyer:
        core.answering.clear()
        await seller.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"] == 1)
        await buyer.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"] == 2)
        assert (await seller.ask("unsubscribe", escrow_id="e1"))["type"] == "unsubscribed"
        core.answering.set()
        assert (await buyer.next())["type"] == "subscribed"
        await core.append("e1")
        assert await buyer.versions(1) == [2]
    await until(lambda: core.watching == 0)


async def test_all_watches_resume_on_one_stream_a_few_at_a_time(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(asks=4, frames_burst=200)
    names = [f"e{number}" for number in range(60)]
    for name in names:
        await core.create(name)
    async with bridge.browser() as browser:
        for name in names:
            await browser.send("subscribe", escrow_id=name)
        assert {(await browser.next())["type"] for _ in names} == {"subscribed"}
        await core.stop()
        for name in names:
            await core.append(name)
        core.answering.clear()
        opened = core.calls["Open"]
        await core.start()
        await until(lambda: core.calls["Open"] == opened + 4)
        await asyncio.sleep(0.1)
        assert core.calls["Open"] == opened + 4
        core.answering.set()
        told = [await browser.next() for _ in names]
        assert {(one["escrow_id"], one["version"]) for one in told} == {(one, 2) for one in names}
        assert len(core.many) == 1


async def test_a_user_with_many_questions_does_not_keep_others_waiting(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(asks=1, frames_burst=200)
    await core.create("e1")
    async with bridge.browser("seller") as greedy, bridge.browser("buyer") as modest:
        core.answering.clear()
        for number in range(50):
            await greedy.send("subscribe", escrow_id=f"no-{number}")
        assert await greedy.ask("ping") == {"type": "pong"}
        await until(lambda: core.calls["Open"] == 1)
        await modest.send("subscribe", escrow_id="e1")
        assert await modest.ask("ping") == {"type": "pong"}
        core.answering.set()
        assert (await modest.next())["type"] == "subscribed"
        assert core.calls["Open"] < 10


async def test_a_watch_that_core_cannot_open_again_now_is_asked_for_until_it_can(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(backoff_last_s=0.1)
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.stop()
        core.refusals["Open"] = (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        await core.start()
        await until(lambda: core.calls["Open"] >= 5)
        core.refusals.clear()
        await core.append("e1")
        assert await browser.versions(1) == [2]


async def test_a_core_that_is_too_old_counts_as_away(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(core_wait_s=0.3)
    await core.create("e1")
    core.refusals["WatchMany"] = (grpc.StatusCode.UNIMPLEMENTED, "")
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="e1")
        assert (answer["code"], answer["retry"]) == ("UNAVAILABLE", True)
        core.refusals.clear()
        # The bridge asks core again after a pause that may be longer than a subscriber waits.
        async with asyncio.timeout(10):
            while (await browser.ask("subscribe", escrow_id="e1"))["type"] != "subscribed":
                pass


async def test_very_many_subscribers_are_told_each_version_once_while_the_line_goes_on(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(inline_subscribers=3, slice_s=0.0)
    await core.create("e1")
    async with AsyncExitStack() as stack:
        browsers = [
            await stack.enter_async_context(bridge.with_token(token(f"a{at}", roles=["admin"])))
            for at in range(12)
        ]
        await asyncio.gather(*(browser.subscribe("e1") for browser in browsers))
        for _ in range(150):
            await core.append("e1")
        seen = await asyncio.gather(*(browser.versions(150) for browser in browsers))
    assert seen == [list(range(2, 152))] * 12
