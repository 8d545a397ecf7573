"""The databases of the tests, SQLite files and a real PostgreSQL, and a real NATS server."""

import asyncio
import faulthandler
import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest

# Set before gRPC is imported: the wheel starts PostgreSQL with a fork, and gRPC's fork handlers may
# crash it. No process that is forked here uses gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from core.storage.database import connect
from core.storage.migrations import upgrade
from tests.fakes import nats
from tests.fakes.nats import Nats
from tests.fakes.postgres import Postgres, Unavailable
from tests.fakes.size import FULL, QUICK, Size


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="all tests, and storms at their full size")
    parser.addoption("--anew", action="store_true", help="other steps of the simulation each time")
    parser.addoption("--seed", type=int, help="the steps of the simulation that this number gives")


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    """How far the long tests go."""
    return FULL if request.config.getoption("--full") else QUICK


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
    _deal(config, items)


def _deal(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the tests that have a time limit of their own first, because they take longest.

    Each worker begins with an equal slice of the list (pytest-xdist, `--dist worksteal`).
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("timeout")]
    rest = [item for item in items if not item.get_closest_marker("timeout")]
    total = len(items)
    items.clear()
    for worker in range(workers):
        hand = long[worker::workers]
        share = max((total - len(items)) // (workers - worker) - len(hand), 0)
        items += hand + rest[:share]
        del rest[:share]


# So long after its time limit, a test that hangs is ended together with its worker.
HANGS_AFTER_S = 60.0
_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stderr] = os.dup(2)  # The real one, before pytest catches it.


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_stderr])


def _end_after(item: pytest.Item, seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=item.config.stash[_stderr])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """End the worker, with the traceback of each thread, if the time limit did not end the test.

    pytest-timeout raises an error in the main thread. A loop of asyncio only logs one that comes
    while a callback runs, and nothing ends a test that goes round without an await.
    """
    own = item.get_closest_marker("timeout")
    limit_s = own.args[0] if own else item.config.getini("timeout")
    _end_after(item, float(limit_s) + HANGS_AFTER_S)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """End the worker if fixtures hang: the time limit has perhaps been used up by the test."""
    _end_after(item, float(item.config.getini("timeout")) + HANGS_AFTER_S)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


class LazyPostgres:
    """Starts the server for the first test that needs it, and remembers if that fails."""

    def __init__(self) -> None:
        self._server: Postgres | None = None
        self._why_not = ""
        # Emptied databases, to be used again: a new one takes a quarter of a second.
        self.spare: list[str] = []

    def server(self) -> Postgres:
        if self._why_not:
            pytest.skip(self._why_not)
        if self._server is None:
            try:
                self._server = Postgres()
            except Unavailable as error:
                self._why_not = str(error)
                pytest.skip(self._why_not)
        return self._server

    async def fresh(self) -> str:
        """Take an empty database with the newest schema; answers its name."""
        if self.spare:
            return self.spare.pop()
        server = self.server()
        name = await server.create()
        await migrate(server.url(name))
        return name

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


async def migrate(url: str) -> None:
    engine = connect(url)
    await upgrade(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def lazy_postgres() -> Iterator[LazyPostgres]:
    lazily = LazyPostgres()
    yield lazily
    lazily.close()


@pytest.fixture
async def postgres(lazy_postgres: LazyPostgres) -> Postgres:
    """The server itself. Skips the test, with the reason, if there is none."""
    return await asyncio.to_thread(lazy_postgres.server)


@pytest.fixture
async def postgres_url(postgres: Postgres, lazy_postgres: LazyPostgres) -> AsyncIterator[str]:
    """An empty database with the newest schema."""
    name = await lazy_postgres.fresh()
    yield postgres.url(name)
    await postgres.empty(name)
    lazy_postgres.spare.append(name)


@pytest.fixture
async def nats_server() -> AsyncIterator[Nats]:
    """A NATS server of this test's own. Skips the test, with the reason, if there is none."""
    try:
        server = Nats()
    except nats.Unavailable as error:
        pytest.skip(str(error))
    await server.start()
    yield server
    await server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema, which each test copies."""
    path = tmp_path_factory.mktemp("template") / "holdfast.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh file with the newest schema."""
    path = shutil.copy(sqlite_template, tmp_path / "holdfast.db")
    return f"sqlite+aiosqlite:///{path}"


_BOTH = [
    pytest.param("sqlite_url", id="sqlite"),
    pytest.param("postgres_url", id="postgres", marks=pytest.mark.postgres),
]


@pytest.fixture(params=_BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """One test on each database."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def empty_database_url(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[str], object]]:
    """Makes the address of a database without tables; takes `sqlite` or `postgres`."""
    made: list[str] = []
    servers: list[Postgres] = []

    async def address(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        lazily: LazyPostgres = request.getfixturevalue("lazy_postgres")
        servers.append(await asyncio.to_thread(lazily.server))
        made.append(await servers[0].create())
        return servers[0].url(made[-1])

    yield address
    for name in made:
        await servers[0].drop(name)
