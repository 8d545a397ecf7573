"""One stack for all attacks of a test process, and what is measured beside them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.edge.beside import Others
from tests.fakes.stack import Client, Stack, started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with started(Stack(tmp_path_factory.mktemp("edge"))) as running:
        yield running


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Client]:
    async with stack.client() as opened:
        yield opened


@pytest.fixture
async def others(client: Client) -> Others:
    """Another user, with a connection of before the attack."""
    return Others(client.stack.bridge_url, await client.viewer(client.caller("other")))


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[Others, Any], None]:
    """Reports how others were served, and what the attacker saw."""

    def tell(others: Others, seen: object) -> None:
        record_property("others", str(others))
        record_property("attacker", seen)
        print(others, seen)

    return tell


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report what the tests have measured."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if "tests/edge" in report.nodeid and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")
