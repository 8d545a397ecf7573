"""Streams over several cores: shared out, moved when a core goes, and brought back into balance."""

import time
from typing import Any

import grpc
import pytest

from bridge.upstream import channel
from bridge.upstream.error import CoreError, has_ended, read_error
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.relay import Relay, to_port
from tests.fakes.wait import until

SOON: dict[str, Any] = {"standing_every_s": 0.05, "backoff_last_s": 0.1}
COUNT = 20
ESCROWS = [f"e{number}" for number in range(COUNT)]


async def bridge_of(start_bridge: StartBridge, *addresses: str, **limits: Any) -> Bridge:
    bridge: Bridge = await start_bridge({"core_address": addresses}, **{**SOON, **limits})
    return bridge


async def subscribe(browser: Browser, core: FakeCore) -> None:
    for escrow_id in ESCROWS:
        await core.create(escrow_id)
        await browser.subscribe(escrow_id)


async def check_each_gets_the_next(browser: Browser, core: FakeCore) -> None:
    """Append an event to each escrow: each must come once, and nothing else."""
    for escrow_id in ESCROWS:
        await core.append(escrow_id)
    updates = [await browser.until("escrow_update") for _ in ESCROWS]
    told = sorted((update["escrow_id"], update["version"]) for update in updates)
    assert told == sorted((escrow_id, core.escrow(escrow_id).version) for escrow_id in ESCROWS)


def watching(pair: list[FakeCore]) -> list[int]:
    return [core.watching for core in pair]


def is_even(pair: list[FakeCore]) -> bool:
    return sum(watching(pair)) == COUNT and min(watching(pair)) >= COUNT // 2 - 1


async def test_streams_are_shared_out_evenly(
    start_bridge: StartBridge, pair: list[FakeCore]
) -> None:
    bridge = await bridge_of(start_bridge, *(core.address for core in pair))
    async with bridge.browser() as browser:
        await subscribe(browser, pair[0])
        await until(lambda: is_even(pair))


async def test_a_core_that_returns_gets_its_share_a_few_at_a_time(
    start_bridge: StartBridge, pair: list[FakeCore]
) -> None:
    bridge = await bridge_of(start_bridge, *(core.address for core in pair), moves=1)
    async with bridge.browser() as browser:
        await subscribe(browser, pair[0])
        await pair[1].stop()
        await until(lambda: watching(pair) == [COUNT, 0])
        await check_each_gets_the_next(browser, pair[0])
        opened = pair[1].calls["Open"]
        start = time.monotonic()
        await pair[1].start()
        await until(lambda: is_even(pair))
        moved = pair[1].calls["Open"] - opened
        assert moved <= COUNT // 2 + 1
        assert time.monotonic() - start > (moved - 1) * SOON["standing_every_s"]
        await check_each_gets_the_next(browser, pair[0])


async def test_streams_leave_a_core_that_says_it_does_not_serve(
    start_bridge: StartBridge, pair: list[FakeCore]
) -> None:
    bridge = await bridge_of(start_bridge, *(core.address for core in pair))
    async with bridge.browser() as browser:
        await subscribe(browser, pair[0])
        await pair[0].set_serving(False)
        await until(lambda: watching(pair) == [0, COUNT])
        await check_each_gets_the_next(browser, pair[1])
        await pair[0].set_serving(True)
        await until(lambda: is_even(pair))
        await check_each_gets_the_next(browser, pair[1])


async def test_streams_and_calls_leave_a_core_that_is_connected_and_silent(
    start_bridge: StartBridge, pair: list[FakeCore]
) -> None:
    async with Relay(to_port(pair[0].port)) as relay:
        addresses = (f"127.0.0.1:{relay.port}", pair[1].address)
        bridge = await bridge_of(start_bridge, *addresses, standing_s=0.3)
        async with bridge.browser() as browser:
            await subscribe(browser, pair[0])
            relay.fall_silent(is_deaf=True)
            start = time.monotonic()
            for number in range(4):  # Every other call goes to the silent one.
                await pair[1].create(f"later{number}")
                await browser.subscribe(f"later{number}")
            await until(lambda: pair[1].watching == COUNT + 4)
            assert time.monotonic() - start < 5  # Keepalive alone would take 13 s.
            await check_each_gets_the_next(browser, pair[1])


async def test_a_core_that_drains_is_left_at_its_first_word(
    start_bridge: StartBridge, pair: list[FakeCore], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = 0

    def counted(error: grpc.aio.AioRpcError) -> CoreError:
        nonlocal lost
        lost += has_ended(error)
        return read_error(error)

    monkeypatch.setattr(channel, "read_error", counted)
    # No check comes between, so that only the refusal itself can say it.
    bridge = await bridge_of(
        start_bridge, *(core.address for core in pair), standing_every_s=60.0, backoff_last_s=2.0
    )
    drains, other = pair
    # The first check has ended.
    await until(lambda: drains.calls["GetDefaults"] + other.calls["GetDefaults"] == 1)
    drains.refusals["WatchMany"] = (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    async with bridge.browser() as browser:
        await subscribe(browser, pair[0])
        assert watching(pair) == [0, COUNT]
        await check_each_gets_the_next(browser, other)
        # What gRPC forgot over a write was no word (see has_ended).
        assert drains.calls["WatchMany"] == 1 + lost
