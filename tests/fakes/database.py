"""Where a stack keeps its data: a SQLite file, or a fresh database of a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fakes.postgres import Postgres

# For a module that wants its tests on both: `pytestmark = on_both("stack")`.
KINDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgres", id="postgres", marks=pytest.mark.postgres),
]


def on_both(fixture: str) -> pytest.MarkDecorator:
    """Run every test of a module on both databases; `fixture` is the stack's."""
    return pytest.mark.parametrize(fixture, KINDS, indirect=True, scope="session")


@asynccontextmanager
async def database(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[str | None]:
    """Yields the address of an empty database; None is the stack's own SQLite file."""
    if kind == "sqlite":
        yield None
        return
    # It skips with the reason where there is no PostgreSQL.
    lazily = request.getfixturevalue("lazy_postgres")
    server: Postgres = await asyncio.to_thread(lazily.server)
    name = await server.create()
    try:
        yield server.url(name)
    finally:
        await server.drop(name)
