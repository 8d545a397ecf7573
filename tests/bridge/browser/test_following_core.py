"""The subscription to `*` against the real core: its snapshots, its order, its restarts."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service
from escrow.v1.escrow_service_pb2_grpc import EscrowServiceStub
from pydantic import SecretStr

from core.config import Settings
from core.server import serving
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import SECRET, Bridge, token
from tests.fakes.browser import Browser

SERVICE = (("authorization", f"Bearer {token('ops', roles=['service'])}"),)


class RealCore:
    """Core on a file. `serve` serves at the port that the bridge knows, `elsewhere` at none."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._url = f"sqlite+aiosqlite:///{folder / 'core.db'}"
        self._running = AsyncExitStack()
        self.escrows: Any = None

    async def serve(self) -> None:
        self.escrows = await self._running.enter_async_context(self._served(self.port))

    async def stop(self) -> None:
        await self._running.aclose()

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[None]:
        """Call a core on the same database that the bridge cannot reach."""
        async with self._served(0) as self.escrows:
            yield

    @asynccontextmanager
    async def _served(self, port: int) -> AsyncIterator[Any]:
        settings = Settings(
            database_url=self._url,
            core_listen=f"127.0.0.1:{port}",
            jwt_secret=SecretStr(SECRET),
            razorpay_key_id="rzp_test_nobody",
            razorpay_key_secret=SecretStr("never used"),
            razorpay_base_url="http://127.0.0.1:9",
        )
        async with (
            serving(settings) as core,
            grpc.aio.insecure_channel(f"127.0.0.1:{core.port}") as channel,
        ):
            self.port = self.port or core.port
            yield EscrowServiceStub(channel)

    async def create(self, **parties: str) -> str:
        request = service.CreateEscrowRequest(
            title="A cow", amount=pb.Money(amount_minor=100_000, currency="INR")
        )
        for name, user_id in {"buyer_id": "buyer", "seller_id": "seller", **parties}.items():
            setattr(request, name, user_id)
        reply = await self.escrows.CreateEscrow(request, metadata=SERVICE)
        return str(reply.escrow.escrow_id)

    async def publish(self, escrow_id: str, times: int = 1) -> None:
        for _ in range(times):
            request = service.PublishUpdateRequest(escrow_id=escrow_id, event_type="told")
            await self.escrows.PublishUpdate(request, metadata=SERVICE)

    async def cancel(self, escrow_id: str) -> None:
        request = service.CancelEscrowRequest(escrow_id=escrow_id)
        await self.escrows.CancelEscrow(request, metadata=SERVICE)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealCore]:
    core = RealCore(tmp_path)
    await core.serve()
    yield core
    await core.stop()


@pytest.fixture
async def bridge(start_bridge: StartBridge, real: RealCore) -> Bridge:
    started: Bridge = await start_bridge({"core_address": (f"127.0.0.1:{real.port}",)})
    return started


async def follow(browser: Browser) -> dict[str, int]:
    await browser.send("subscribe", escrow_id="*")
    told = {}
    while (frame := await browser.next())["escrow_id"] != "*":
        assert frame["type"] == "subscribed"
        told[frame["escrow_id"]] = frame["version"]
    return told


async def seen(browser: Browser, count: int) -> dict[str, list[int]]:
    versions = defaultdict(list)
    for _ in range(count):
        frame = await browser.until("escrow_update")
        versions[frame["escrow_id"]].append(frame["version"])
    return dict(versions)


async def test_everyone_concerned_gets_snapshots_then_all_events(
    bridge: Bridge, real: RealCore
) -> None:
    first = await real.create(arbiter_id="judge")
    final = await real.create()
    await real.cancel(final)
    await real.create(buyer_id="x", seller_id="y")
    async with AsyncExitStack() as stack:
        users = {"buyer": 1, "seller": 1, "judge": 1, "z": 0}
        browsers = [await stack.enter_async_context(bridge.browser(user)) for user in users]
        for browser, count in zip(browsers, users.values(), strict=True):
            assert await follow(browser) == dict.fromkeys([first][:count], 1)
        new = await real.create(buyer_id="z", arbiter_id="judge")
        await real.publish(first)
        await real.cancel(new)
        for browser, expected in zip(
            browsers,
            (
                {first: [2]},
                {first: [2], new: [1, 2]},
                {first: [2], new: [1, 2]},
                {new: [1, 2]},
            ),
            strict=True,
        ):
            assert await seen(browser, sum(map(len, expected.values()))) == expected
            assert await browser.ask("ping") == {"type": "pong"}


async def test_no_restart_loses_or_doubles_an_event(bridge: Bridge, real: RealCore) -> None:
    open_, ends, ended = [await real.create() for _ in range(3)]
    await real.cancel(ended)
    async with bridge.browser() as browser:
        assert await follow(browser) == {open_: 1, ends: 1}
        at = 1
        for restart in range(2):
            await real.stop()
            async with real.elsewhere():
                await real.publish(open_, 20)
                await real.publish(ended)
                short = await real.create()
                await real.cancel(short)
                if restart == 0:
                    await real.cancel(ends)
            await real.serve()
            await real.publish(open_)
            expected = {
                open_: list(range(at + 1, at + 22)),
                ended: [3 + restart],
                short: [1, 2],
            }
            expected |= {ends: [2]} if restart == 0 else {}
            assert await seen(browser, sum(map(len, expected.values()))) == expected
            at += 21
        assert await browser.ask("ping") == {"type": "pong"}


async def test_events_while_core_restarts_are_sent_once(bridge: Bridge, real: RealCore) -> None:
    escrow_id = await real.create()
    async with bridge.browser() as browser, bridge.browser() as both:
        await follow(browser)
        await both.subscribe(escrow_id)
        assert await follow(both) == {escrow_id: 1}
        version = 1
        for _ in range(2):
            await real.stop()
            await real.serve()
            await real.publish(escrow_id, 20)
            expected = {escrow_id: list(range(version + 1, version + 21))}
            assert await seen(browser, 20) == expected
            assert await seen(both, 20) == expected
            version += 20


async def test_a_user_without_escrows_gets_the_first_one(bridge: Bridge, real: RealCore) -> None:
    async with bridge.browser("nobody") as browser:
        assert await follow(browser) == {}
        escrow_id = await real.create(arbiter_id="nobody")
        assert await seen(browser, 1) == {escrow_id: [1]}


async def test_a_user_that_no_escrow_can_name_is_refused(bridge: Bridge, real: RealCore) -> None:
    async with bridge.browser("a b") as browser:
        answer = await browser.ask("subscribe", escrow_id="*")
        assert (answer["code"], answer["retry"]) == ("ESCROW_NOT_FOUND", False)


async def test_many_missed_events_are_read_page_by_page(
    start_bridge: StartBridge, real: RealCore
) -> None:
    bridge = await start_bridge({"core_address": (f"127.0.0.1:{real.port}",)}, catch_up_events=7)
    ids = [await real.create() for _ in range(30)]
    async with bridge.browser() as browser, bridge.browser() as back:
        assert await follow(browser) == dict.fromkeys(ids, 1)
        await real.stop()
        async with real.elsewhere():
            for escrow_id in ids[::5]:
                await real.publish(escrow_id)
        await real.serve()
        assert await seen(browser, 6) == {escrow_id: [2] for escrow_id in ids[::5]}
        await back.send("subscribe", escrow_id="*", after=0)
        expected = {one: [1, 2] if number % 5 == 0 else [1] for number, one in enumerate(ids)}
        assert await seen(back, 36) == expected
        assert (await back.next())["position"] == 36
