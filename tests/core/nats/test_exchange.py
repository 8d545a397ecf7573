"""A whole core with NATS_URL: it serves whether NATS is there or not, and says so."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from core import health
from core.nats import line
from tests.core.counter import Counter, open_counter
from tests.core.test_metrics import scrape
from tests.fakes.nats import Nats
from tests.fakes.port import free_port
from tests.fakes.wait import until

pytestmark = pytest.mark.nats

LIMIT_S = 20.0
# As without NATS, and what a silent one may cost.
STOP_LIMIT_S = 4.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def healths(counter: Counter) -> dict[str, int]:
    stub = health_pb2_grpc.HealthStub(counter.channel)
    listed = await stub.List(health_pb2.HealthListRequest(), timeout=LIMIT_S)
    return {name: one.status for name, one in listed.statuses.items()}


async def test_core_starts_and_serves_without_nats_and_says_that_it_does(
    sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_EVERY_S", 0.05)
    await nats_server.kill()
    port = free_port()
    more = {"nats_url": SecretStr(nats_server.url), "metrics_listen": f"127.0.0.1:{port}"}
    async with open_counter(sqlite_url, **more) as counter:
        exchange = counter.core.rooms.nats
        assert exchange is not None
        for is_there in (False, True, False):
            await until(lambda: bool(exchange.line.problem) is not is_there, LIMIT_S)  # noqa: B023
            await counter.create()
            figures = await settled(port, is_there)
            assert figures["holdfast_core_nats_up"] == is_there
            assert figures["holdfast_core_able_to_commit"] == 1
            found = await healths(counter)
            assert found[""] == SERVING
            assert found["holdfast.nats"] == (SERVING if is_there else NOT_SERVING)
            await (nats_server.kill() if is_there else nats_server.start())


async def settled(port: int, is_there: bool) -> dict[str, float]:
    """Scrape until health has looked at NATS."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            _, figures = await scrape(port)
            if ('holdfast_core_degraded{part="nats"}' in figures) is not is_there:
                return figures
            await asyncio.sleep(0.05)


async def test_a_core_stops_in_time_although_nats_is_silent(
    sqlite_url: str, nats_server: Nats
) -> None:
    loop = asyncio.get_running_loop()
    async with open_counter(sqlite_url, nats_url=SecretStr(nats_server.url)) as counter:
        exchange = counter.core.rooms.nats
        assert exchange is not None
        await until(lambda: exchange.publisher.position is not None, LIMIT_S)
        nats_server.pause()
        for _ in range(50):
            await counter.create()
        begin_s = loop.time()
    assert loop.time() - begin_s < STOP_LIMIT_S


async def test_what_is_committed_while_nats_is_silent_is_published_afterwards(
    sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PROBE_EVERY_S", 0.2)
    monkeypatch.setattr(line, "ANSWER_S", 0.5)
    async with open_counter(sqlite_url, nats_url=SecretStr(nats_server.url)) as counter:
        exchange = counter.core.rooms.nats
        assert exchange is not None
        await until(lambda: exchange.publisher.position == 0, LIMIT_S)
        nats_server.pause()
        for _ in range(30):
            await counter.create()
        await until(lambda: exchange.line.problem, LIMIT_S)
        nats_server.resume()
        await until(lambda: exchange.publisher.position == 30, LIMIT_S)
        assert exchange.problems["nats_stream"]() == ""
