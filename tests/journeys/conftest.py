"""One stack for all journeys of a test process. Every test has its own users and connections."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.database import database
from tests.fakes.deal import Deal
from tests.fakes.stack import Client, Stack, started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """On SQLite, or on the database that the test's own parameter names."""
    kind = getattr(request, "param", "sqlite")
    async with (
        database(request, kind) as url,
        started(Stack(tmp_path_factory.mktemp("journeys"), database_url=url)) as running,
    ):
        yield running


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    async with stack.client() as opened:
        yield opened


@pytest.fixture
def deal(client: Client) -> Deal:
    return Deal(client)
