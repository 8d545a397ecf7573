"""A stack that the tests break. It is started again before each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.database import database, kinds
from tests.fakes.deal import Deal
from tests.fakes.stack import Client, Stack, started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """On SQLite, or on the database that the test's own parameter names."""
    kind = getattr(request, "param", "sqlite")
    async with (
        database(request, kind) as url,
        started(Stack(tmp_path_factory.mktemp("faults"), database_url=url)) as running,
    ):
        yield running


@pytest.fixture(params=kinds(is_long=True))
async def own_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """An empty database of each kind, for a stack of the test's own; None is a SQLite file."""
    async with database(request, request.param) as url:
        yield url


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
