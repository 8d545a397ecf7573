from collections.abc import AsyncIterator

import pytest

from tests.fakes.bridge import SECRET
from tests.fakes.core import FakeCore, fake_core


@pytest.fixture
async def pair() -> AsyncIterator[list[FakeCore]]:
    """Two cores on one database."""
    cores = [fake_core(SECRET), fake_core(SECRET)]
    cores[1].records = cores[0].records
    cores[1].order = cores[0].order
    cores[1].bell = cores[0].bell
    for core in cores:
        await core.start()
    yield cores
    for core in cores:
        await core.stop()
