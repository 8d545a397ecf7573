"""The sandbox's faults: which plans it accepts, and what each fault does to a call."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until

ORDER = {"amount": 100, "currency": "INR"}
NONE = {
    "webhooks": {"duplicate": 0.0, "drop": 0.0, "reorder": 0.0, "delay_s": 0.0},
    "api": {
        "error": 0.0,
        "timeout_after_success": 0.0,
        "rate_limit": 0.0,
        "insufficient_balance": 0.0,
        "latency_s": 0.0,
        "timeout_hold_s": 30.0,
    },
}


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with Sandbox(seed=1, process_delay_s=0) as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def raw(visitor: Visitor, method: str, path: str, **more: object) -> tuple[int, str]:
    keys = aiohttp.encode_basic_auth(visitor.sandbox.key_id, visitor.sandbox.key_secret)
    async with visitor.http.request(
        method, path, headers={"Authorization": keys}, json=ORDER
    ) as answer:
        assert "Retry-After" not in answer.headers
        return answer.status, answer.content_type


async def test_a_plan_replaces_the_one_before(visitor: Visitor) -> None:
    await visitor.misbehave(webhooks={"drop": 0.5}, api={"error": 1})
    await visitor.misbehave(webhooks={"duplicate": 1})
    status, plan = await visitor.door("GET", "/faults")
    assert status == 200
    assert plan == {**NONE, "webhooks": {**NONE["webhooks"], "duplicate": 1.0}}
    await visitor.misbehave()
    assert await visitor.door("GET", "/faults") == (200, NONE)


@pytest.mark.parametrize(
    "plan",
    [
        [],
        "text",
        {"webhook": {}},
        {"webhooks": []},
        {"webhooks": {"lose": 1}},
        {"webhooks": {"drop": 1.1}},
        {"webhooks": {"drop": -0.1}},
        {"webhooks": {"drop": "1"}},
        {"webhooks": {"drop": True}},
        {"webhooks": {"drop": None}},
        {"webhooks": {"delay_s": 61}},
        {"webhooks": {"delay_s": float("nan")}},
        {"api": {"latency_s": float("inf")}},
        {"api": {"error": 10**400}},
    ],
)
async def test_a_wrong_plan_is_refused_and_changes_nothing(visitor: Visitor, plan: object) -> None:
    await visitor.misbehave(webhooks={"drop": 1})
    before = await visitor.door("GET", "/faults")
    status, told = await visitor.door("PUT", "/faults", plan)
    assert (status, told["error"]["code"]) == (400, "BAD_REQUEST_ERROR")
    assert await visitor.door("GET", "/faults") == before


async def test_an_error_comes_before_anything_is_done(visitor: Visitor) -> None:
    await visitor.misbehave(api={"error": 1})
    answers = {await raw(visitor, "POST", "/v1/orders") for _ in range(20)}
    assert answers == {(500, "text/html"), (500, "application/json")}
    assert (await visitor.state())["orders"] == []


async def test_a_rate_limit_has_no_retry_after_and_does_nothing(visitor: Visitor) -> None:
    await visitor.misbehave(api={"rate_limit": 1})
    answers = {await raw(visitor, "POST", "/v1/orders") for _ in range(20)}
    assert answers == {(429, "text/html"), (429, "application/json")}
    assert (await visitor.state())["orders"] == []


async def test_a_probability_of_one_half_hits_about_half_of_the_calls(visitor: Visitor) -> None:
    await visitor.misbehave(api={"rate_limit": 0.5})
    statuses = [(await raw(visitor, "GET", "/v1/orders"))[0] for _ in range(60)]
    assert 15 < statuses.count(200) < 45


async def test_a_withheld_answer_ends_with_a_dropped_connection(visitor: Visitor) -> None:
    await visitor.misbehave(api={"timeout_after_success": 1, "timeout_hold_s": 0.1})
    with pytest.raises(aiohttp.ClientError):
        await visitor.order()
    assert len((await visitor.state())["orders"]) == 1


async def test_an_answer_is_withheld_until_its_client_leaves(visitor: Visitor) -> None:
    await visitor.misbehave(api={"timeout_after_success": 1})
    call = asyncio.create_task(visitor.order())
    orders = visitor.sandbox.books
    await until(lambda: orders.all("order"))
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_reads_and_refusals_are_never_withheld(visitor: Visitor) -> None:
    await visitor.misbehave(api={"timeout_after_success": 1})
    assert (await visitor.api("GET", "/orders"))[0] == 200
    assert (await visitor.api("POST", "/orders", {"amount": 1, "currency": "INR"}))[0] == 400


async def test_latency_delays_the_api(visitor: Visitor) -> None:
    await visitor.misbehave(api={"latency_s": 0.1})
    began = time.monotonic()
    await visitor.order()
    assert time.monotonic() - began >= 0.1


async def test_the_sandboxs_own_endpoints_have_no_api_faults(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.misbehave(
        api={"error": 1, "rate_limit": 1, "timeout_after_success": 1, "latency_s": 60}
    )
    payment_id = await visitor.pay(order_id)
    assert (await visitor.state())["payments"][0]["id"] == payment_id


async def test_without_balance_a_refund_is_refused_and_a_transfer_fails(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    path = f"/payments/{payment_id}"
    part = {"account": "acc_12345678901234", "amount": 50_000, "currency": "INR"}
    _, made = await visitor.api("POST", f"{path}/transfers", {"transfers": [part]})
    released = f"/transfers/{made['items'][0]['id']}/reversals"
    _, made = await visitor.api(
        "POST", f"{path}/transfers", {"transfers": [{**part, "on_hold": 1}]}
    )
    held = f"/transfers/{made['items'][0]['id']}/reversals"
    await visitor.misbehave(api={"insufficient_balance": 1})
    for refused in (f"{path}/refund", released):
        status, told = await visitor.api("POST", refused, {"amount": 100})
        assert (status, told["error"]["reason"]) == (400, "insufficient_balance")
    status, _ = await visitor.api("POST", held, {})
    assert status == 200, "money on hold needs no balance"
    _, made = await visitor.api("POST", f"{path}/transfers", {"transfers": [part]})
    entity = visitor.sandbox.books.find("transfer", made["items"][0]["id"])
    await until(lambda: entity["status"] == "failed")
    assert entity["error"]["reason"] == "insufficient_balance"
    await visitor.misbehave()
    status, _ = await visitor.api("POST", f"{path}/transfers", {"transfers": [part]})
    assert status == 200, "a failed transfer takes nothing from the payment"


async def test_stopping_does_not_wait_for_a_withheld_answer() -> None:
    async with asyncio.timeout(10), Sandbox() as sandbox, Visitor(sandbox) as visitor:
        await visitor.misbehave(api={"timeout_after_success": 1})
        call = asyncio.create_task(visitor.order())
        await until(lambda: sandbox.books.all("order"))
        await sandbox.stop()
        with pytest.raises(aiohttp.ClientError):
            await call
