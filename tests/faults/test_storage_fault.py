"""A database that goes silent, is demoted, or loses its file: nobody waits, nothing is lost.

After each fault: what was acknowledged is there, the books balance, a watcher has every version
once, and health told the truth within 15 s of the fault and within 15 s of its end.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fakes.deal import Deal
from tests.fakes.postgres import Unavailable
from tests.fakes.relay import Relay, to_path
from tests.fakes.replica_postgres import DistantPostgres, distant_postgres
from tests.fakes.rpc import Refused
from tests.fakes.stack import CHANNEL_OPTIONS, Client, Stack
from tests.fakes.wait import until

HEALTH_S = 15.0
# A dead connection may cost a command the deadline of one statement, and a new connection.
ANSWER_S = 20.0
# The drain, the feed, what is under way, and the closing of the pool.
STOP_S = 20.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Witness:
    """A user who watches an escrow all the time, and watches again whenever the stream ends."""

    def __init__(self, deal: Deal) -> None:
        self._deal = deal
        self.versions: list[int] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            after = self.versions[-1] if self.versions else 0
            with contextlib.suppress(Refused):
                async for message in self._deal.buyer.watch(self._deal.escrow_id, after, 600):
                    if message.HasField("event"):
                        self.versions.append(message.event.version)
            await asyncio.sleep(0.1)

    async def saw(self, version: int) -> None:
        """Wait for a version; then each up to it has come once and in order."""
        await until(lambda: self.versions and self.versions[-1] >= version, HEALTH_S)
        assert self.versions == list(range(1, self.versions[-1] + 1))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Scene:
    """A stack whose database can fail, an escrow in it, and a user who watches it."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self.stack = stack
        self.client = client
        self.deal = Deal(client)

    async def begin(self) -> None:
        await self.deal.agree()
        self.witness = Witness(self.deal)
        await self.witness.saw(1)

    async def publish(self, limit_s: float = ANSWER_S) -> int:
        """Make core commit something; answer the version that it acknowledged."""
        async with asyncio.timeout(limit_s):
            escrow = await self.deal.act(self.deal.service, "PublishUpdate", event_type="note")
        return int(escrow.version)

    async def refusal(self) -> Refused:
        """Send a command that must be refused in time; answer the refusal."""
        async with asyncio.timeout(ANSWER_S + 10):
            return await self.deal.service.refusal(
                "PublishUpdate", escrow_id=self.deal.escrow_id, event_type="note"
            )

    async def until_health(self, wanted: int) -> float:
        """Wait until health says so; answers after how many seconds it did."""
        begin = time.monotonic()
        channel = grpc.aio.insecure_channel(self.stack.core_address, CHANNEL_OPTIONS)
        async with channel, asyncio.timeout(HEALTH_S):
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            async for told in watching:
                if told.status == wanted:
                    break
            watching.cancel()
        return time.monotonic() - begin

    async def is_whole(self, acknowledged: int) -> None:
        """Nothing that was acknowledged is lost, and the books balance."""
        await self.until_health(SERVING)
        version = await self.publish()
        assert version > acknowledged
        await self.witness.saw(version)
        checked = await self.client.caller("admin", "admin").call("CheckBooks")
        assert checked.balanced, checked
        assert "Traceback" not in self.stack.core.lines


@contextlib.asynccontextmanager
async def scene(folder: Path, url: str | None) -> AsyncIterator[Scene]:
    stack = Stack(folder, database_url=url)
    try:
        await stack.start()
        async with stack.client() as client:
            made = Scene(stack, client)
            await made.begin()
            try:
                yield made
            finally:
                await made.witness.stop()
    finally:
        stack.stop()


@pytest.fixture
async def server() -> AsyncIterator[DistantPostgres]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            running = await stack.enter_async_context(distant_postgres())
        except Unavailable as error:
            pytest.skip(str(error))
        yield running


@pytest.fixture
async def relay(server: DistantPostgres) -> AsyncIterator[Relay]:
    folder = parse_qs(urlsplit(server.url).query)["host"][0]
    async with Relay(to_path(f"{folder}/.s.PGSQL.5432")) as running:
        yield running


@pytest.fixture
async def relayed(server: DistantPostgres, relay: Relay, tmp_path: Path) -> AsyncIterator[Scene]:
    """A stack that reaches its PostgreSQL through a relay."""
    name = urlsplit(server.url).path
    url = f"postgresql+asyncpg://postgres@127.0.0.1:{relay.port}{name}"
    async with scene(tmp_path, url) as made:
        yield made


@pytest.mark.postgres
async def test_connections_that_fall_silent_are_cut_while_new_ones_work(
    relayed: Scene, relay: Relay
) -> None:
    """As behind a load balancer that has failed over: no FIN, no RST, and new connections work."""
    version = await relayed.publish()
    relay.fall_silent()
    # Many at once: each dead connection of the pool must not cost its own deadline in turn.
    answers = await asyncio.gather(*(relayed.publish() for _ in range(20)))
    assert sorted(answers) == list(range(version + 1, version + 21))
    assert await relayed.publish(limit_s=5) == version + 21
    await relayed.is_whole(version + 21)


@pytest.mark.postgres
async def test_a_network_that_takes_everything_and_answers_nothing(
    relayed: Scene, relay: Relay
) -> None:
    version = await relayed.publish()
    relay.fall_silent(is_deaf=True)
    told_s = await relayed.until_health(NOT_SERVING)
    refusal = await relayed.refusal()
    assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert "core cannot do its job: storage" in relayed.stack.core.lines
    relay.speak()
    ended_s = await relayed.until_health(SERVING)
    print(f"health: NOT_SERVING after {told_s:.1f} s, SERVING again after {ended_s:.1f} s")
    await relayed.is_whole(version)


@pytest.mark.postgres
@pytest.mark.full
async def test_a_server_that_is_stopped_and_goes_on(
    server: DistantPostgres, tmp_path: Path
) -> None:
    async with scene(tmp_path, server.url) as made:
        version = await made.publish()
        await server.pause()
        try:
            await made.until_health(NOT_SERVING)
            assert (await made.refusal()).reason == "STORAGE_UNAVAILABLE"
        finally:
            await server.resume()
        await made.until_health(SERVING)
        await made.is_whole(version)


@pytest.mark.postgres
@pytest.mark.full
async def test_core_stops_in_time_while_its_database_is_silent(
    relayed: Scene, relay: Relay
) -> None:
    relay.fall_silent(is_deaf=True)
    waiting = asyncio.create_task(relayed.refusal())
    await asyncio.sleep(1)
    relayed.stack.core.terminate()
    assert await relayed.stack.core.exit_code(STOP_S) == 0
    assert (await waiting).code in ("UNAVAILABLE", "CANCELLED")


@pytest.mark.postgres
async def test_a_primary_that_is_demoted_is_left_for_one_that_takes_writes(
    server: DistantPostgres, tmp_path: Path
) -> None:
    async with scene(tmp_path, server.url) as made:
        version = await made.publish()
        await server.run("ALTER SYSTEM SET default_transaction_read_only = on")
        await server.run("SELECT pg_reload_conf()")
        await made.until_health(NOT_SERVING)
        assert (await made.refusal()).reason == "STORAGE_UNAVAILABLE"
        assert "takes no writes" in made.stack.core.lines
        await server.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        await server.run("ALTER SYSTEM RESET default_transaction_read_only")
        await server.run("SELECT pg_reload_conf()")
        await made.until_health(SERVING)
        await made.is_whole(version)


async def test_a_database_file_that_is_deleted_under_core_acknowledges_nothing_more(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, None) as made:
        version = await made.publish()
        kept = tmp_path / "kept.db"
        path = tmp_path / "holdfast.db"
        path.rename(kept)
        assert (await made.refusal()).reason == "STORAGE_UNAVAILABLE"
        await made.until_health(NOT_SERVING)
        assert "deleted or replaced" in made.stack.core.lines
        kept.rename(path)
        # The same file is back under its name.
        await made.until_health(SERVING)
        await made.is_whole(version)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here; run it as root on Linux")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1024)):
            pass


async def test_a_disk_that_is_full_is_said_and_left_behind_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    async with scene(tmp_path, f"sqlite+aiosqlite:///{small_disk}/holdfast.db") as made:
        version = await made.publish()
        filler = small_disk / "filler"
        fill(filler)
        assert (await made.refusal()).reason == "STORAGE_UNAVAILABLE"
        # Small writes still find a place now and then: that must not count as health.
        told_s = await made.until_health(NOT_SERVING)
        assert "the disk is full: make room" in made.stack.core.lines
        filler.unlink()
        back_s = await made.until_health(SERVING)
        print(f"health told it after {told_s:.1f} s, and the end after {back_s:.1f} s")
        await made.is_whole(version)


def told(lines: str, words: str) -> list[Any]:
    return [line for line in lines.splitlines() if words in line]


@pytest.mark.full
async def test_a_fault_is_a_few_lines_however_many_call(tmp_path: Path) -> None:
    async with scene(tmp_path, None) as made:
        path = tmp_path / "holdfast.db"
        path.rename(tmp_path / "kept.db")
        before = len(made.stack.core.lines)
        await asyncio.gather(*(made.refusal() for _ in range(90)))
        said = made.stack.core.lines[before:]
        assert len(told(said, "takes no commits")) == 1
        assert len(said) < 20_000
        assert "Traceback" not in said
