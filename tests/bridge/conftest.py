from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from bridge.config import Settings
from bridge.limits import Limits
from bridge.server import create_app, listener
from tests.bridge.process import Start, starting
from tests.fakes.bridge import SECRET, Bridge, token
from tests.fakes.core import FakeCore, fake_core

ORIGIN = "https://shop.example"
StartBridge = Callable[..., Any]


@pytest.fixture
async def core() -> AsyncIterator[FakeCore]:
    fake = fake_core(SECRET)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def start(core: FakeCore) -> AsyncIterator[Start]:
    """Starts `python -m bridge` with other settings."""
    async with starting(core.address) as start:
        yield start


@pytest.fixture
def settings(core: FakeCore) -> Settings:
    return Settings(
        core_address=(core.address,),
        jwt_secret=SecretStr(SECRET),
        bridge_token=SecretStr(token("bridge", roles=["service"])),
        allowed_origins=(ORIGIN,),
        demo_login=True,
    )


@pytest.fixture
async def start_bridge(settings: Settings) -> AsyncIterator[StartBridge]:
    """Starts a bridge with other settings (a dictionary) or other limits (keywords)."""
    opened: list[Bridge] = []

    async def start(changed: dict[str, Any] | None = None, **limits: Any) -> Bridge:
        own = settings.model_copy(update=changed or {})
        app = create_app(own, replace(Limits(), **{"tick_s": 0.02, "linger_s": 0.05, **limits}))
        door = listener(app, shutdown_s=1)
        await door.open("127.0.0.1", 0)
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        opened.append(Bridge(door, http))
        return opened[-1]

    yield start
    for bridge in opened:
        await bridge.http.close()
        await bridge.runner.close()


@pytest.fixture
async def bridge(start_bridge: StartBridge) -> Bridge:
    started: Bridge = await start_bridge()
    return started
