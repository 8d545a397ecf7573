"""The sandbox's payment page, its endpoints for browsers, and its process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest

from core.razorpay import verify_checkout
from scripts.sandbox import Sandbox
from tests.fakes.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
BACK = "https://shop.example/escrows/7?tab=pay&x=%26#end"


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with Sandbox(seed=1) as sandbox, Visitor(sandbox) as visitor:
        yield visitor


async def page(visitor: Visitor, order_id: str, return_url: str = BACK) -> tuple[int, str]:
    path = f"/sandbox/checkout/{order_id}?return_url={quote(return_url, safe='')}"
    async with visitor.http.get(path) as answer:
        return answer.status, await answer.text()


async def press(visitor: Visitor, order_id: str, outcome: str, back: str = BACK) -> tuple[int, str]:
    async with visitor.http.post(
        f"/sandbox/checkout/{order_id}",
        data={"outcome": outcome, "return_url": back},
        allow_redirects=False,
    ) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


async def test_the_page_shows_what_is_to_be_paid_and_three_buttons(visitor: Visitor) -> None:
    order_id = await visitor.order(12_345_678, receipt="<r&1>")
    status, text = await page(visitor, order_id)
    assert status == 200
    assert "INR 123,456.78" in text
    assert "&lt;r&amp;1&gt;" in text
    assert "<r&1>" not in text
    assert text.count("<button") == 3


@pytest.mark.parametrize("outcome", ["captured", "authorized"])
async def test_paying_leads_back_with_a_signed_pair(visitor: Visitor, outcome: str) -> None:
    order_id = await visitor.order()
    status, location = await press(visitor, order_id, outcome)
    parts = urlsplit(location)
    told = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (status, parts.netloc, parts.path) == (303, "shop.example", "/escrows/7")
    assert (told["tab"], told["x"], parts.fragment) == ("pay", "&", "end")
    assert verify_checkout(
        told["razorpay_order_id"],
        told["razorpay_payment_id"],
        told["razorpay_signature"],
        visitor.sandbox.key_secret,
    )
    assert (await visitor.state())["payments"][0]["status"] == outcome


async def test_failing_leads_back_with_an_error(visitor: Visitor) -> None:
    _, location = await press(visitor, await visitor.order(), "failed")
    told = parse_qs(urlsplit(location).query)
    assert told["razorpay_error"] == ["payment_failed"]
    assert "razorpay_signature" not in told


async def test_a_paid_order_cannot_be_paid_again_on_the_page(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.pay(order_id)
    status, text = await press(visitor, order_id, "captured")
    assert status == 400
    assert 'role="alert"' in text
    assert len((await visitor.state())["payments"]) == 1


@pytest.mark.parametrize(
    "back", ["javascript:alert(1)", "//evil.example", "/x", "http://[", "a\nb"]
)
async def test_only_a_web_address_can_be_the_return_url(visitor: Visitor, back: str) -> None:
    order_id = await visitor.order()
    assert (await page(visitor, order_id, back))[0] == 400
    assert (await press(visitor, order_id, "captured", back))[0] == 400
    assert (await visitor.state())["payments"] == []


async def test_an_unknown_order_has_no_page_and_an_unknown_outcome_has_no_effect(
    visitor: Visitor,
) -> None:
    assert (await page(visitor, "order_x"))[0] == 400
    assert (await press(visitor, await visitor.order(), "maybe"))[0] == 400


async def test_without_a_return_url_the_page_shows_the_outcome(visitor: Visitor) -> None:
    status, text = await press(visitor, await visitor.order(), "captured", "")
    assert (status, "The payment is captured." in text) == (200, True)


async def test_the_sandboxs_own_endpoints_allow_every_origin(visitor: Visitor) -> None:
    async with visitor.http.options("/sandbox/orders/x/pay") as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    for path in ("/sandbox/state", "/sandbox/nothing"):
        async with visitor.http.get(path) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with visitor.http.get("/v1/orders") as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


async def start(*options: str, **more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "scripts.sandbox", *options),
        cwd=ROOT,
        env={**os.environ, **more},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_when_it_is_ready_and_stops_cleanly(how: signal.Signals) -> None:
    keys = {"RAZORPAY_KEY_ID": "rzp_test_1", "RAZORPAY_KEY_SECRET": "s1", "SANDBOX_PORT": "0"}
    process = await start("--webhook-url", "", **keys)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = (await process.stdout.readline()).decode()
        assert line.startswith("sandbox ready: http://127.0.0.1:")
        url = line.removeprefix("sandbox ready: ").strip()
        auth = {"Authorization": aiohttp.encode_basic_auth("rzp_test_1", "s1")}
        async with aiohttp.ClientSession() as http, http.get(f"{url}/v1/orders", headers=auth) as a:
            assert a.status == 200
        process.send_signal(how)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_port_that_is_taken_ends_the_process_with_a_sentence() -> None:
    async with Sandbox() as sandbox, asyncio.timeout(30):
        port = sandbox.base_url.rpartition(":")[2]
        process = await start("--port", port)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.startswith(f"sandbox: cannot listen on port {port}".encode())
