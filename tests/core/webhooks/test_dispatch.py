"""Every event reaches every endpoint, in its escrow's order, whatever receivers do."""

import time

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from core.storage.outgoing import DELIVERED, FAILED, PENDING
from core.webhooks import intake
from tests.core.webhooks.hooks import Hooks
from tests.fakes.receiver import Receiver, versions_of

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


async def test_every_event_comes_once_and_in_order(hooks: Hooks, receiver: Receiver) -> None:
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_ids = [await hooks.room.create() for _ in range(5)]
    for _ in range(4):
        for escrow_id in escrow_ids:
            await hooks.tell(escrow_id)
    await hooks.send()
    taken = await receiver.wait(25)
    assert len(receiver.tries) == 25
    assert len({one.id for one in taken}) == 25
    for escrow_id in escrow_ids:
        assert versions_of(taken, escrow_id) == [1, 2, 3, 4, 5]
    assert sorted(one.position for one in taken) == list(range(1, 26))
    endpoint = await hooks.read(endpoint_id)
    assert (endpoint.position, endpoint.pending) == (25, 0)
    assert {one.state for one in await hooks.deliveries(endpoint_id)} == {DELIVERED}


async def test_a_delivery_says_what_the_specification_and_the_record_say(
    hooks: Hooks, receiver: Receiver
) -> None:
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id)
    # The specification's library compares with the real time.
    hooks.room.time.us = time.time_ns() // 1000
    await hooks.send()
    first, second = await receiver.wait(2)
    secret = (await hooks.read(endpoint_id)).secret
    body = Webhook(secret).verify(first.body, first.headers)
    assert first.headers["content-type"] == "application/json"
    assert body["type"] == "escrow_created"
    data = body["data"]
    assert (data["escrow_id"], data["version"], data["position"]) == (escrow_id, "1", "1")
    assert data["escrow"]["status"] == "ESCROW_STATUS_INITIATED"
    assert body["timestamp"] == data["create_time"]
    assert second.json["type"] == "update_published"
    assert second.id != first.id


async def test_a_new_endpoint_begins_with_what_happens_next(
    hooks: Hooks, receiver: Receiver
) -> None:
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id)
    await hooks.endpoint(receiver.url)
    await hooks.tell(escrow_id)
    await hooks.send()
    assert versions_of(await receiver.wait(1), escrow_id) == [3]


async def test_an_endpoint_gets_only_the_types_that_it_asked_for(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id = await hooks.endpoint(receiver.url, types="ESCROW_CREATED,FUNDS_HELD")
    for _ in range(3):
        await hooks.tell(await hooks.room.create(), 2)
    await hooks.send()
    assert [one.json["type"] for one in await receiver.wait(3)] == ["escrow_created"] * 3
    # All were made deliveries of at once. What it does not want writes nothing, until it is much.
    assert (await hooks.read(endpoint_id)).position == 9
    monkeypatch.setattr(intake, "SLICE", 5)
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id)
    await hooks.send()
    assert (await hooks.read(endpoint_id)).position == 11
    await hooks.tell(escrow_id, 3)
    await hooks.send()
    assert (await hooks.read(endpoint_id)).position == 11
    await hooks.tell(escrow_id, 3)
    await hooks.send()
    assert (await hooks.read(endpoint_id)).position == 17
    await hooks.tell(await hooks.room.create(), 0)
    await hooks.send()
    assert len(await receiver.wait(5)) == len(receiver.tries) == 5


async def test_an_hour_of_500_loses_nothing_and_keeps_the_order(
    hooks: Hooks, receiver: Receiver
) -> None:
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_ids = [await hooks.room.create() for _ in range(3)]
    receiver.answer = 500
    for minute in range(60):
        await hooks.tell(escrow_ids[minute % 3])
        hooks.room.time.pass_s(60)
        await hooks.send()
    tries = len(receiver.tries)
    assert receiver.taken == {}
    # Each escrow's first is tried now and then, and nothing behind it.
    assert len({one.id for one in receiver.tries}) == 3
    assert tries < 60
    assert (await hooks.read(endpoint_id)).failing_since_us is not None
    receiver.answer = 200
    hooks.room.time.pass_s(2 * HOUR_S)
    await hooks.send()
    taken = await receiver.wait(63)
    assert len(receiver.tries) == tries + 63
    for escrow_id in escrow_ids:
        versions = versions_of(taken, escrow_id)
        assert versions == list(range(1, 22))
    first = receiver.tries[0]
    again = next(one for one in taken if one.place == first.place)
    assert (again.id, again.body) == (first.id, first.body)
    assert (await hooks.read(endpoint_id)).failing_since_us is None


async def test_a_delivery_that_fails_holds_back_its_own_escrow_only(
    hooks: Hooks, receiver: Receiver
) -> None:
    bad, good = await hooks.room.create(), await hooks.room.create()
    await hooks.tell(bad, 0)

    async def answer(request: web.Request) -> web.StreamResponse:
        is_bad = receiver.tries[-1].place[0] == bad
        return web.Response(status=500 if is_bad else 200)

    receiver.answer = answer
    endpoint_id = await hooks.endpoint(receiver.url)
    for _ in range(3):
        await hooks.tell(bad)
        await hooks.tell(good)
    await hooks.send()
    assert [one.place for one in receiver.tries if one.place[0] == good] == [
        (good, version) for version in (2, 3, 4)
    ]
    assert {one.place for one in receiver.tries if one.place[0] == bad} == {(bad, 2)}
    assert [one.state for one in await hooks.deliveries(endpoint_id)] == [PENDING, DELIVERED] * 3


async def test_an_endpoint_may_ask_for_no_order(hooks: Hooks, receiver: Receiver) -> None:
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id, 0)
    await hooks.endpoint(receiver.url, unordered=True)

    async def answer(_request: web.Request) -> web.StreamResponse:
        is_bad = receiver.tries[-1].place[1] == 2
        return web.Response(status=500 if is_bad else 200)

    receiver.answer = answer
    await hooks.tell(escrow_id, 3)
    await hooks.send()
    assert {one.place[1] for one in receiver.tries} == {2, 3, 4}


async def test_after_three_days_a_delivery_is_given_up_and_the_next_one_has_its_turn(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.answer = 500
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id)
    for _ in range(72):
        await hooks.send()
        hooks.room.time.pass_s(HOUR_S)
    await hooks.send()
    first, second = await hooks.deliveries(endpoint_id)
    assert (first.state, first.last_status) == (FAILED, 500)
    assert first.last_problem == "answered 500: as you say"
    assert second.state == PENDING
    assert second.attempts == 1
    assert (await hooks.read(endpoint_id)).pending == 1
    receiver.answer = 200
    hooks.room.time.pass_s(HOUR_S)
    await hooks.send()
    assert versions_of(await receiver.wait(1), escrow_id) == [2]


async def test_410_disables_an_endpoint(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answer = 410
    endpoint_id = await hooks.endpoint(receiver.url)
    await hooks.tell(await hooks.room.create(), 5)
    await hooks.send()
    hooks.room.time.pass_s(DAY_S)
    await hooks.send()
    endpoint = await hooks.read(endpoint_id)
    assert endpoint.disabled_us is not None
    assert endpoint.disabled_reason == "It answered 410 Gone."
    assert len(receiver.tries) == 1
    # Nothing is lost: it waits for whoever enables the endpoint again.
    assert endpoint.pending == 6
    standing = await hooks.room.store.webhooks.standing(hooks.room.time.us)
    assert standing.counts == {"well": 0, "failing": 0, "disabled": 1}


async def test_days_without_a_success_disable_an_endpoint(
    hooks: Hooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = 503
    endpoint_id = await hooks.endpoint(receiver.url + "?token=very-secret")
    for _ in range(3):
        await hooks.tell(await hooks.room.create())
    for _ in range(5 * 24):
        await hooks.send()
        assert (await hooks.read(endpoint_id)).disabled_us is None
        hooks.room.time.pass_s(HOUR_S)
    while (endpoint := await hooks.read(endpoint_id)).disabled_us is None:
        hooks.room.time.pass_s(HOUR_S)
        await hooks.send()
    assert endpoint.disabled_reason == "No try succeeded for 5 days; answered 503: as you say"
    said = [record.getMessage() for record in caplog.records]
    assert any("takes nothing" in one for one in said)
    assert any("is disabled" in one and endpoint_id in one for one in said)
    assert "very-secret" not in caplog.text
    assert endpoint.secret not in caplog.text


async def test_what_an_operator_alerts_on_is_counted(hooks: Hooks, receiver: Receiver) -> None:
    async def standing() -> tuple[dict[str, int], int, int | None]:
        found = await hooks.room.store.webhooks.standing(hooks.room.time.us)
        return dict(found.counts), found.pending, found.due_us

    await hooks.endpoint(receiver.url)
    assert await standing() == ({"well": 1, "failing": 0, "disabled": 0}, 0, None)
    receiver.answer = 500
    await hooks.tell(await hooks.room.create(), 2)
    await hooks.send()
    assert await standing() == ({"well": 0, "failing": 1, "disabled": 0}, 3, None)
    hooks.room.time.pass_s(60)
    counts, pending, due_us = await standing()
    assert (counts["failing"], pending) == (1, 3)
    assert due_us is not None
    assert 50_000_000 < hooks.room.time.us - due_us < 60_000_000
    assert hooks.dispatcher.outcomes == {"failed": 1}


async def test_an_endpoint_that_answers_again_gets_at_once_what_waits(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.answer = 500
    await hooks.endpoint(receiver.url)
    for _ in range(4):
        await hooks.tell(await hooks.room.create())
    for _ in range(12):
        await hooks.send()
        hooks.room.time.pass_s(HOUR_S)
    receiver.answer = 200
    # A new event is what tells; the next tries of the old ones would be hours away.
    new = await hooks.room.create()
    await hooks.tell(new, 0)
    await hooks.send()
    assert len(await receiver.wait(9)) == 9


async def test_events_wait_in_the_feed_while_too_much_is_pending(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_PENDING", 10)
    monkeypatch.setattr(intake, "SLICE", 4)
    receiver.answer = 500
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id, 29)
    for _ in range(5):
        await hooks.send()
    endpoint = await hooks.read(endpoint_id)
    assert (endpoint.position, endpoint.pending) == (12, 12)
    receiver.answer = 200
    hooks.room.time.pass_s(HOUR_S)
    for _ in range(10):
        await hooks.send()
    assert versions_of(await receiver.wait(30), escrow_id) == list(range(1, 31))


async def test_both_secrets_sign_until_the_previous_one_is_over(
    hooks: Hooks, receiver: Receiver
) -> None:
    until_us = hooks.room.time.us + 60_000_000
    await hooks.endpoint(
        receiver.url, previous_secret="whsec_" + "b2xk" * 8, previous_until_us=until_us
    )
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id, 0)
    await hooks.send()
    hooks.room.time.pass_s(60)
    await hooks.tell(escrow_id)
    await hooks.send()
    both, alone = await receiver.wait(2)
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    assert len(alone.headers["webhook-signature"].split(" ")) == 1


async def test_a_retry_waits_as_long_as_the_receiver_asks(hooks: Hooks, receiver: Receiver) -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "300"})

    receiver.answer = busy
    endpoint_id = await hooks.endpoint(receiver.url)
    await hooks.tell(await hooks.room.create(), 0)
    await hooks.send()
    (delivery,) = await hooks.deliveries(endpoint_id)
    assert delivery.due_us is not None
    assert delivery.last_us is not None
    assert delivery.due_us - delivery.last_us == 300_000_000


async def test_pauses_grow(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answer = 500
    endpoint_id = await hooks.endpoint(receiver.url)
    await hooks.tell(await hooks.room.create(), 0)
    pauses: list[int] = []
    while sum(pauses) < HOUR_S * 1_000_000:
        await hooks.send()
        (delivery,) = await hooks.deliveries(endpoint_id)
        assert delivery.due_us is not None
        assert delivery.last_us is not None
        pauses.append(delivery.due_us - delivery.last_us)
        hooks.room.time.us = delivery.due_us
    assert pauses == sorted(pauses)
    assert 6 <= len(pauses) <= 12
    assert (delivery.attempts, len(receiver.tries)) == (len(pauses), len(pauses))
