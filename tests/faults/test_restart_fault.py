"""Processes die and restart while users watch: nobody misses a version or sees one twice."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator

from tests.fakes.database import on_both
from tests.fakes.deal import Deal
from tests.fakes.stack import Client

pytestmark = on_both("whole", is_long=True)

KILLS = 4
EVENTS_BETWEEN = 15
SOCKETS = 5
# While core is away, a new subscription waits 5 s.
WAIT_S = 5.0
RESUME_LIMIT_S = 30.0


@contextlib.asynccontextmanager
async def producing(deal: Deal) -> AsyncIterator[list[int]]:
    """Publish updates all the time; yields the versions that core has acknowledged."""
    acknowledged: list[int] = []

    async def produce() -> None:
        for i in itertools.count():
            answer = await deal.service.insist(
                "PublishUpdate", escrow_id=deal.escrow_id, event_type="beat", data={"i": i}
            )
            acknowledged.append(answer.escrow.version)

    task = asyncio.create_task(produce())
    try:
        yield acknowledged
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_sockets_outlive_the_death_of_core_and_see_every_version_once(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    sockets = [await client.viewer(deal.buyer) for _ in range(SOCKETS)]
    for socket in sockets:
        await socket.subscribe(deal.escrow_id)
    watched = sockets[0]
    async with producing(deal) as acknowledged:
        for _ in range(KILLS):
            await watched.more(EVENTS_BETWEEN)
            client.stack.core.restart()
            await client.stack.core_serves()
        await watched.more(EVENTS_BETWEEN, RESUME_LIMIT_S)
    last = (await deal.events())[-1].version
    for socket in sockets:
        await socket.sees(type="escrow_update", version=last)
        assert socket.is_open
        assert socket.versions(deal.escrow_id) == list(range(2, last + 1))
    # Nothing that was acknowledged is lost, and no call that was repeated counted twice.
    assert acknowledged == list(range(2, len(acknowledged) + 2))
    assert last - len(acknowledged) in (1, 2)


async def test_sockets_outlive_a_core_that_drains(client: Client, deal: Deal) -> None:
    await deal.agree()
    socket = await client.viewer(deal.seller)
    await socket.subscribe(deal.escrow_id)
    async with producing(deal):
        await socket.more(EVENTS_BETWEEN)
        client.stack.core.terminate()
        assert await client.stack.core.exit_code() == 0
        client.stack.core.spawn()
        await socket.more(EVENTS_BETWEEN, RESUME_LIMIT_S)
    versions = socket.versions(deal.escrow_id)
    assert versions == list(range(2, versions[-1] + 1))


async def test_a_new_subscription_waits_for_core_and_is_then_told_to_try_again(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    socket = await client.viewer(deal.buyer)
    loop = asyncio.get_running_loop()
    client.stack.core.kill()
    start = loop.time()
    asked = asyncio.create_task(socket.ask("subscribe", escrow_id=deal.escrow_id))
    assert (await socket.ask("ping"))["type"] == "pong"
    answer = await asked
    assert (answer["code"], answer["retry"]) == ("UNAVAILABLE", True)
    assert WAIT_S - 1 < loop.time() - start < WAIT_S + 3
    assert socket.is_open


async def test_a_subscription_that_waits_goes_through_when_core_returns_in_time(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    socket = await client.viewer(deal.buyer)
    client.stack.core.kill()
    asked = asyncio.create_task(socket.ask("subscribe", escrow_id=deal.escrow_id))
    assert (await socket.ask("ping"))["type"] == "pong"
    client.stack.core.spawn()
    assert (await asked)["type"] == "subscribed"


async def test_a_core_that_hangs_is_as_good_as_away_and_nothing_is_missed(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    other = Deal(client)
    await other.agree()
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    new = await client.viewer(other.buyer)
    client.stack.core.pause()
    try:
        answer = await new.ask("subscribe", escrow_id=other.escrow_id)
    finally:
        client.stack.core.resume()
    assert (answer["code"], answer["retry"]) == ("UNAVAILABLE", True)
    await new.subscribe(other.escrow_id)
    await deal.act(deal.service, "PublishUpdate", event_type="awake")
    await socket.sees(type="escrow_update", version=2)
    assert socket.versions(deal.escrow_id) == [2]


async def test_the_bridge_tells_whether_core_is_there(client: Client) -> None:
    async def status(path: str) -> int:
        async with client.http.get(client.stack.bridge_url + path) as answer:
            await answer.read()
            return answer.status

    assert (await status("/healthz"), await status("/readyz")) == (200, 200)
    client.stack.core.kill()
    assert (await status("/healthz"), await status("/readyz")) == (200, 503)
    await client.stack.start()
    assert (await status("/healthz"), await status("/readyz")) == (200, 200)


async def test_a_bridge_that_goes_says_when_to_come_back_and_readers_resume(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    async with producing(deal):
        await socket.more(EVENTS_BETWEEN)
        client.stack.bridge.terminate()
        assert 0 <= (await socket.sees(type="reconnect"))["after_ms"] <= 5000
        assert await socket.ends() == 1012
        assert await client.stack.bridge.exit_code() == 0
        await client.stack.start()
        last = socket.versions(deal.escrow_id)[-1]
        again = await client.viewer(deal.buyer)
        await again.subscribe(deal.escrow_id, after=last)
        await again.more(EVENTS_BETWEEN)
    versions = socket.versions(deal.escrow_id) + again.versions(deal.escrow_id)
    assert versions == list(range(2, versions[-1] + 1))


async def test_a_bridge_that_is_killed_costs_its_readers_nothing(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    versions: list[int] = []
    socket = await client.viewer(deal.seller)
    await socket.subscribe(deal.escrow_id)
    async with producing(deal):
        for _ in range(2):
            await socket.more(EVENTS_BETWEEN)
            client.stack.bridge.kill()
            await socket.ends()
            versions += socket.versions(deal.escrow_id)
            await client.stack.start()
            socket = await client.viewer(deal.seller)
            await socket.subscribe(deal.escrow_id, after=versions[-1])
        await socket.more(EVENTS_BETWEEN)
    versions += socket.versions(deal.escrow_id)
    assert versions == list(range(2, versions[-1] + 1))


async def test_webhooks_that_found_no_core_are_delivered_again(client: Client, deal: Deal) -> None:
    await deal.agree()
    await deal.order()
    client.stack.core.kill()
    await client.pay(deal.order_id)
    status, told = await client.webhook(json.dumps({"event": "payment.captured"}).encode())
    assert (status, told["error"]["code"]) == (503, "UNAVAILABLE")
    await client.stack.start()
    await deal.until_status("HELD")
    assert (await deal.types()).count("PAYMENT_CAPTURED") == 1
