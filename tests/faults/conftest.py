"""A stack that is broken again and again, and whole again before each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.deal import Deal
from tests.fakes.stack import Client, Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("faults"))
    try:
        await running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
async def stack(whole: Stack) -> Stack:
    await whole.start()
    return whole


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    async with stack.client() as opened:
        await opened.faults()
        yield opened


@pytest.fixture
def deal(client: Client) -> Deal:
    return Deal(client)
