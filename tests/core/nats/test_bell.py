"""Bells by NATS: a core hears of what is watched there, of nothing else, and believes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from core.feed import tail as tails
from core.live import feed as feeds
from core.nats import bell, line
from core.nats.subject import bell_subject
from core.storage.position import Placed
from tests.core.law.story import BUYER
from tests.core.live.test_feed import take
from tests.core.nats.core import Core, open_core
from tests.core.room import open_room
from tests.fakes.nats import Nats
from tests.fakes.relay import Relay, to_port
from tests.fakes.wait import until

pytestmark = pytest.mark.nats

# A sweep that never looks by itself while a test lasts.
NEVER_S = 3_600.0
LIMIT_S = 10.0
# Of events of three users: of the three, and that there is something new at all.
USERS = 4
# Of one event: of its escrow, and those of its users.
BELLS = 1 + USERS
# What is not heard after so long is not rung for.
SILENCE_S = 0.3


@pytest.fixture
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen is seen because a bell rang."""
    for module in (feeds, tails):
        monkeypatch.setattr(module, "SWEEP_S", NEVER_S)
    for sweep in (feeds.Feed.sweep, tails.Tail.run):
        monkeypatch.setattr(sweep, "__defaults__", (NEVER_S,))


@pytest.fixture
async def pair(
    postgres_url: str, nats_server: Nats, no_sweep: None
) -> AsyncIterator[tuple[Core, Core]]:
    """Two cores on one PostgreSQL."""
    async with (
        open_core(postgres_url, nats_server.url) as one,
        open_core(postgres_url, nats_server.url) as other,
    ):
        await until(lambda: one.nats.line.is_up and other.nats.line.is_up)
        yield one, other


async def listens(core: Core, kind: Any, name: str) -> None:
    """Wait until a core's subscription is known to the server."""
    await until(lambda: core.rooms.need.wants(kind, name))
    client = await core.nats.line.client()
    await until(lambda: any(s.subject == bell_subject(kind, name) for s in client._subs.values()))
    await client.flush()


async def silence(core: Core) -> None:
    """Nothing is rung or heard for a while."""
    before = core.outcomes
    await asyncio.sleep(SILENCE_S)
    assert core.outcomes == before


@pytest.mark.postgres
async def test_a_commit_on_one_core_wakes_a_watcher_on_the_other(pair: tuple[Core, Core]) -> None:
    here, there = pair
    await here.create("e-1")
    watching = asyncio.create_task(take(there.rooms.feed, "e-1", 1, 20))
    await listens(there, "escrow", "e-1")
    for _ in range(20):
        await here.update("e-1")
    async with asyncio.timeout(LIMIT_S):
        assert await watching == list(range(2, 22))


@pytest.mark.postgres
async def test_a_core_hears_only_of_what_is_watched_there(pair: tuple[Core, Core]) -> None:
    here, there = pair
    watching = [asyncio.create_task(take(core.rooms.feed, "e-1", 0, 1)) for core in pair]
    for core in pair:
        await listens(core, "escrow", "e-1")
    for number in range(2, 30):
        await here.create(f"e-{number}")
    # Users are rung for once for several events that are placed together.
    await until(lambda: here.outcomes.get("rung", 0) >= 28 + USERS)
    await silence(there)
    assert there.outcomes.get("heard", 0) == 0
    await here.create("e-1")
    async with asyncio.timeout(LIMIT_S):
        assert await asyncio.gather(*watching) == [[1], [1]]
    assert there.outcomes["heard"] == 1
    # Nobody watches any more, so nothing is heard any more.
    await until(lambda: not there.rooms.need.wants("escrow", "e-1"))
    await asyncio.sleep(SILENCE_S)
    await here.update("e-1")
    await silence(there)
    assert there.outcomes["heard"] == 1
    assert here.outcomes.get("heard", 0) == 0, "a core heard its own bells"


@pytest.mark.postgres
async def test_a_commit_on_one_core_reaches_who_follows_a_user_or_everything_on_the_other(
    pair: tuple[Core, Core],
) -> None:
    here, there = pair
    for kind, user_id in (("user", BUYER.user_id), ("feed", "")):
        async with aclosing(there.rooms.followers.follow(user_id)) as following:
            await anext(following)
            waiting = asyncio.create_task(anext(following))
            await listens(there, kind, user_id)
            await here.create(f"e-{kind}")
            async with asyncio.timeout(LIMIT_S):
                placed = await waiting
        assert isinstance(placed, Placed)
        assert placed.escrow_id == f"e-{kind}"


@pytest.mark.postgres
async def test_what_is_committed_before_the_subscription_stands_is_found(
    pair: tuple[Core, Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    await here.create("e-1")
    subscribe = bell.Bells._subscribe

    async def late(self: bell.Bells, *arguments: Any) -> Any:
        await here.update("e-1")
        return await subscribe(self, *arguments)

    monkeypatch.setattr(bell.Bells, "_subscribe", late)
    async with asyncio.timeout(LIMIT_S):
        assert await take(there.rooms.feed, "e-1", 1, 1) == [2]


@pytest.mark.postgres
async def test_no_bell_goes_by_postgres_where_there_is_nats(
    pair: tuple[Core, Core], postgres_url: str
) -> None:
    import asyncpg

    heard: list[object] = []
    listening = await asyncpg.connect(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await listening.add_listener("holdfast", lambda *told: heard.append(told))
        await pair[0].create("e-1")
        await asyncio.sleep(SILENCE_S)
        async with open_room(postgres_url) as room:
            await room.create()
        await until(lambda: heard)
    finally:
        await listening.close()
    assert len(heard) == 1, "the room without NATS alone has rung"


@pytest.mark.postgres
async def test_bells_and_watchers_go_on_when_nats_was_killed(
    pair: tuple[Core, Core], nats_server: Nats
) -> None:
    here, there = pair
    await here.create("e-1")
    watching = asyncio.create_task(take(there.rooms.feed, "e-1", 1, 60))
    await listens(there, "escrow", "e-1")
    for _ in range(3):
        for _ in range(10):
            await here.update("e-1")
        await nats_server.kill()
        await until(lambda: not there.nats.line.is_up and not here.nats.line.is_up)
        for _ in range(10):
            await here.update("e-1")
        await nats_server.start()
        await until(lambda: there.nats.line.is_up and here.nats.line.is_up)
    async with asyncio.timeout(LIMIT_S):
        assert await watching == list(range(2, 62))


@pytest.mark.postgres
async def test_the_sweep_finds_what_no_bell_tells(
    postgres_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds.Feed.sweep, "__defaults__", (0.2,))
    await nats_server.kill()
    async with (
        open_core(postgres_url, nats_server.url) as here,
        open_core(postgres_url, nats_server.url) as there,
    ):
        await here.create("e-1")
        watching = asyncio.create_task(take(there.rooms.feed, "e-1", 1, 5))
        for _ in range(5):
            await here.update("e-1")
        async with asyncio.timeout(LIMIT_S):
            assert await watching == [2, 3, 4, 5, 6]
        assert not there.nats.line.is_up
        assert there.nats.line.problem


async def test_a_server_that_falls_silent_is_left_and_found_again(
    sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PROBE_EVERY_S", 0.1)
    monkeypatch.setattr(line, "ANSWER_S", 0.3)
    async with (
        Relay(to_port(nats_server.port)) as relay,
        open_core(sqlite_url, f"nats://127.0.0.1:{relay.port}") as core,
    ):
        await until(lambda: core.nats.line.is_up)
        relay.fall_silent(is_deaf=True)
        await until(lambda: not core.nats.line.is_up)
        await core.create("e-1")
        relay.speak()
        await until(lambda: core.nats.line.is_up)
        # What was committed meanwhile is rung for after all.
        await until(lambda: core.outcomes.get("rung", 0) == BELLS)


async def test_a_bell_that_lies_costs_time_and_nothing_else(
    sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds.Feed.sweep, "__defaults__", (0.5,))
    liar = await nats_server.connect()
    async with open_core(sqlite_url, nats_server.url) as core:
        await core.create("e-1")
        watching = asyncio.create_task(take(core.rooms.feed, "e-1", 1, 1))
        await listens(core, "escrow", "e-1")
        reads = 0
        read = core.rooms.store.events_after

        async def counted(*arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(*arguments)

        monkeypatch.setattr(core.rooms.store, "events_after", counted)
        for payload in (b"999999999", b"9" * 5_000, b"-3", b"", b"\xff", "٣".encode()):
            await liar.publish(bell_subject("escrow", "e-1"), payload)
        await liar.flush()
        await asyncio.sleep(SILENCE_S)
        assert reads <= 3, "a lie makes a watcher read without an end"
        await core.update("e-1")
        async with asyncio.timeout(LIMIT_S):
            assert await watching == [2]
    await liar.close()


async def test_a_bell_shows_nobody_what_is_not_his(sqlite_url: str, nats_server: Nats) -> None:
    liar = await nats_server.connect()
    async with open_core(sqlite_url, nats_server.url) as core:
        await core.create("e-1")
        following = core.rooms.followers.follow("stranger", heartbeat_s=1.0)
        async with aclosing(following):
            await anext(following)
            waiting = asyncio.create_task(anext(following))
            await listens(core, "user", "stranger")
            await liar.publish(bell_subject("user", "stranger"), b"e-1")
            await liar.flush()
            assert await waiting == 1, "a heartbeat, and nothing else"
    await liar.close()


async def test_nats_that_is_away_at_the_start_is_waited_for(
    sqlite_url: str, nats_server: Nats
) -> None:
    await nats_server.kill()
    async with open_core(sqlite_url, nats_server.url) as core:
        await core.create("e-1")
        await until(lambda: "Connect call failed" in core.nats.line.problem)
        await nats_server.start()
        await until(lambda: core.nats.line.is_up)
        assert core.nats.line.problem == ""


async def test_bells_that_wait_for_nats_are_limited(
    sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "MAX_WAITING", 6)
    await nats_server.kill()
    async with open_core(sqlite_url, nats_server.url) as core:
        for number in range(10):
            await core.create(f"e-{number}")
        # One for each escrow, and the users' each time anew in place of the last.
        assert core.outcomes["forgotten"] >= 10 - 6
        await nats_server.start()
        await until(lambda: core.outcomes.get("rung") == 6)
