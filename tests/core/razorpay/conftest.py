"""The gateway, a sandbox that settles at once, and a buyer who pays there."""

from collections.abc import AsyncIterator

import pytest

from core.razorpay import Gateway
from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0) as running:
        yield running


@pytest.fixture
async def buyer(sandbox: Sandbox) -> AsyncIterator[Visitor]:
    async with Visitor(sandbox) as visitor:
        yield visitor


@pytest.fixture
async def gateway(sandbox: Sandbox) -> AsyncIterator[Gateway]:
    opened = Gateway(
        key_id=sandbox.key_id, key_secret=sandbox.key_secret, base_url=sandbox.base_url + "/"
    )
    yield opened
    await opened.close()
