from collections.abc import AsyncIterator

import pytest

from tests.core.room import Room, open_room


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    """One replica, on each database."""
    async with open_room(database_url) as opened:
        yield opened


@pytest.fixture
async def two_rooms(postgres_url: str) -> AsyncIterator[tuple[Room, Room]]:
    """Two replicas on one PostgreSQL."""
    async with open_room(postgres_url) as one, open_room(postgres_url, one.time) as other:
        yield one, other
