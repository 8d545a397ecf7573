"""The sandbox's rules, over plain HTTP: what it refuses, and how its entities change."""

import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor

ACCOUNT = "acc_12345678901234"
ORDER: dict[str, Any] = {"amount": 100_000, "currency": "INR"}


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with Sandbox(seed=1, process_delay_s=0) as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def refused(visitor: Visitor, path: str, body: object, method: str = "POST") -> Any:
    status, told = await visitor.api(method, path, body)
    assert status == 400, told
    assert told["error"]["code"] == "BAD_REQUEST_ERROR"
    return told["error"]


def transfer(amount: int, account: str = ACCOUNT, **more: object) -> dict[str, object]:
    return {"transfers": [{"account": account, "amount": amount, "currency": "INR", **more}]}


async def test_an_order_looks_like_one_of_razorpay(visitor: Visitor) -> None:
    _, order = await visitor.api("POST", "/orders", {**ORDER, "receipt": "r1", "notes": {"a": "b"}})
    assert order.pop("id").startswith("order_")
    assert isinstance(order.pop("created_at"), int)
    assert order == {
        "entity": "order",
        "amount": 100_000,
        "amount_paid": 0,
        "amount_due": 100_000,
        "currency": "INR",
        "receipt": "r1",
        "offer_id": None,
        "status": "created",
        "attempts": 0,
        "notes": {"a": "b"},
    }


async def test_empty_notes_come_back_as_a_list(visitor: Visitor) -> None:
    empty: list[object] = [{}, [], None]
    for notes in empty:
        _, order = await visitor.api("POST", "/orders", {**ORDER, "notes": notes})
        assert order["notes"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": 99}, "amount_less_than_minimum_amount"),
        ({"amount": -5}, "amount_less_than_minimum_amount"),
        ({"amount": 10**13}, "amount_exceeds_maximum_amount_allowed"),
        ({"amount": 100.5}, "input_validation_failed"),
        ({"amount": "100"}, "input_validation_failed"),
        ({"amount": True}, "input_validation_failed"),
        ({"amount": None}, "input_validation_failed"),
        ({"currency": None}, "input_validation_failed"),
        ({"currency": "rupees"}, "input_validation_failed"),
        ({"currency": "KWD", "amount": 99_991}, "input_validation_failed"),
        ({"receipt": "r" * 41}, "input_validation_failed"),
        ({"receipt": 7}, "input_validation_failed"),
        ({"notes": {str(n): "x" for n in range(16)}}, "input_validation_failed"),
        ({"notes": {"a": "x" * 257}}, "input_validation_failed"),
        ({"notes": {"a": {}}}, "input_validation_failed"),
        ({"notes": "text"}, "input_validation_failed"),
        ({"payment": {"capture": "later"}}, "input_validation_failed"),
        ({"transfers": [{}]}, "input_validation_failed"),
        ({"partial_payment": True}, "input_validation_failed"),
        ({"offers": ["offer_1"]}, "input_validation_failed"),
        ({"discount": False}, "input_validation_failed"),
    ],
)
async def test_a_wrong_order_is_refused_and_not_made(
    visitor: Visitor, change: dict[str, object], reason: str
) -> None:
    assert (await refused(visitor, "/orders", {**ORDER, **change}))["reason"] == reason
    assert (await visitor.state())["orders"] == []


async def test_a_receipt_is_taken_once(visitor: Visitor) -> None:
    body = {**ORDER, "receipt": "r" * 40}
    _, first = await visitor.api("POST", "/orders", body)
    assert "unique" in (await refused(visitor, "/orders", body))["description"]
    _, again = await visitor.api("POST", "/orders", {**body, "unique_receipt": True})
    assert again == first
    _, found = await visitor.api("GET", f"/orders?receipt={'r' * 40}")
    assert (found["count"], found["items"]) == (1, [first])


async def test_a_request_that_is_not_a_json_object_is_refused(visitor: Visitor) -> None:
    wrong: list[object] = [[], "text", 7]
    for body in wrong:
        await refused(visitor, "/orders", body)
    keys = aiohttp.encode_basic_auth(visitor.sandbox.key_id, visitor.sandbox.key_secret)
    for raw in (b"{", b"\xff{}", b"[" * 100_000):
        headers = {"Authorization": keys}
        async with visitor.http.post("/v1/orders", data=raw, headers=headers) as answer:
            assert answer.status == 400
            assert "JSON" in (await answer.json())["error"]["description"]
    async with visitor.http.post(
        "/v1/orders", data=io.BytesIO(bytes(2**21)), headers=headers
    ) as answer:
        assert answer.status == 413


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic eDp5", "Bearer abc", "Basic ö"])
async def test_without_the_right_keys_there_is_401(visitor: Visitor, header: str) -> None:
    status, told = await visitor.api("GET", "/orders", headers={"Authorization": header})
    assert (status, told["error"]["description"]) == (401, "Authentication failed")


async def test_an_unknown_url_answers_404_in_razorpays_shape(visitor: Visitor) -> None:
    status, told = await visitor.api("GET", "/invoices")
    assert (status, told["error"]["code"]) == (404, "BAD_REQUEST_ERROR")
    status, _ = await visitor.api("POST", "/payments", {})
    assert status == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/order_x"),
        ("GET", "/orders/order_x/payments"),
        ("GET", "/payments/pay_x"),
        ("POST", "/payments/pay_x/capture"),
        ("POST", "/payments/pay_x/refund"),
        ("GET", "/payments/pay_x/refunds"),
        ("GET", "/payments/pay_x/transfers"),
        ("GET", "/refunds/rfnd_x"),
        ("PATCH", "/transfers/trf_x"),
        ("POST", "/transfers/trf_x/reversals"),
        ("GET", "/transfers/trf_x/reversals"),
    ],
)
async def test_an_unknown_id_is_refused_with_400(visitor: Visitor, method: str, path: str) -> None:
    body = {"amount": 100, "currency": "INR"} if method == "POST" else None
    error = await refused(visitor, path, body, method)
    assert error["description"] == "The id provided does not exist"


async def test_a_paid_order_takes_no_second_payment_unless_forced(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.pay(order_id)
    status, told = await visitor.door("POST", f"/orders/{order_id}/pay", {"outcome": "captured"})
    assert (status, told["error"]["reason"]) == (400, "order_already_paid")
    await visitor.pay(order_id, force=True)
    state = await visitor.state()
    assert [p["status"] for p in state["payments"]] == ["captured", "captured"]
    assert (state["orders"][0]["status"], state["orders"][0]["amount_paid"]) == ("paid", 100_000)


async def test_while_a_payment_is_authorized_a_second_is_refused(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.pay(order_id, "authorized")
    status, told = await visitor.door("POST", f"/orders/{order_id}/pay", {"outcome": "captured"})
    assert (status, told["error"]["reason"]) == (400, "payment_already_authorized")


async def test_an_order_with_manual_capture_waits_for_it(visitor: Visitor) -> None:
    order_id = await visitor.order(payment={"capture": "manual"})
    payment_id = await visitor.pay(order_id, "captured")
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert (payment["status"], payment["captured"], payment["fee"]) == ("authorized", False, None)
    await refused(visitor, f"/payments/{payment_id}/capture", {"amount": 99_999, "currency": "INR"})
    _, payment = await visitor.api("POST", f"/payments/{payment_id}/capture", ORDER)
    assert (payment["status"], payment["fee"], payment["tax"]) == ("captured", 2_360, 360)
    await refused(visitor, f"/payments/{payment_id}/capture", ORDER)


async def test_a_failed_attempt_leaves_the_order_open(visitor: Visitor) -> None:
    order_id = await visitor.order()
    failed = await visitor.pay(order_id, "failed")
    await refused(visitor, f"/payments/{failed}/capture", ORDER)
    await visitor.pay(order_id)
    state = await visitor.state()
    assert [p["status"] for p in state["payments"]] == ["failed", "captured"]
    assert (state["orders"][0]["status"], state["orders"][0]["attempts"]) == ("paid", 2)


@pytest.mark.parametrize("change", [{"amount": 99_999}, {"amount": 100_001}, {"currency": "USD"}])
async def test_a_payment_of_another_amount_or_currency_leaves_the_order_unpaid(
    visitor: Visitor, change: dict[str, Any]
) -> None:
    order_id = await visitor.order()
    payment_id = await visitor.pay(order_id, **change)
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert payment["status"] == "captured"
    assert {name: payment[name] for name in change} == change
    _, order = await visitor.api("GET", f"/orders/{order_id}")
    assert order["status"] == "attempted"


async def test_a_failed_payment_may_be_authorized_late(visitor: Visitor) -> None:
    for capture, status in ((False, "authorized"), (True, "captured")):
        payment_id = await visitor.pay(await visitor.order(), "failed")
        _, payment = await visitor.door(
            "POST", f"/payments/{payment_id}/authorize", {"capture": capture}
        )
        assert (payment["status"], payment["error_reason"]) == (status, None)
        told, _ = await visitor.door("POST", f"/payments/{payment_id}/authorize", {})
        assert told == 400


async def test_a_late_payment_of_a_paid_order_is_refunded_at_once(visitor: Visitor) -> None:
    order_id = await visitor.order()
    late = await visitor.pay(order_id, "failed")
    await visitor.pay(order_id)
    _, payment = await visitor.door("POST", f"/payments/{late}/authorize", {"capture": True})
    assert (payment["status"], payment["captured"]) == ("refunded", False)
    (refund,) = (await visitor.state())["refunds"]
    assert (refund["payment_id"], refund["amount"]) == (late, 100_000)


async def test_lists_come_in_pages_newest_first(visitor: Visitor) -> None:
    ids = [await visitor.order() for _ in range(12)]
    _, page = await visitor.api("GET", "/orders")
    assert [item["id"] for item in page["items"]] == ids[:1:-1]
    _, page = await visitor.api("GET", "/orders?count=5&skip=10")
    assert [item["id"] for item in page["items"]] == ids[1::-1]
    _, page = await visitor.api("GET", "/orders?to=1")
    assert page == {"entity": "collection", "count": 0, "items": []}
    for wrong in ("count=101", "count=0", "skip=-1", "skip=x", "from=" + "9" * 5000):
        await refused(visitor, f"/orders?{wrong}", None, "GET")


async def test_a_dispute_follows_the_banks_events(visitor: Visitor) -> None:
    path = f"/payments/{await visitor.pay(await visitor.order())}/dispute"
    assert (await visitor.door("POST", path, {"event": "won"}))[0] == 400
    _, dispute = await visitor.door("POST", path, {"event": "created"})
    assert (dispute["status"], dispute["amount"]) == ("open", 100_000)
    assert dispute["id"].startswith("disp_")
    for event in ("under_review", "lost"):
        _, dispute = await visitor.door("POST", path, {"event": event})
        assert dispute["status"] == event
    assert dispute["amount_deducted"] == 100_000
    assert (await visitor.door("POST", path, {"event": "forgotten"}))[0] == 400


async def test_disputes_are_listed_in_pages_and_by_time_and_fetched(visitor: Visitor) -> None:
    made = []
    for _ in range(3):
        path = f"/payments/{await visitor.pay(await visitor.order())}/dispute"
        made.append((await visitor.door("POST", path, {"event": "created"}))[1])
    _, page = await visitor.api("GET", "/disputes?count=2&skip=1")
    assert (page["entity"], page["items"]) == ("collection", made[1::-1])
    since = made[0]["created_at"]
    _, all_of_them = await visitor.api("GET", f"/disputes?from={since}&to={since + 60}")
    assert all_of_them["count"] == 3
    _, none = await visitor.api("GET", f"/disputes?to={since - 1}")
    assert none["items"] == []
    assert await visitor.api("GET", f"/disputes/{made[0]['id']}") == (200, made[0])
    await refused(visitor, "/disputes/disp_unknown1234567", None, "GET")


@pytest.mark.parametrize(
    "body", [{}, {"outcome": "maybe"}, {"outcome": "captured", "amount": 5}, {"outcome": []}, []]
)
async def test_a_wrong_pay_request_pays_nothing(visitor: Visitor, body: object) -> None:
    status, told = await visitor.door("POST", f"/orders/{await visitor.order()}/pay", body)
    assert (status, told["error"]["code"]) == (400, "BAD_REQUEST_ERROR")
    assert (await visitor.state())["payments"] == []


async def test_the_state_shows_whole_entities_and_nothing_else(visitor: Visitor) -> None:
    payment_id = await visitor.pay(await visitor.order())
    state = await visitor.state()
    assert set(state) == {"orders", "payments", "refunds", "transfers", "reversals"}
    _, payment = await visitor.api("GET", f"/payments/{payment_id}")
    assert state["payments"] == [payment]


async def test_the_same_seed_gives_the_same_ids() -> None:
    ids = set()
    for _ in range(2):
        async with Sandbox(seed=7) as sandbox, Visitor(sandbox) as visitor:
            ids.add(await visitor.pay(await visitor.order()))
    assert len(ids) == 1
