"""The driver of a simulated world of its own for each test, on each database."""

from collections.abc import AsyncIterator

import pytest

from tests.simulation.driver import Driver
from tests.simulation.world import World


@pytest.fixture
async def driver(database_url: str) -> AsyncIterator[Driver]:
    world = World(database_url)
    await world.open()
    yield Driver(world)
    await world.close()
