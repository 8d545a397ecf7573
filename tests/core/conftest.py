from collections.abc import AsyncIterator

import pytest

from tests.core.counter import Counter, open_counter
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


@pytest.fixture
async def counter(database_url: str) -> AsyncIterator[Counter]:
    """A whole core behind a channel, on each database."""
    async with open_counter(database_url) as opened:
        yield opened


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Counter]:
    """The same on SQLite alone, where the database makes no difference."""
    async with open_counter(sqlite_url) as opened:
        yield opened
