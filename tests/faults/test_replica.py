"""Several cores on one PostgreSQL act as one core for every caller, watcher, buyer and seller."""

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes.database import database
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.postgres import Unavailable
from tests.fakes.replica import Clients, Denial, Door, Publisher, Replicas, read_on
from tests.fakes.replica_postgres import DistantPostgres, distant_postgres
from tests.fakes.size import Size
from tests.fakes.stack import started, token
from tests.fakes.wait import until

pytestmark = pytest.mark.postgres

# So that on a busy machine no call of theirs waits until its time is over.
AT_ONCE = 50
END_LIMIT_S = 90.0
# The sweep that finds what no bell told comes every 5 s: it would need 50 s for so many.
ROUND_TRIPS = 20
ROUND_TRIPS_LIMIT_S = 8.0
# Which each core refuses while the database is away: about two seconds of them.
REFUSED_READS = 30
UPDATES_BETWEEN = 30
RESUME_LIMIT_S = 30.0
STREAM_LIMIT_S = 100.0
ADVICE = Denial("UNAVAILABLE", "STORAGE_UNAVAILABLE", "true")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Replicas]:
    async with database(request, "postgres") as url:
        assert url is not None
        async with started(Replicas(tmp_path_factory.mktemp("replicas"), url)) as replicas:
            yield replicas


@pytest.fixture
async def clients(pair: Replicas) -> AsyncIterator[Clients]:
    async with pair.clients() as opened:
        yield opened


@pytest.fixture
async def own_postgres() -> AsyncIterator[DistantPostgres]:
    """A server of this test's own, which may be stopped without harm to other tests."""
    try:
        async with distant_postgres() as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))


async def decide(deal: Deal, clients: Clients, rpc: str) -> None:
    """Make the call on both cores at the same time, as if an answer had been lost."""
    who = deal.buyer if rpc == "ReleaseEscrow" else deal.seller
    fields = {"escrow_id": deal.escrow_id, "request_id": secrets.token_hex(8)}
    asked = [c.with_token(who.token, who.user_id) for c in (clients.first, clients.second)]
    random.shuffle(asked)
    answers = await asyncio.gather(*(caller.call(rpc, **fields) for caller in asked))
    assert answers[0].escrow.version == answers[1].escrow.version


async def live(deal: Deal, clients: Clients, rpc: str) -> Any:
    """Take an escrow from its creation to its end; answer it as it is then."""
    await deal.register_payee()
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD", END_LIMIT_S)
    await decide(deal, clients, rpc)
    ended = "RELEASED" if rpc == "ReleaseEscrow" else "REFUNDED"
    return await deal.until_status(ended, END_LIMIT_S)


@pytest.mark.timeout(240)
async def test_two_cores_on_one_database_settle_each_escrow_once(
    clients: Clients, size: Size
) -> None:
    deals = [Deal(clients.either) for _ in range(size.escrows)]
    fates = ["ReleaseEscrow", "RefundEscrow"] * (size.escrows // 2)
    places = asyncio.Semaphore(AT_ONCE)

    async def in_turn(deal: Deal, fate: str) -> Any:
        async with places:
            return await live(deal, clients, fate)

    ends = await asyncio.gather(*map(in_turn, deals, fates))
    state = await clients.first.state()
    paid = {p["order_id"]: p["id"] for p in state["payments"] if p["captured"]}
    transfers = Counter(t["source"] for t in state["transfers"])
    refunds = Counter(r["payment_id"] for r in state["refunds"])
    for deal, fate, end in zip(deals, fates, ends, strict=True):
        payment = paid[deal.order_id]
        if fate == "ReleaseEscrow":
            assert (transfers[payment], refunds[payment]) == (1, 0)
            assert end.released.amount_minor + end.fee.amount_minor == AMOUNT_MINOR
        else:
            # A refund may be decided before the seller's transfer has been made.
            assert transfers[payment] <= 1
            assert refunds[payment] == 1
            assert end.refunded.amount_minor == AMOUNT_MINOR
    await check_books(clients, size.escrows)


async def check_books(clients: Clients, least: int) -> None:
    books = await clients.second.caller("books", "service").call("CheckBooks", with_razorpay=True)
    assert books.balanced, books.findings
    assert books.escrows_checked >= least


def versions(messages: list[Any]) -> list[int]:
    return [m.event.version for m in messages if m.HasField("event")]


@contextlib.asynccontextmanager
async def watching(deals: list[Deal]) -> AsyncIterator[list[list[Any]]]:
    """Watch each deal as its buyer, from the first version; no stream may end before the block."""
    seen: list[list[Any]] = [[] for _ in deals]
    tasks = [
        asyncio.create_task(deal.buyer.follow(deal.escrow_id, messages, STREAM_LIMIT_S))
        for deal, messages in zip(deals, seen, strict=True)
    ]
    try:
        await until(lambda: all(seen) or any(task.done() for task in tasks))
        yield seen
        assert [task.result() for task in tasks if task.done()] == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def at_both(deal: Deal, clients: Clients) -> list[Deal]:
    """The same deal and the same users, at the first core and at the second."""
    both = [Deal(clients.first), Deal(clients.second)]
    for one, client in zip(both, (clients.first, clients.second), strict=True):
        one.buyer = client.with_token(deal.buyer.token, deal.buyer.user_id)
        one.seller = client.with_token(deal.seller.token, deal.seller.user_id)
        one.escrow_id, one.order_id = deal.escrow_id, deal.order_id
    return both


async def test_a_watcher_on_one_core_sees_what_the_other_commits(clients: Clients) -> None:
    deal = Deal(clients.first)
    await deal.hold()
    both = at_both(deal, clients)
    async with watching(both) as seen:
        async with asyncio.timeout(ROUND_TRIPS_LIMIT_S):
            for i in range(ROUND_TRIPS):
                here, there = both[i % 2], seen[1 - i % 2]
                told = await here.act(here.service, "PublishUpdate", event_type="beat")
                await until(lambda: versions(there)[-1] == told.version)  # noqa: B023
            await both[1].act(both[1].seller, "AddConfirmation")
            told = await both[1].act(both[1].buyer, "AddConfirmation")
            await until(lambda: versions(seen[0])[-1] >= told.version)
        end = await both[0].until_status("RELEASED")
        await until(lambda: all(versions(messages)[-1] >= end.version for messages in seen))
    record = list(range(1, end.version + 1))
    assert [versions(messages)[: end.version] for messages in seen] == [record, record]


@dataclass(frozen=True)
class Crowd:
    """Users who read and publish all the time, at each of the two cores, and their results."""

    publishers: list[Publisher]
    writes: list[Door]
    reads: list[Door]

    async def goes_on(self) -> None:
        """Wait until each publisher has had so many more updates acknowledged."""
        goals = [len(publisher.acknowledged) + UPDATES_BETWEEN for publisher in self.publishers]
        await until(
            lambda: all(
                len(publisher.acknowledged) >= goal
                for publisher, goal in zip(self.publishers, goals, strict=True)
            ),
            RESUME_LIMIT_S,
        )


async def refuse(doors: list[Door], times: int) -> None:
    """Wait until calls through each door have failed so many times more."""
    goals = [len(door.denied) + times for door in doors]
    await until(
        lambda: all(len(door.denied) >= goal for door, goal in zip(doors, goals, strict=True)),
        RESUME_LIMIT_S,
    )


@contextlib.asynccontextmanager
async def crowd(clients: Clients, escrow_id: str) -> AsyncIterator[Crowd]:
    writes, reads = (clients.doors(token("service", "service")) for _ in range(2))
    publishers = [
        Publisher("at_first", escrow_id, writes),
        Publisher("at_second", escrow_id, writes[::-1]),
    ]
    writing = [asyncio.create_task(publisher.run()) for publisher in publishers]
    reading = [asyncio.create_task(read_on(door, escrow_id)) for door in reads]
    try:
        yield Crowd(publishers, writes, reads)
        for publisher in publishers:
            publisher.is_last = True
        async with asyncio.timeout(RESUME_LIMIT_S):
            await asyncio.gather(*writing)
        assert not any(task.done() for task in reading)
    finally:
        for task in writing + reading:
            task.cancel()
        await asyncio.gather(*writing, *reading, return_exceptions=True)


async def test_streams_and_commands_outlive_a_restart_of_the_database(
    own_postgres: DistantPostgres, tmp_path: Path
) -> None:
    replicas = Replicas(tmp_path, own_postgres.url)
    try:
        await replicas.start()
        async with replicas.clients() as clients:
            await restarts(own_postgres, clients)
        assert "Traceback" not in replicas.lines
    finally:
        replicas.stop()


async def restarts(server: DistantPostgres, clients: Clients) -> None:
    deal = Deal(clients.first)
    await deal.agree()
    both = at_both(deal, clients)
    async with watching(both) as seen:
        async with crowd(clients, deal.escrow_id) as people:
            await people.goes_on()
            # Commands wait for a database that is soon back, and are refused when it is not.
            for doors, times in ((people.reads, REFUSED_READS), (people.writes, 1)):
                await server.stop()
                await refuse(doors, times)
                await server.start()
                await people.goes_on()
        last = max(publisher.acknowledged[-1] for publisher in people.publishers)
        await until(lambda: all(versions(messages)[-1] == last for messages in seen))
    assert [versions(messages) for messages in seen] == [list(range(1, last + 1))] * 2
    denied = [denial for door in people.writes + people.reads for denial in door.denied]
    assert set(denied) == {ADVICE}
    events = await deal.events()
    for publisher in people.publishers:
        check_record(publisher, events)


def check_record(publisher: Publisher, events: list[Any]) -> None:
    """Check that each update is there once, in order, at its acknowledged version; and no other."""
    mine = [event for event in events if event.update_type == publisher.name]
    assert [event.version for event in mine] == publisher.acknowledged
    assert [event.data["i"] for event in mine] == list(range(len(mine)))
