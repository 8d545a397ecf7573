"""`--simulation-steps N`: how far the simulation goes; beyond the default it is random anew."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.simulation.driver import Driver
from tests.simulation.world import World, migrate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--simulation-steps",
        type=int,
        default=2_000,
        help="steps of the simulation (default: %(default)s)",
    )


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    """Everybody, in a world of their own."""
    await migrate(tmp_path / "world.db")
    world = World(tmp_path / "world.db")
    await world.open()
    yield Driver(world)
    await world.close()
