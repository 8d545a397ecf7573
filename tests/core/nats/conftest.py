"""A core that publishes, and its impatience."""

from collections.abc import AsyncIterator

import pytest

from core.nats import publish
from tests.core.nats.core import STREAM, Core, open_core
from tests.fakes.nats import Nats


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "LEASE_S", 1.0)
    monkeypatch.setattr(publish, "TRY_EVERY_S", 0.2)
    monkeypatch.setattr(publish, "RETRY_S", 0.1)
    monkeypatch.setattr(publish, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(publish, "CHECK_EVERY_S", 0.3)


@pytest.fixture
async def core(database_url: str, nats_server: Nats, impatient: None) -> AsyncIterator[Core]:
    async with open_core(database_url, nats_server.url, STREAM) as opened:
        yield opened
