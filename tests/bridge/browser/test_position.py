"""The subscription to `*` by position: what was missed comes, once and in order; nothing else."""

import asyncio
import random
from contextlib import AsyncExitStack

import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.core import FakeCore
from tests.fakes.told import Told, admin, missed, resume, updates
from tests.fakes.wait import until


async def test_what_was_missed_comes_in_order_then_the_answer_then_what_happens(
    bridge: Bridge, core: FakeCore
) -> None:
    for name in ("open", "ends", "ended"):
        await core.create(name)
    await core.append("ended", status=pb.ESCROW_STATUS_CANCELLED)
    async with bridge.browser() as browser:
        assert await resume(browser, None) == []
    await core.append("open")
    await core.create("strange", buyer_id="x", seller_id="y")
    await core.append("ends", status=pb.ESCROW_STATUS_REFUNDED)
    await core.create("new")
    await core.append("ended")
    await core.append("new", status=pb.ESCROW_STATUS_CANCELLED)
    async with bridge.browser() as browser:
        assert await resume(browser, 4, id=7) == missed(core, 4)
        assert len(missed(core, 4)) == 5
        await core.append("strange")
        await core.append("ended")
        assert await updates(browser, 1) == [(12, "ended", 4)]
        assert await browser.ask("ping") == {"type": "pong"}


async def test_the_answer_says_the_position_and_carries_the_id(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    await core.create("strange", buyer_id="x", seller_id="y")
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="*", after=1, id="a")
        assert answer == {"type": "subscribed", "escrow_id": "*", "position": 2, "id": "a"}
        # Again, whatever its `after`: the socket has missed nothing.
        answer = await browser.ask("subscribe", escrow_id="*", after=0, id="b")
        assert answer == {"type": "subscribed", "escrow_id": "*", "position": 2, "id": "b"}


async def test_every_frame_of_an_event_carries_its_position(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    kinds = ["payment_status", "status_change", "escrow_update"]
    async with bridge.browser() as back, bridge.browser() as live, bridge.browser() as one:
        await resume(live, 1)
        await one.subscribe("e1")
        await core.append(
            "e1",
            pb.EVENT_TYPE_PAYMENT_CAPTURED,
            status=pb.ESCROW_STATUS_HELD,
            payment_status=pb.PAYMENT_STATUS_CAPTURED,
        )
        frames = [await one.next() for _ in kinds]
        assert [frame["type"] for frame in frames] == kinds
        expected = [frame | {"position": 2} for frame in frames]
        assert [await live.next() for _ in kinds] == expected
        await back.send("subscribe", escrow_id="*", after=1)
        assert [await back.next() for _ in kinds] == expected


@pytest.mark.parametrize("after", [-1, "1", 1.5, True, [], 2**63])
async def test_an_after_that_is_no_position_is_refused(
    bridge: Bridge, core: FakeCore, after: object
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="*", after=after, id=1)
        assert (answer["type"], answer["code"], answer["id"]) == ("error", "BAD_FRAME", 1)
        assert "position" in answer["message"]
        assert await resume(browser, 0) == missed(core, 0)


async def test_a_position_beyond_the_newest_is_refused_and_says_what_to_do(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="*", after=2, id=1)
        assert (answer["code"], answer["retry"]) == ("POSITION_UNKNOWN", False)
        assert (answer["escrow_id"], answer["id"]) == ("*", 1)
        assert "without `after`" in answer["message"]
        assert await resume(browser, None) == []
        await core.append("e1")
        assert await updates(browser, 1) == [(2, "e1", 2)]


async def test_sockets_of_one_user_with_different_positions_share_one_stream(
    bridge: Bridge, core: FakeCore
) -> None:
    for number in range(40):
        await core.create(f"e{number}")
    async with AsyncExitStack() as stack:
        for after in (40, 0, 17, 39, 3):
            browser = await stack.enter_async_context(bridge.browser())
            assert await resume(browser, after) == missed(core, after)
            await core.append("e0")
            assert await updates(browser, 1) == missed(core, len(core.order) - 1)
        await until(lambda: core.watching == 1)
        assert core.calls["WatchEscrow"] == 1


async def test_to_resume_costs_no_more_than_what_has_happened_since(
    bridge: Bridge, core: FakeCore
) -> None:
    for number in range(300):
        await core.create(f"e{number}")
    await core.append("e5")
    async with bridge.browser() as browser:
        assert await resume(browser, 300) == [(301, "e5", 2)]
        await until(lambda: core.watching == 1)
    assert core.calls["ReadFeed"] <= 2
    assert core.calls["WatchEscrow"] == 1
    assert not core.calls["ListEscrows"]


async def test_more_is_missed_than_an_outbox_holds_and_the_reader_is_slow(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(outbox_bytes=64 * 1024)
    await core.create("e1")
    for _ in range(500):
        await core.append("e1", data={"text": "x" * 4_000})
    async with bridge.browser() as browser, bridge.browser() as other:
        await resume(other, 501)
        transport = browser.socket._response.connection.transport
        await browser.send("subscribe", escrow_id="*", after=0)
        transport.pause_reading()
        await until(lambda: core.calls["ReadFeed"] > 1)
        # More than wait beside a socket that reads what it has missed.
        for _ in range(200):
            await core.append("e1")
        assert len(await updates(other, 200)) == 200
        transport.resume_reading()
        assert await updates(browser, 701) == missed(core, 0)


@pytest.mark.parametrize("events", [1, 64, 65, 200])
async def test_what_happens_while_a_socket_reads_the_end_of_the_record_is_not_lost(
    bridge: Bridge, core: FakeCore, events: int
) -> None:
    """It waits beside the socket, and is read again if it is too much."""
    await core.create("e1")
    async with bridge.browser() as other, bridge.browser() as browser:
        await resume(other, 1)
        core.replying.clear()
        await browser.send("subscribe", escrow_id="*", after=0)
        await until(lambda: core.calls["ReadFeed"] == 2)
        await core.append("e1")
        await updates(other, 1)
        core.replying.set()
        core.replying.clear()
        # Now it has joined the follow, which is further than the record that it has read.
        await until(lambda: core.calls["ReadFeed"] == 3)
        for _ in range(events):
            await core.append("e1")
        await updates(other, events)
        core.replying.set()
        assert await updates(browser, events + 2) == missed(core, 0)
        await core.append("e1")
        assert await updates(browser, 1) == missed(core, events + 2)


@pytest.mark.parametrize("who", ["buyer", None])
async def test_whoever_comes_back_with_the_last_position_misses_nothing(
    bridge: Bridge, core: FakeCore, who: str | None
) -> None:
    """Sockets end anywhere in a flood and come back, while core restarts: a gapless list."""
    dice = random.Random(13)
    names = [f"e{number}" for number in range(4)]
    for name in names:
        await core.create(name, buyer_id="buyer" if name != "e3" else "x")

    async def flood() -> None:
        for number in range(600):
            await core.append(dice.choice(names))
            if number == 300:
                await core.stop()
                await core.start()
            await asyncio.sleep(0.001)
        await core.create("last")

    async def follow(told: list[Told]) -> None:
        while not told or told[-1][1] != "last":
            after = told[-1][0] if told else 0
            text = admin() if who is None else token(who)
            async with bridge.with_token(text) as browser:
                await browser.send("subscribe", escrow_id="*", after=after)
                told += await updates(browser, 1)
                for _ in range(dice.randrange(60)):
                    if told[-1][1] != "last":
                        told += await updates(browser, 1)

    lists: list[list[Told]] = [[] for _ in range(4)]
    async with asyncio.timeout(60):
        await asyncio.gather(flood(), *(follow(one) for one in lists))
    for told in lists:
        assert told == missed(core, 0, who)


async def test_a_restart_of_core_is_resumed_by_position_without_looking_at_all_escrows(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await resume(browser, None)
        # Snapshots, the end of the record, the stream.
        await until(lambda: core.calls["WatchEscrow"] == 2 and core.watching == 1)
        readings = core.calls["ReadFeed"]
        for _ in range(3):
            after = len(core.order)
            await core.stop()
            for _ in range(150):
                await core.append("e1")
            await core.start()
            assert await updates(browser, 150) == missed(core, after)
    assert core.calls["ReadFeed"] == readings
    assert not core.calls["ListEscrows"]


@pytest.mark.parametrize(
    "told",
    [
        (grpc.StatusCode.UNAVAILABLE, ""),
        (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"),
        # What a core that stops at once tells the calls that it was answering.
        (grpc.StatusCode.CANCELLED, ""),
    ],
)
async def test_a_core_that_goes_while_it_is_read_is_asked_again(
    bridge: Bridge, core: FakeCore, told: tuple[grpc.StatusCode, str]
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        core.refusals["ReadFeed"] = told
        await browser.send("subscribe", escrow_id="*", after=0)
        await until(lambda: core.calls["ReadFeed"])
        del core.refusals["ReadFeed"]
        assert await updates(browser, 1) == [(1, "e1", 1)]
        assert (await browser.next())["type"] == "subscribed"


async def test_a_core_restored_from_a_backup_ends_the_subscription_and_says_so(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    await core.append("e1")
    async with bridge.browser() as browser:
        await resume(browser, None)
        await until(lambda: core.watching)
        await core.stop()
        core.order.pop()
        core.records["e1"].pop()
        await core.start()
        error = await browser.until("error")
        assert (error["code"], error["escrow_id"]) == ("POSITION_UNKNOWN", "*")
        assert await resume(browser, None) == []
        await core.append("e1")
        assert await updates(browser, 1) == [(2, "e1", 2)]


async def test_a_slow_core_does_not_end_a_socket_that_is_catching_up(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    """After its snapshots a socket waits for core as long as it takes."""
    bridge = await start_bridge(core_wait_s=0.2, backoff_last_s=0.1, standing_s=60)
    await core.create("e1")
    core.refusals["ReadFeed"] = (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    async with bridge.browser() as browser:
        assert await resume(browser, None) == []
        await core.append("e1")
        await until(lambda: core.calls["ReadFeed"] > 3)
        del core.refusals["ReadFeed"]
        assert await updates(browser, 1) == [(2, "e1", 2)]


@pytest.mark.parametrize("role", ["admin", "service"])
async def test_an_admin_or_a_service_follows_everything(
    bridge: Bridge, core: FakeCore, role: str
) -> None:
    await core.create("calm")
    await core.create("worrying", attentions=[pb.Attention(message="A payout is refused.")])
    async with bridge.with_token(admin(role=role)) as browser:
        await browser.send("subscribe", escrow_id="*")
        told = [await browser.next() for _ in range(2)]
        assert [(frame["escrow_id"], frame["position"]) for frame in told] == [
            ("worrying", 2),
            ("*", 2),
        ]
        await core.append("calm")
        await core.create("new", buyer_id="x", seller_id="y")
        assert await updates(browser, 2) == missed(core, 2, None)
    await core.append("new", status=pb.ESCROW_STATUS_CANCELLED)
    async with bridge.with_token(admin(role=role)) as browser:
        assert await resume(browser, 3) == missed(core, 3, None)


async def test_nobody_follows_everything_by_a_name(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1", buyer_id="x")
    for fields in ({}, {"after": 0}):
        async with bridge.browser("*") as browser:
            answer = await browser.ask("subscribe", escrow_id="*", **fields)
            assert (answer["code"], answer["retry"]) == ("ESCROW_NOT_FOUND", False)
            await core.append("e1")
            assert await browser.ask("ping") == {"type": "pong"}


async def test_a_token_with_other_roles_changes_what_all_means(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("own", buyer_id="root")
    await core.create("strange", buyer_id="x")
    async with bridge.with_token(admin()) as browser:
        await resume(browser, 0)
        assert (await browser.ask("auth", token=token("root")))["type"] == "authenticated"
        assert (await browser.next())["type"] == "subscribed"
        await core.append("strange")
        await core.append("own")
        assert await updates(browser, 1) == [(4, "own", 2)]
        assert (await browser.ask("auth", token=admin()))["type"] == "authenticated"
        assert (await browser.next())["type"] == "subscribed"
        await core.append("strange")
        assert await updates(browser, 1) == [(5, "strange", 3)]


async def test_what_a_snapshot_shows_is_not_told_again_and_all_else_is(
    bridge: Bridge, core: FakeCore
) -> None:
    """Events between the reading of the position and that of the snapshots."""
    for name in ("e1", "ends"):
        await core.create(name)
    async with bridge.browser() as browser:
        core.showing.clear()
        await browser.send("subscribe", escrow_id="*")
        await until(lambda: core.calls["WatchEscrow"])
        await core.append("e1")
        await core.append("ends", status=pb.ESCROW_STATUS_CANCELLED)
        await core.create("new")
        core.showing.set()
        shown = [await browser.next() for _ in range(3)]
        assert [(one["escrow_id"], one.get("version"), one["position"]) for one in shown] == [
            ("new", 1, 2),
            ("e1", 2, 2),
            ("*", None, 2),
        ]
        assert await updates(browser, 1) == [(4, "ends", 2)]
        await core.append("e1")
        assert await updates(browser, 1) == [(6, "e1", 3)]


async def test_readers_that_come_at_the_same_time_share_a_reading_of_snapshots(
    bridge: Bridge, core: FakeCore
) -> None:
    for number in range(50):
        await core.create(f"e{number}")
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(bridge.browser()) for _ in range(20)]
        for browser in browsers:
            await browser.send("subscribe", escrow_id="*")
        for browser in browsers:
            assert len([await browser.next() for _ in range(51)]) == 51
        await until(lambda: core.watching == 1)
    # One stream of events, and fewer readings than readers: one at a time.
    assert core.calls["WatchEscrow"] < 12
