"""Two cores and two bridges on one PostgreSQL, killed again and again while many sockets read.

Each socket gets each version once, and no command that was acknowledged is lost.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from tests.fakes.database import database
from tests.fakes.deal import Deal
from tests.fakes.process import Process
from tests.fakes.reader import Reader
from tests.fakes.replica import Clients, Publisher, Replicas
from tests.fakes.size import Size
from tests.fakes.stack import READY_LIMIT_S, token
from tests.fakes.wait import until
from tests.faults.test_replica import check_record

pytestmark = pytest.mark.postgres

SEED = 2_027
SOCKETS_PER_ESCROW = 20
DESCRIPTORS = 8_192
# The pause of a publisher between two updates.
PUBLISH_EVERY_S = 0.4
CALL_LIMIT_S = 15.0
DOWN_S = (0.2, 1.5)
UP_S = (0.5, 2.0)
CALM_LIMIT_S = 30.0
FEW_SOCKETS = 40
# How long a core is away that has drained, or is connected and silent. The sockets must hear of
# events before it is back; how soon, `-rP` shows.
DRAINED_S = 8.0
SILENT_S = 20.0


@dataclass
class WebDoor:
    """One bridge, as one caller of its JSON API sees it."""

    http: aiohttp.ClientSession
    url: str
    token: str
    denied: list[int] = field(default_factory=list)

    async def ask(self, rpc: str, fields: dict[str, Any]) -> Any | None:
        """Publish an update once; None if it failed."""
        assert rpc == "PublishUpdate"
        body = {name: value for name, value in fields.items() if name != "escrow_id"}
        url = f"{self.url}/api/v1/escrows/{fields['escrow_id']}:publishUpdate"
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with (
                asyncio.timeout(CALL_LIMIT_S),
                self.http.post(url, json=body, headers=headers) as answer,
            ):
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.denied.append(0)
            return None
        if answer.status == 200:
            return SimpleNamespace(escrow=SimpleNamespace(version=int(told["escrow"]["version"])))
        assert answer.status >= 500, told
        self.denied.append(answer.status)
        return None


class Town:
    """Two cores, two bridges, and everybody who uses them."""

    def __init__(self, replicas: Replicas, second_bridge: Process) -> None:
        stack = replicas.stack
        self.replicas = replicas
        self.cores = [stack.core, replicas.second]
        self.bridges = [stack.bridge, second_bridge]
        self.urls = [stack.bridge_url, f"http://127.0.0.1:{stack.spare_port}"]
        self.readers: list[Reader] = []
        self.publishers: list[Publisher] = []

    async def all_answer(self, http: aiohttp.ClientSession) -> None:
        """Wait until both bridges can do their job."""
        for process, url in zip(self.bridges, self.urls, strict=True):
            try:
                async with asyncio.timeout(READY_LIMIT_S):
                    while not await _answers(http, f"{url}/readyz"):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            except TimeoutError:
                raise AssertionError(process.last_lines) from None

    async def suffer(self, rng: random.Random, seconds: float, clients: Clients) -> int:
        """Kill a core and a bridge at a time, start them again, for so long; answer how often."""
        loop = asyncio.get_running_loop()
        end_s, rounds = loop.time() + seconds, 0
        while loop.time() < end_s or rounds < 2:
            victims = [self.cores[rounds % 2], self.bridges[rng.randrange(2)]]
            for victim in victims:
                victim.kill()
            await asyncio.sleep(rng.uniform(*DOWN_S))
            for victim in victims:
                victim.spawn()
            await self.replicas.serves(clients.first.channel)
            await self.replicas.serves(clients.second.channel)
            await self.all_answer(clients.first.http)
            await asyncio.sleep(rng.uniform(*UP_S))
            rounds += 1
        return rounds


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with asyncio.timeout(CALL_LIMIT_S), http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


@pytest.fixture
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    async with database(request, "postgres") as url:
        assert url is not None
        replicas = Replicas(tmp_path, url)
        stack = replicas.stack
        stack.put_before_core(f"{stack.core_address},{replicas.second_address}")
        second = stack.another_bridge("bridge-2", DESCRIPTORS, PORT=str(stack.spare_port))
        try:
            await replicas.start()
            second.spawn()
            yield Town(replicas, second)
        finally:
            second.kill()
            replicas.stop()


@contextlib.asynccontextmanager
async def life(
    town: Town, clients: Clients, sockets: int, *, at_bridges: bool = False
) -> AsyncIterator[list[Deal]]:
    """Many sockets that read, and a publisher for each escrow, at bridges alone or at cores too."""
    deals = [Deal(clients.first) for _ in range(sockets // SOCKETS_PER_ESCROW)]
    await asyncio.gather(*(deal.agree() for deal in deals))
    for number, deal in enumerate(deals):
        who = (deal.buyer, deal.seller)
        for place in range(SOCKETS_PER_ESCROW):
            order = town.urls if place % 2 else town.urls[::-1]
            urls = [f"{url}/api/v1/ws?token={who[place // 2 % 2].token}" for url in order]
            town.readers.append(Reader(clients.first.http, urls, deal.escrow_id))
        doors = _doors(town, clients, at_bridges=at_bridges or number % 2 == 1)
        town.publishers.append(
            Publisher(f"beat_{number}", deal.escrow_id, doors, every_s=PUBLISH_EVERY_S)
        )
    reading = [asyncio.create_task(reader.run()) for reader in town.readers]
    writing: list[asyncio.Task[None]] = []
    try:
        await until(lambda: all(reader.is_subscribed for reader in town.readers), CALM_LIMIT_S)
        writing += [asyncio.create_task(publisher.run()) for publisher in town.publishers]
        yield deals
        for publisher in town.publishers:
            publisher.is_last = True
        async with asyncio.timeout(CALM_LIMIT_S):
            await asyncio.gather(*writing)
        await arrive(town)
        assert not any(task.done() for task in reading)
    finally:
        for task in reading + writing:
            task.cancel()
        await asyncio.gather(*reading, *writing, return_exceptions=True)


def _doors(town: Town, clients: Clients, *, at_bridges: bool) -> list[Any]:
    service = token("service", "service")
    doors: list[Any] = (
        [WebDoor(clients.first.http, url, service) for url in town.urls]
        if at_bridges
        else clients.doors(service)
    )
    random.shuffle(doors)
    return doors


async def arrive(town: Town) -> None:
    """Wait until each socket has the last version that was acknowledged."""
    last = {one.escrow_id: one.acknowledged[-1] for one in town.publishers}
    with contextlib.suppress(TimeoutError):
        await until(
            lambda: all(reader.last >= last[reader.escrow_id] for reader in town.readers),
            CALM_LIMIT_S,
        )


@pytest.mark.timeout(300)
async def test_hundreds_of_sockets_and_all_commands_outlive_kills_of_cores_and_bridges(
    town: Town, size: Size
) -> None:
    rng = random.Random(SEED)
    async with town.replicas.clients() as clients:
        await town.all_answer(clients.first.http)
        async with life(town, clients, size.sockets) as deals:
            rounds = await town.suffer(rng, size.suffering_s, clients)
        assert len(town.readers) == size.sockets
        await check(town, deals)
        assert sum(reader.losses for reader in town.readers) >= len(town.readers) // 2
        report(town, rounds)


async def check(town: Town, deals: list[Deal]) -> None:
    """Check the record of each escrow, and that each of its sockets had every version once."""
    for deal, publisher in zip(deals, town.publishers, strict=True):
        events = await deal.events()
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        check_record(publisher, events)
        for reader in town.readers:
            if reader.escrow_id == deal.escrow_id:
                assert reader.versions == list(range(1, len(events) + 1))


@pytest.mark.parametrize(("leave", "away_s"), [("drains", DRAINED_S), ("hangs", SILENT_S)])
async def test_sockets_stay_open_when_a_core_drains_or_hangs(
    town: Town, leave: str, away_s: float
) -> None:
    second = town.replicas.second
    async with town.replicas.clients() as clients:
        await town.all_answer(clients.first.http)
        async with life(town, clients, FEW_SOCKETS, at_bridges=True) as deals:
            await asyncio.sleep(1)
            if leave == "drains":
                second.terminate()
                assert await second.exit_code() == 0
            else:
                second.pause()
            await asyncio.sleep(away_s)
            if leave == "drains":
                second.spawn()
            else:
                second.resume()
            await town.replicas.serves(clients.second.channel)
            await asyncio.sleep(2)
        await check(town, deals)
    assert [reader.losses for reader in town.readers] == [0] * FEW_SOCKETS
    silent_s = max(reader.silent_s for reader in town.readers)
    assert silent_s < away_s
    print(f"the longest time without a version was {silent_s:.1f} s while a core {leave}")


def report(town: Town, rounds: int) -> None:
    """What `pytest -rP` shows of it."""
    frames = sum(len(reader.versions) for reader in town.readers)
    commands = sum(len(publisher.acknowledged) for publisher in town.publishers)
    losses = sum(reader.losses for reader in town.readers)
    longest = max(reader.awaited_s for reader in town.readers)
    print(
        f"{rounds} rounds, {commands} commands, {frames} frames at {len(town.readers)} sockets, "
        f"which lost their bridge {losses} times and were back within {longest:.1f} s"
    )
