"""Health follows the ability to commit and the loops; it says why, and recovers by itself."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2

from core import health
from core.health import CLOCK, Health
from core.heartbeat import Heartbeat, beat, keep, rest
from core.storage.database import connect
from core.storage.link import CUT_S, DIAL_S, STATEMENT_S
from core.storage.store import Store
from tests.core.room import Room, open_room
from tests.fakes.wait import running, until

# As they are without the impatience of these tests.
NOTICED_S = health.FAILING_AFTER_S + health.CHECK_EVERY_S
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(health, "PROBE_AFTER_S", 0.1)
    monkeypatch.setattr(health, "FAILING_AFTER_S", 0.4)


async def status(healthy: Health, service: str = "") -> int:
    answer = await healthy.Check(health_pb2.HealthCheckRequest(service=service), None)
    return int(answer.status)


def of(room: Room, *heartbeats: Heartbeat, clock: str = "") -> Health:
    return Health(room.store, ["escrow.v1.EscrowService"], heartbeats, clock_problem=lambda: clock)


async def test_an_idle_core_tries_whether_it_can_commit(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FAILING_AFTER_S", 5.0)
    healthy, condition = of(room), room.store.condition
    async with running(healthy.run()):
        for _ in range(3):
            await until(lambda: condition.quiet_s >= health.PROBE_AFTER_S)
            await until(lambda: condition.quiet_s < health.PROBE_AFTER_S)
        assert await status(healthy) == SERVING
    assert healthy.problems == {}


async def test_a_database_that_takes_no_commit_is_told_and_its_end_too(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("core.storage.database.SQLITE_BUSY_S", 0.01)
    async with open_room(sqlite_url) as room:
        healthy = of(room)
        async with running(healthy.run()):
            other = connect(sqlite_url)
            async with Store(other).write():
                # On a slow machine it is said first that a try has not ended.
                await until(lambda: "write lock" in healthy.problems.get("storage", ""))
                assert await status(healthy) == NOT_SERVING
                assert await status(healthy, "escrow.v1.EscrowService") == NOT_SERVING
                await asyncio.sleep(0.3)
            await until(lambda: not healthy.problems)
            assert await status(healthy) == SERVING
            await other.dispose()
    told = [r.getMessage() for r in caplog.records if r.name == "core.health"]
    assert len(told) == 2, "once when it began and once when it ended"
    assert "storage" in told[0]


async def test_a_loop_that_does_not_come_round_is_told_by_its_name(room: Room) -> None:
    stuck, idle = Heartbeat("settlement", 0.2), Heartbeat("executor", 0.2)
    goes_on = asyncio.Event()

    async def work() -> None:
        while True:
            beat()
            await goes_on.wait()
            await asyncio.sleep(0.01)

    async def wait_for_work() -> None:
        rest()
        await asyncio.sleep(60)

    tasks = [keep(stuck, work()), keep(idle, wait_for_work())]
    healthy = of(room, stuck, idle)
    async with running(healthy.run()):
        await until(lambda: healthy.problems)
        assert set(healthy.problems) == {"settlement"}
        assert await status(healthy) == NOT_SERVING
        goes_on.set()
        await until(lambda: not healthy.problems)
        assert await status(healthy) == SERVING
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_clock_that_is_not_believed_stops_deadlines_alone(room: Room) -> None:
    healthy = of(room, clock="it is a week ahead")
    await healthy.look()
    assert await status(healthy) == SERVING
    assert await status(healthy, CLOCK) == NOT_SERVING


async def test_a_helper_that_is_away_degrades_and_keeps_nobody_from_the_job(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ["connection refused"]
    healthy = Health(
        room.store,
        ["escrow.v1.EscrowService"],
        [],
        clock_problem=lambda: "",
        helpers={"nats": lambda: wrong[0]},
    )
    await healthy.look()
    await healthy.look()
    assert await status(healthy) == SERVING
    assert await status(healthy, "holdfast.nats") == NOT_SERVING
    assert healthy.degraded == {"nats": "connection refused"}
    assert healthy.problems == {}
    wrong[0] = ""
    await healthy.look()
    assert await status(healthy, "holdfast.nats") == SERVING
    assert [record.getMessage() for record in caplog.records] == [
        "core is degraded, and does its job without nats: connection refused",
        "core is no longer without nats",
    ]


async def test_all_services_are_listed(room: Room) -> None:
    healthy = of(room)
    await healthy.look()
    answer = await healthy.List(health_pb2.HealthListRequest(), None)
    assert {name: one.status for name, one in answer.statuses.items()} == {
        "": SERVING,
        "escrow.v1.EscrowService": SERVING,
        CLOCK: SERVING,
    }


async def test_a_beat_outside_a_loop_means_nothing() -> None:
    beat()
    rest()


def test_the_limits_keep_the_promise_of_fifteen_seconds() -> None:
    assert NOTICED_S < 15
    # A try that hangs at the end of the fault is over in time, and the next one succeeds.
    assert STATEMENT_S + CUT_S + DIAL_S < 15
