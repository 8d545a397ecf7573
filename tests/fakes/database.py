"""Where a stack keeps its data: a SQLite file, or a fresh database of a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from _pytest.mark import ParameterSet

from tests.fakes.postgres import Postgres


def kinds(*, is_long: bool = False) -> list[ParameterSet]:
    """Both databases as parameters. Long tests run on PostgreSQL only with `--full`."""
    marks = [pytest.mark.postgres, *([pytest.mark.full] if is_long else [])]
    return [
        pytest.param("sqlite", id="sqlite"),
        pytest.param("postgres", id="postgres", marks=marks),
    ]


def on_both(fixture: str, *, is_long: bool = False) -> pytest.MarkDecorator:
    """Run every test of a module on both databases; `fixture` is the stack's."""
    return pytest.mark.parametrize(fixture, kinds(is_long=is_long), indirect=True, scope="session")


@asynccontextmanager
async def database(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[str | None]:
    """Yields the address of an empty database; None is the stack's own SQLite file."""
    if kind == "sqlite":
        yield None
        return
    # Skips the test, with the reason, if there is no PostgreSQL.
    lazily = request.getfixturevalue("lazy_postgres")
    server: Postgres = await asyncio.to_thread(lazily.server)
    name = await server.create()
    try:
        yield server.url(name)
    finally:
        await server.drop(name)
