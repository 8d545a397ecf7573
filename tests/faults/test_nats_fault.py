"""Two cores that ring one another through NATS, as processes: they serve, whatever NATS does."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.consumer import Consumer
from tests.fakes.database import database
from tests.fakes.deal import Deal
from tests.fakes.nats import Nats
from tests.fakes.replica import Clients, Replicas
from tests.fakes.wait import until
from tests.faults.test_replica import at_both, versions, watching

pytestmark = [pytest.mark.postgres, pytest.mark.nats]

LOGIN, PASSWORD = "holdfast", "s3cr3t-of-nats"
# The sweep that finds what no bell told comes every 5 s: it would need 50 s for so many.
ROUND_TRIPS = 20
ROUND_TRIPS_LIMIT_S = 8.0
SWEEP_LIMIT_S = 15.0
LIMIT_S = 30.0


@pytest.fixture
async def server(nats_server: Nats) -> AsyncIterator[Nats]:
    """One that knows us by a password; `nats_server` says whether there is any."""
    locked = Nats(login=LOGIN, password=PASSWORD)
    await locked.start()
    yield locked
    await locked.close()


@pytest.fixture
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, server: Nats
) -> AsyncIterator[Replicas]:
    async with database(request, "postgres") as url:
        assert url is not None
        replicas = Replicas(tmp_path, url, NATS_URL=server.url)
        try:
            await replicas.start()
            yield replicas
        finally:
            replicas.stop()


async def round_trips(both: list[Deal], seen: list[list[Any]], count: int) -> None:
    """Each core commits in turn, when the other's watcher has seen the one before."""
    for i in range(count):
        here, there = both[i % 2], seen[1 - i % 2]
        told = await here.act(here.service, "PublishUpdate", event_type="beat")
        await until(lambda: versions(there)[-1] == told.version, SWEEP_LIMIT_S)  # noqa: B023


async def test_cores_ring_by_nats_and_serve_without_it(pair: Replicas, server: Nats) -> None:
    consumer = Consumer(server)
    reading = asyncio.create_task(consumer.run())
    async with pair.clients() as clients:
        deal = Deal(clients.first)
        await deal.hold()
        both = at_both(deal, clients)
        async with watching(both) as seen:
            async with asyncio.timeout(ROUND_TRIPS_LIMIT_S):
                await round_trips(both, seen, ROUND_TRIPS)
            await server.kill()
            await round_trips(both, seen, 2)
            assert await readyz(clients) == 200
            await server.start()
            await round_trips(both, seen, 2)
            # When both are back at NATS, bells do it again.
            await until(lambda: told(pair, "no longer without nats") == 2, LIMIT_S)
            async with asyncio.timeout(ROUND_TRIPS_LIMIT_S):
                await round_trips(both, seen, ROUND_TRIPS)
        record = [event.version for event in await deal.events()]
        await until(lambda: len(consumer.events) >= len(record), LIMIT_S)
        # The order is checked by the consumer.
        mine = [one.version for one in consumer.events if one.escrow_id == deal.escrow_id]
        assert mine == record
    assert not reading.done()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert PASSWORD not in pair.lines
    assert "Traceback" not in pair.lines
    assert told(pair, "does its job without nats") == 2


def told(pair: Replicas, words: str) -> int:
    """How often both cores have said so, of NATS itself and not of the stream."""
    return len(re.findall(rf"{words}\b", pair.lines))


async def readyz(clients: Clients) -> int:
    url = f"{clients.first.stack.bridge_url}/readyz"
    async with clients.first.http.get(url) as answer:
        return answer.status
