"""Webhook endpoints by gRPC: made, listed, changed, and never showing a secret twice."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import webhook_service_pb2 as rpc
from google.protobuf.duration_pb2 import Duration
from standardwebhooks.webhooks import Webhook

from core.service import webhook
from tests.core.counter import Counter, Failed, open_counter
from tests.fakes.receiver import Receiver
from tests.fakes.wait import until

PUBLIC = "https://1.1.1.1/hook"


@pytest.fixture
async def lax(database_url: str) -> AsyncIterator[Counter]:
    """A core that may send to this machine."""
    async with open_counter(database_url, webhooks_allow_private=True) as opened:
        yield opened


async def ask(counter: Counter, request: Any, role: str = "admin") -> Any:
    return await counter.call(request, f"{role}-1", role)


async def create(counter: Counter, url: str = PUBLIC, **more: Any) -> rpc.CreateEndpointResponse:
    made: rpc.CreateEndpointResponse = await ask(
        counter, rpc.CreateEndpointRequest(url=url, **more)
    )
    return made


async def listed(counter: Counter) -> list[rpc.Endpoint]:
    return list((await ask(counter, rpc.ListEndpointsRequest())).endpoints)


async def ended(counter: Counter, endpoint_id: str, count: int) -> list[rpc.Delivery]:
    """Wait until so many deliveries of an endpoint have succeeded."""
    request = rpc.ListDeliveriesRequest(endpoint_id=endpoint_id, state=rpc.DELIVERY_STATE_DELIVERED)
    async with asyncio.timeout(10):
        while True:
            found = (await ask(counter, request)).deliveries
            if len(found) >= count:
                return list(found)
            await asyncio.sleep(0.01)


async def publish(counter: Counter, escrow_id: str) -> None:
    request = escrows.PublishUpdateRequest(escrow_id=escrow_id, event_type="news")
    await counter.call(request, "service-1", "service")


REQUESTS = [
    rpc.CreateEndpointRequest(url=PUBLIC),
    rpc.ListEndpointsRequest(),
    rpc.UpdateEndpointRequest(endpoint_id="ep_" + "0" * 32),
    rpc.DeleteEndpointRequest(endpoint_id="ep_" + "0" * 32),
    rpc.RotateSecretRequest(endpoint_id="ep_" + "0" * 32),
    rpc.ListDeliveriesRequest(endpoint_id="ep_" + "0" * 32),
    rpc.RedeliverRequest(delivery_id="msg_" + "0" * 32),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: type(one).__name__)
async def test_they_are_for_admin_and_service_alone(lite: Counter, request_: Any) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(request_, "buyer-1")
    assert (failed.value.code, failed.value.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")
    for role in ("admin", "service"):
        with contextlib.suppress(Failed) if "0" * 32 in str(request_) else contextlib.nullcontext():
            await ask(lite, request_, role)


async def test_a_secret_is_shown_where_it_is_made_and_nowhere_else(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # It says what each statement is given, which `holdfast.log` takes out of every line.
    caplog.set_level(logging.INFO, "aiosqlite")
    made = await create(counter, types=[pb.EVENT_TYPE_ESCROW_CREATED], description="Ours")
    endpoint = made.endpoint
    assert made.secret.startswith("whsec_")
    assert (endpoint.url, endpoint.description) == (PUBLIC, "Ours")
    assert list(endpoint.types) == [pb.EVENT_TYPE_ESCROW_CREATED]
    assert not endpoint.disabled
    assert await listed(counter) == [endpoint]
    rotated = await ask(counter, rpc.RotateSecretRequest(endpoint_id=endpoint.endpoint_id))
    assert rotated.secret.startswith("whsec_")
    assert rotated.secret != made.secret
    assert rotated.endpoint.HasField("previous_secret_until")
    for secret in (made.secret, rotated.secret):
        assert secret not in str(await listed(counter))
        assert secret.removeprefix("whsec_") not in caplog.text


async def test_the_same_request_id_gives_the_first_answer_again(counter: Counter) -> None:
    made = await create(counter, request_id="again")
    assert await create(counter, request_id="again") == made
    assert len(await listed(counter)) == 1
    with pytest.raises(Failed) as failed:
        await create(counter, description="another body", request_id="again")
    assert failed.value.reason == "REQUEST_ID_REUSED"
    rotate = rpc.RotateSecretRequest(endpoint_id=made.endpoint.endpoint_id, request_id="turn")
    rotated = await ask(counter, rotate)
    assert await ask(counter, rotate) == rotated
    delete = rpc.DeleteEndpointRequest(endpoint_id=made.endpoint.endpoint_id, request_id="away")
    await ask(counter, delete)
    await ask(counter, delete)
    # A repeat does not bring it back; its secret is gone.
    again = await create(counter, request_id="again")
    assert (again.endpoint, again.secret) == (made.endpoint, "")
    assert await listed(counter) == []


BAD_CREATIONS: dict[str, dict[str, Any]] = {
    "no https": {"url": "http://1.1.1.1/hook"},
    "private": {"url": "https://10.0.0.1/hook"},
    "metadata": {"url": "https://169.254.169.254/latest"},
    "mapped": {"url": "https://[::ffff:127.0.0.1]/"},
    "user": {"url": "https://user:secret@1.1.1.1/"},
    "port": {"url": "https://1.1.1.1:25/"},
}


@pytest.mark.parametrize("kind", BAD_CREATIONS)
async def test_an_address_where_webhooks_may_not_go_is_refused(lite: Counter, kind: str) -> None:
    with pytest.raises(Failed) as failed:
        await create(lite, **BAD_CREATIONS[kind])
    assert (failed.value.code, list(failed.value.fields)) == ("INVALID_ARGUMENT", ["url"])
    made = await create(lite)
    change = rpc.UpdateEndpointRequest(
        endpoint_id=made.endpoint.endpoint_id, url=BAD_CREATIONS[kind]["url"]
    )
    with pytest.raises(Failed) as failed:
        await ask(lite, change)
    assert list(failed.value.fields) == ["url"]
    assert await listed(lite) == [made.endpoint]


async def test_types_and_text_are_checked(lite: Counter) -> None:
    for more in ({"types": [99]}, {"types": [0]}, {"description": "x" * 501}):
        with pytest.raises(Failed) as failed:
            await create(lite, **more)
        assert failed.value.reason == "FIELD_INVALID"
    made = await create(lite)
    both = rpc.UpdateEndpointRequest(
        endpoint_id=made.endpoint.endpoint_id, types=[pb.EVENT_TYPE_FUNDS_HELD], all_types=True
    )
    with pytest.raises(Failed) as failed:
        await ask(lite, both)
    assert list(failed.value.fields) == ["types"]
    for seconds in (-1, 7 * 86_400 + 1):
        rotate = rpc.RotateSecretRequest(
            endpoint_id=made.endpoint.endpoint_id, keep_previous=Duration(seconds=seconds)
        )
        with pytest.raises(Failed) as failed:
            await ask(lite, rotate)
        assert list(failed.value.fields) == ["keep_previous"]


async def test_there_are_only_so_many_endpoints(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "MAX_ENDPOINTS", 2)
    for _ in range(2):
        await create(lite)
    with pytest.raises(Failed) as failed:
        await create(lite)
    assert failed.value.reason == "TOO_MANY_ENDPOINTS"


async def test_what_is_given_is_changed_and_nothing_else(counter: Counter) -> None:
    made = await create(counter, types=[pb.EVENT_TYPE_ESCROW_CREATED], description="Ours")
    endpoint_id = made.endpoint.endpoint_id

    async def update(**fields: Any) -> rpc.Endpoint:
        request = rpc.UpdateEndpointRequest(endpoint_id=endpoint_id, **fields)
        changed: rpc.Endpoint = (await ask(counter, request)).endpoint
        return changed

    assert await update() == made.endpoint
    changed = await update(url="https://8.8.8.8/there")
    assert (changed.url, changed.description) == ("https://8.8.8.8/there", "Ours")
    assert list(changed.types) == [pb.EVENT_TYPE_ESCROW_CREATED]
    changed = await update(types=[pb.EVENT_TYPE_FUNDS_HELD, pb.EVENT_TYPE_PAYMENT_FAILED])
    assert set(changed.types) == {pb.EVENT_TYPE_FUNDS_HELD, pb.EVENT_TYPE_PAYMENT_FAILED}
    changed = await update(all_types=True, description="", unordered=True)
    assert (list(changed.types), changed.description, changed.unordered) == ([], "", True)
    changed = await update(disabled=True)
    assert (changed.disabled, changed.disabled_reason) == (True, "By admin-1.")
    assert changed.HasField("disabled_time")
    changed = await update(disabled=False)
    assert (changed.disabled, changed.disabled_reason) == (False, "")
    assert await listed(counter) == [changed]


@pytest.mark.parametrize("endpoint_id", ["", "x", "ep_" + "0" * 32, "\0", "ep_" + "0" * 100])
async def test_an_endpoint_that_is_not_there_is_not_found(lite: Counter, endpoint_id: str) -> None:
    for kind in (
        rpc.UpdateEndpointRequest,
        rpc.DeleteEndpointRequest,
        rpc.RotateSecretRequest,
        rpc.ListDeliveriesRequest,
    ):
        with pytest.raises(Failed) as failed:
            await ask(lite, kind(endpoint_id=endpoint_id))
        assert failed.value.reason == ("ENDPOINT_NOT_FOUND" if endpoint_id else "FIELD_INVALID")


async def test_events_arrive_and_are_listed_page_by_page(lax: Counter) -> None:
    async with Receiver() as receiver:
        made = await create(lax, receiver.url)
        escrow = await lax.create()
        for _ in range(4):
            await publish(lax, escrow.escrow_id)
        other = await lax.create()
        taken = await receiver.wait(6)
    for one in taken:
        Webhook(made.secret).verify(one.body, one.headers)
    assert [one.place for one in taken if one.place[0] == escrow.escrow_id] == [
        (escrow.escrow_id, version) for version in range(1, 6)
    ]

    async def page(**fields: Any) -> rpc.ListDeliveriesResponse:
        request = rpc.ListDeliveriesRequest(endpoint_id=made.endpoint.endpoint_id, **fields)
        answer: rpc.ListDeliveriesResponse = await ask(lax, request)
        return answer

    first = await page(page_size=4)
    second = await page(page_size=4, page_token=first.next_page_token)
    found = [*first.deliveries, *second.deliveries]
    assert [len(first.deliveries), len(second.deliveries), second.next_page_token] == [4, 2, ""]
    assert [one.position for one in found] == sorted((one.position for one in taken), reverse=True)
    assert {one.delivery_id for one in found} == {one.id for one in taken}
    of_other = await page(escrow_id=other.escrow_id)
    (only,) = of_other.deliveries
    assert (only.version, only.type) == (1, pb.EVENT_TYPE_ESCROW_CREATED)
    assert len((await page(state=rpc.DELIVERY_STATE_FAILED)).deliveries) == 0
    for wrong in (
        {"page_token": first.next_page_token, "state": 3},
        {"page_token": "x"},
        {"page_size": 201},
        {"state": 9},
        {"escrow_id": "x"},
    ):
        with pytest.raises(Failed) as failed:
            await page(**wrong)
        assert failed.value.code == "INVALID_ARGUMENT"


async def test_a_delivery_is_sent_again_on_request_under_its_own_id(lax: Counter) -> None:
    async with Receiver() as receiver:
        made = await create(lax, receiver.url)
        await lax.create()
        (first,) = await receiver.wait(1)
        endpoint_id = made.endpoint.endpoint_id
        await ended(lax, endpoint_id, 1)
        request = rpc.RedeliverRequest(delivery_id=first.id, request_id="once-more")
        again = await ask(lax, request)
        assert (again.delivery.delivery_id, again.delivery.attempts) == (first.id, 1)
        assert await ask(lax, request) == again
        (delivery,) = await ended(lax, endpoint_id, 1)
        assert delivery.attempts == 2
        assert [(one.id, one.body) for one in receiver.tries] == [(first.id, first.body)] * 2
        await ask(lax, rpc.UpdateEndpointRequest(endpoint_id=endpoint_id, disabled=True))
        with pytest.raises(Failed) as failed:
            await ask(lax, rpc.RedeliverRequest(delivery_id=first.id))
    assert failed.value.reason == "ENDPOINT_DISABLED"
    for delivery_id in ("x", "msg_" + "0" * 32):
        with pytest.raises(Failed) as failed:
            await ask(lax, rpc.RedeliverRequest(delivery_id=delivery_id))
        assert failed.value.reason == "DELIVERY_NOT_FOUND"


async def test_a_delivery_that_is_sent_on_request_holds_back_nothing_any_more(lax: Counter) -> None:
    async with Receiver(answer=500) as receiver:
        await create(lax, receiver.url)
        escrow = await lax.create()
        await publish(lax, escrow.escrow_id)
        await until(lambda: receiver.tries)
        first = receiver.tries[0]
        await until(lambda: lax.core.rooms.dispatcher.outcomes["failed"])
        await ask(lax, rpc.RedeliverRequest(delivery_id=first.id))
        await until(lambda: len({one.id for one in receiver.tries}) == 2)
        assert {one.place[1] for one in receiver.tries} == {1, 2}


async def test_an_endpoint_that_is_enabled_again_gets_what_it_missed(lax: Counter) -> None:
    async with Receiver(answer=410) as receiver:
        made = await create(lax, receiver.url)
        escrow = await lax.create()
        while not (await listed(lax))[0].disabled:
            await publish(lax, escrow.escrow_id)
        (endpoint,) = await listed(lax)
        assert endpoint.disabled_reason == "It answered 410 Gone."
        missed = await lax.create()
        receiver.answer = 200
        await ask(
            lax, rpc.UpdateEndpointRequest(endpoint_id=made.endpoint.endpoint_id, disabled=False)
        )
        events = await lax.call(escrows.ListEventsRequest(escrow_id=escrow.escrow_id))
        taken = await receiver.wait(len(events.events) + 1)
    assert missed.escrow_id in {one.place[0] for one in taken}
    mine = [one.place[1] for one in taken if one.place[0] == escrow.escrow_id]
    assert mine == list(range(1, len(events.events) + 1))


async def test_a_deleted_endpoint_gets_nothing_more(lax: Counter) -> None:
    async with Receiver() as receiver:
        made = await create(lax, receiver.url)
        await lax.create()
        await receiver.wait(1)
        await ask(lax, rpc.DeleteEndpointRequest(endpoint_id=made.endpoint.endpoint_id))
        async with Receiver() as other:
            await create(lax, other.url)
            await lax.create()
            await other.wait(1)
        assert len(receiver.tries) == 1
    with pytest.raises(Failed):
        await ask(lax, rpc.ListDeliveriesRequest(endpoint_id=made.endpoint.endpoint_id))
