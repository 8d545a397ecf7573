"""Every event reaches a webhook endpoint, in its escrow's order, whatever dies in the middle."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from tests.fakes.database import database, kinds
from tests.fakes.deal import Deal
from tests.fakes.receiver import Received, Receiver, hang
from tests.fakes.size import Size
from tests.fakes.stack import Client, Stack, started
from tests.fakes.wait import until

ESCROWS = 8
MOST_LIFE_S = 0.8
END_LIMIT_S = 60.0


@pytest_asyncio.fixture(params=kinds(), scope="module", loop_scope="session")
async def mortal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """A stack whose core has short leases and may send to this machine, on each database."""
    async with (
        database(request, request.param) as url,
        started(
            Stack(
                tmp_path_factory.mktemp("sending"),
                database_url=url,
                core_module="tests.fakes.chaos_core",
                WEBHOOKS_ALLOW_PRIVATE="1",
            )
        ) as running,
    ):
        yield running


@pytest.fixture
async def client(mortal: Stack) -> AsyncIterator[Client]:
    await mortal.start()
    async with mortal.client() as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


async def add(client: Client, receiver: Receiver) -> Any:
    return await client.caller("admin", "admin").insist("CreateEndpoint", url=receiver.url)


async def publish(deal: Deal, count: int) -> None:
    for _ in range(count):
        await deal.service.insist("PublishUpdate", escrow_id=deal.escrow_id, event_type="news")


def versions_of(taken: list[Received], deal: Deal) -> list[int]:
    return [one.place[1] for one in taken if one.place[0] == deal.escrow_id]


async def has_all(receiver: Receiver, deals: list[Deal]) -> None:
    """Wait until the receiver has every event of these escrows, each in its order."""
    newest = {deal.escrow_id: (await deal.get()).version for deal in deals}
    count = sum(newest.values())
    ids = set(newest)
    await until(
        lambda: len([one for one in receiver.taken.values() if one.place[0] in ids]) >= count,
        END_LIMIT_S,
    )
    taken = list(receiver.taken.values())
    for deal in deals:
        assert versions_of(taken, deal) == list(range(1, newest[deal.escrow_id] + 1))


async def test_a_core_that_is_killed_in_the_middle_of_a_delivery_repeats_it_and_loses_nothing(
    client: Client, receiver: Receiver
) -> None:
    made = await add(client, receiver)
    receiver.answer = hang
    deal = Deal(client)
    await deal.agree()
    await publish(deal, 3)
    await until(lambda: receiver.tries)
    client.stack.core.restart()
    receiver.answer = 200
    await client.stack.core_serves()
    await publish(deal, 2)
    await has_all(receiver, [deal])
    first, *_ = receiver.tries
    tries = [one for one in receiver.tries if one.id == first.id]
    assert len(tries) == 2
    assert {one.body for one in tries} == {first.body}
    for one in receiver.taken.values():
        Webhook(made.secret).verify(one.body, one.headers)


async def test_kills_of_core_and_failures_of_the_receiver_lose_nothing(
    client: Client, receiver: Receiver, size: Size
) -> None:
    made = await add(client, receiver)
    rng = random.Random(7)

    async def moody(request: web.Request) -> web.StreamResponse:
        mood = rng.random()
        if mood < 0.05:
            return web.Response(status=503)
        received = receiver.tries[-1]
        receiver.taken.setdefault(received.id, received)
        if mood < 0.1:
            # Taken, and the answer is lost: it comes again.
            await asyncio.sleep(0.05)
            if request.transport is not None:
                request.transport.abort()
        return web.Response()

    receiver.answer = moody
    deals = [Deal(client) for _ in range(ESCROWS)]
    await asyncio.gather(*(deal.agree() for deal in deals))
    writing = [asyncio.create_task(publish(deal, 3 * size.kills)) for deal in deals]
    for _ in range(size.kills):
        await asyncio.sleep(rng.uniform(0.1, MOST_LIFE_S))
        client.stack.core.restart()
        await client.stack.core_serves()
    await asyncio.gather(*writing)
    await has_all(receiver, deals)
    # The seen ones that came again are the same to the last byte.
    bodies: dict[str, bytes] = {}
    for one in receiver.tries:
        assert bodies.setdefault(one.id, one.body) == one.body
    assert len({one.position for one in receiver.taken.values()}) == len(receiver.taken)
    listed = await client.caller("admin", "admin").call("ListEndpoints")
    (mine,) = [e for e in listed.endpoints if e.endpoint_id == made.endpoint.endpoint_id]
    assert not mine.disabled


async def test_endpoints_are_kept_over_the_json_api(client: Client, receiver: Receiver) -> None:
    url = f"{client.stack.bridge_url}/api/v1/webhooks/endpoints"
    admin = {"Authorization": f"Bearer {client.caller('admin', 'admin').token}"}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"url": receiver.url, "types": ["EVENT_TYPE_ESCROW_CREATED"]}
    answers = []
    for _ in range(2):
        async with client.http.post(url, json=body, headers=admin | key) as answer:
            assert answer.status == 200, await answer.text()
            answers.append(await answer.json())
    made, again = answers
    assert made == again
    endpoint_id, secret = made["endpoint"]["endpoint_id"], made["secret"]
    deal = Deal(client)
    await deal.agree()
    await publish(deal, 1)
    (received,) = await receiver.wait(1)
    assert Webhook(secret).verify(received.body, received.headers)["type"] == "escrow_created"
    async with client.http.get(url, headers=admin) as answer:
        text = await answer.text()
        assert endpoint_id in text
        assert secret not in text
    at = f"{url}/{endpoint_id}"
    async with client.http.get(f"{at}/deliveries?state=DELIVERY_STATE_PENDING", headers=admin) as a:
        assert a.status == 200, await a.text()
    async with client.http.patch(at, json={"description": "Ours"}, headers=admin) as answer:
        assert (await answer.json())["endpoint"]["description"] == "Ours"
    async with client.http.post(f"{at}:rotateSecret", json={}, headers=admin) as answer:
        assert (await answer.json())["secret"] not in ("", secret)
    async with client.http.delete(at, headers=admin) as answer:
        assert answer.status == 200, await answer.text()
    async with client.http.delete(at, headers=admin) as answer:
        told = await answer.json()
        assert (answer.status, told["error"]["reason"]) == (404, "ENDPOINT_NOT_FOUND")
    lines = client.stack.core.lines + client.stack.bridge.lines
    assert secret.removeprefix("whsec_") not in lines
    assert receiver.url not in lines
