"""Four cores on one PostgreSQL commit as fast as they can, and are killed while readers follow.

Each reader has every event, once, in the order of positions, whatever dies: two of the cores, the
server's process that gives positions, or the reader itself.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.fakes.consumer import Consumer
from tests.fakes.database import database
from tests.fakes.nats import Nats
from tests.fakes.process import Process
from tests.fakes.receiver import Receiver
from tests.fakes.replica import Door, Publisher
from tests.fakes.rpc import Caller, Refused
from tests.fakes.size import Size
from tests.fakes.stack import CHANNEL_OPTIONS, READY_LIMIT_S, Port, Stack, token
from tests.fakes.wait import until

pytestmark = pytest.mark.postgres

SEED = 2_031
CORES = 4
READERS = 3
PUBLISHERS = 12
DOWN_S = (0.1, 1.0)
UP_S = (0.3, 1.5)
# How long a reader keeps a stream.
STREAM_S = (0.1, 2.0)
# How often the process of the server that gives positions is looked for, to be ended.
HUNT_EVERY_S = 0.01
CALM_LIMIT_S = 60.0
# For what is left when the storm is over; each escrow's webhooks go one after the other.
RECEIVER_LIMIT_S = 240.0

SERVICE = token("storm", "service")


class Cores:
    """The four; the first belongs to a stack with a sandbox."""

    def __init__(self, folder: Path, database_url: str, **env: str) -> None:
        # Its leases are short, so that what a killed core was doing is soon taken over.
        self.stack = Stack(
            folder,
            database_url=database_url,
            core_module="tests.fakes.chaos_core",
            WEBHOOKS_ALLOW_PRIVATE="1",
            **env,
        )
        self._ports = [Port() for _ in range(CORES - 1)]
        self.addresses = [self.stack.core_address, *(port.address for port in self._ports)]
        self.others = [
            self.stack.another_core(f"core-{number}", CORE_LISTEN=port.address)
            for number, port in enumerate(self._ports, start=2)
        ]
        self.channels: list[grpc.aio.Channel] = []

    async def start(self) -> None:
        for core in self.others:
            core.spawn()
        await self.stack.start()
        self.channels = [grpc.aio.insecure_channel(a, CHANNEL_OPTIONS) for a in self.addresses]
        await self.serve()

    async def serve(self) -> None:
        """Wait until all four do."""
        for channel in self.channels:
            request = health_pb2.HealthCheckRequest()
            stub = health_pb2_grpc.HealthStub(channel)
            await stub.Check(request, wait_for_ready=True, timeout=READY_LIMIT_S)

    async def stop(self) -> None:
        for channel in self.channels:
            await channel.close()
        for core in self.others:
            core.kill()
        self.stack.stop()
        for port in self._ports:
            port.give_back()

    def callers(self) -> list[Caller]:
        return [Caller(self.stack.api, one, "storm", SERVICE) for one in self.channels]

    def doors(self) -> list[Door]:
        return [Door(self.stack.api, one, SERVICE) for one in self.channels]


@pytest.fixture(params=["notify", pytest.param("nats", marks=pytest.mark.nats)])
def nats(request: pytest.FixtureRequest) -> Nats | None:
    """The NATS by which the cores ring one another, or none: then they do by NOTIFY."""
    if request.param == "notify":
        return None
    server: Nats = request.getfixturevalue("nats_server")
    return server


@pytest.fixture
async def cores(
    request: pytest.FixtureRequest, tmp_path: Path, nats: Nats | None
) -> AsyncIterator[Cores]:
    async with database(request, "postgres") as url:
        assert url is not None
        cores = Cores(tmp_path, url, **({"NATS_URL": nats.url} if nats else {}))
        try:
            await cores.start()
            yield cores
        finally:
            await cores.stop()


@pytest.fixture
async def receiver(cores: Cores) -> AsyncIterator[Receiver]:
    """A webhook endpoint for all that happens from now on."""
    async with Receiver() as opened:
        await cores.callers()[0].call("CreateEndpoint", url=opened.url)
        yield opened


class Reader:
    """Follows all events at one core after the other, from the last position that it has."""

    def __init__(self, callers: list[Caller]) -> None:
        self._callers = callers
        self.events: list[Any] = []
        self.position = 0
        self.visits = 0

    async def run(self) -> None:
        while True:
            caller = random.choice(self._callers)
            with contextlib.suppress(Refused, TimeoutError):
                async with asyncio.timeout(random.uniform(*STREAM_S)):
                    await self._follow(caller)
            await asyncio.sleep(0.01)

    async def _follow(self, caller: Caller) -> None:
        stream = caller.stream("WatchEvents", after_position=self.position)
        self.visits += 1
        async with aclosing(stream) as messages:
            async for message in messages:
                if message.WhichOneof("message") == "event":
                    assert message.position == self.position + 1
                    self.events.append(message.event)
                    self.position = message.position
                else:
                    assert message.heartbeat.position == message.position >= self.position


async def kill_again_and_again(victim: Process) -> None:
    while True:
        await asyncio.sleep(random.uniform(*UP_S))
        victim.kill()
        await asyncio.sleep(random.uniform(*DOWN_S))
        victim.spawn()


async def end_who_gives_positions(url: str, ended: list[int]) -> None:
    """End processes of the server in the middle of the giving, or in the line for it."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    hunt = """
        SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
        AND query LIKE 'SET TRANSACTION%pg_advisory_xact_lock%'
        ORDER BY random() LIMIT 1
    """
    try:
        while True:
            ended += [row["pid"] for row in await connection.fetch(hunt)]
            await asyncio.sleep(HUNT_EVERY_S * random.randint(1, 40))
    finally:
        connection.terminate()


async def kill_nats_again_and_again(server: Nats, is_calm: asyncio.Event) -> int:
    """Until it is calm; the server runs at the end. Answers how often it was killed."""
    kills = 0
    while not is_calm.is_set():
        await asyncio.sleep(random.uniform(*UP_S))
        await server.kill()
        kills += 1
        await asyncio.sleep(random.uniform(*DOWN_S))
        await server.start()
    return kills


@pytest.mark.timeout(540)
async def test_readers_have_every_event_once_and_in_order_whoever_dies(
    cores: Cores, receiver: Receiver, nats: Nats | None, size: Size
) -> None:
    random.seed(SEED)
    callers, doors = cores.callers(), cores.doors()
    publishers = [await open_publisher(number, callers[0], doors) for number in range(PUBLISHERS)]
    publishing = [asyncio.create_task(one.run()) for one in publishers]
    readers: list[Reader | Consumer] = [Reader(callers) for _ in range(READERS)]
    readers += [Consumer(nats)] if nats else []
    reading = [asyncio.create_task(one.run()) for one in readers]
    ended: list[int] = []
    url = cores.stack.core_env["DATABASE_URL"]
    storm = [
        *(asyncio.create_task(kill_again_and_again(victim)) for victim in cores.others[:2]),
        asyncio.create_task(end_who_gives_positions(url, ended)),
    ]
    is_calm = asyncio.Event()
    nats_dies = asyncio.create_task(kill_nats_again_and_again(nats, is_calm)) if nats else None
    await asyncio.sleep(size.suffering_s)
    # The storm has no end before one of those was hit.
    await until(lambda: ended, CALM_LIMIT_S)
    await end(storm)
    is_calm.set()
    assert nats_dies is None or await nats_dies
    for victim in cores.others:
        if not victim.is_running:
            victim.spawn()
    await cores.serve()
    for publisher in publishers:
        publisher.is_last = True
    async with asyncio.timeout(CALM_LIMIT_S):
        await asyncio.gather(*publishing)
    expected = await all_versions(callers[0], [one.escrow_id for one in publishers])
    total = sum(map(len, expected.values()))
    async with asyncio.timeout(CALM_LIMIT_S):
        while not all(one.position >= total for one in readers):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await assert_received(receiver, expected)
    failed = [task for task in reading if task.done()]
    await end(reading)
    assert not failed, failed
    for reader in readers:
        assert reader.position == len(reader.events) == total
        found: defaultdict[str, list[int]] = defaultdict(list)
        for one in reader.events:
            found[one.escrow_id].append(one.version)
        assert found == expected
    for publisher in publishers:
        assert set(publisher.acknowledged) <= set(expected[publisher.escrow_id])
    # Every escrow is what its events have made of it, and every event has its position.
    books = await callers[0].call("CheckBooks")
    assert (books.balanced, books.escrows_checked) == (True, PUBLISHERS), books
    visits = sum(one.visits for one in readers)
    print(f"{total} events, {visits} streams, {len(ended)} who gave positions ended")


async def assert_received(receiver: Receiver, expected: dict[str, list[int]]) -> None:
    """Every event has come, and each escrow's in order; one that came again has its own id."""
    total = sum(map(len, expected.values()))
    taken = await receiver.wait(total, RECEIVER_LIMIT_S)
    assert sorted(one.position for one in taken) == list(range(1, total + 1))
    found: defaultdict[str, list[int]] = defaultdict(list)
    for one in taken:
        found[one.place[0]].append(one.place[1])
    assert found == expected
    assert {one.id: one.body for one in receiver.tries} == {one.id: one.body for one in taken}
    print(f"{total} webhooks, {len(receiver.tries)} tries")


async def open_publisher(number: int, caller: Caller, doors: list[Door]) -> Publisher:
    fields = {
        "buyer_id": f"buyer-{number}",
        "seller_id": f"seller-{number}",
        "title": "A bicycle",
        "amount": {"amount_minor": 5_000, "currency": "INR"},
    }
    escrow = (await caller.call("CreateEscrow", **fields)).escrow
    at = number % CORES
    return Publisher(f"p{number}", escrow.escrow_id, doors[at:] + doors[:at])


async def all_versions(caller: Caller, escrow_ids: list[str]) -> dict[str, list[int]]:
    """All versions of these escrows, as their records have them."""
    found: dict[str, list[int]] = {}
    for escrow_id in escrow_ids:
        found[escrow_id] = []
        has_more = True
        while has_more:
            after = found[escrow_id][-1] if found[escrow_id] else 0
            page = await caller.call(
                "ListEvents", escrow_id=escrow_id, after_version=after, page_size=500
            )
            found[escrow_id] += [event.version for event in page.events]
            has_more = page.has_more
        assert found[escrow_id] == list(range(1, len(found[escrow_id]) + 1))
    return found


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
