from collections.abc import AsyncIterator

import pytest

from tests.core.room import Room
from tests.core.webhooks.hooks import Hooks, open_hooks
from tests.fakes.receiver import Receiver


@pytest.fixture
async def hooks(room: Room) -> AsyncIterator[Hooks]:
    async with open_hooks(room) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened
