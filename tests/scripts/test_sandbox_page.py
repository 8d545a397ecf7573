"""The sandbox's payment page, its endpoints for browsers, and its process."""

import asyncio
import html
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest

from core.razorpay import verify_checkout
from scripts.sandbox import Sandbox
from scripts.sandbox.typeface import Typefaces
from scripts.sandbox.words import ENGLISH, HINDI
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until

ROOT = Path(__file__).resolve().parents[2]
BACK = "https://shop.example/escrows/7?tab=pay&x=%26#end"
PAGE = ROOT / "scripts/sandbox/page.html"


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


async def test_the_page_shows_what_is_to_be_paid_and_what_a_bank_may_do(visitor: Visitor) -> None:
    order_id = await visitor.order(12_345_678, receipt="<r&1>")
    status, text = await page(visitor, order_id)
    assert status == 200
    assert "Pay ₹1,23,456.78" in text
    assert "No real money moves" in text
    assert "&lt;r&amp;1&gt;" in text
    assert "<r&1>" not in text
    for outcome in ("captured", "failed", "pending", "authorized"):
        assert f'<button class="pay" name="outcome" value="{outcome}"' in text or (
            f'<button name="outcome" value="{outcome}"' in text
        )


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [
        (100, "INR", "₹1<"),
        (99_900, "INR", "₹999<"),
        (1_00_000_00, "INR", "₹1,00,000<"),
        (48_50_000_50, "INR", "₹48,50,000.50<"),
        (12_34_56_789_00, "INR", "₹12,34,56,789<"),
        (123_456, "USD", "USD 1,234.56<"),
        (123_456, "JPY", "JPY 123,456<"),
    ],
)
async def test_rupees_are_grouped_as_india_writes_them(
    visitor: Visitor, amount_minor: int, currency: str, shown: str
) -> None:
    order_id = await visitor.order(amount_minor, currency=currency)
    assert shown in (await page(visitor, order_id))[1]


async def test_the_page_says_what_for_and_to_whom_if_it_is_told(visitor: Visitor) -> None:
    order_id = await visitor.order()
    about = "&title=Oak+table+%3Cb%3E&payee=ravi"
    async with visitor.http.get(f"/sandbox/checkout/{order_id}?{about}") as answer:
        text = await answer.text()
    assert "Oak table &lt;b&gt;" in text
    assert "to ravi" in text
    noted = await visitor.order(notes={"title": "A lamp"})
    async with visitor.http.get(f"/sandbox/checkout/{noted}?{about}") as answer:
        assert "A lamp" in await answer.text()


async def test_a_payment_that_the_bank_has_not_decided_is_paid_later(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.sandbox.page.LATE_S", 0.05)
    order_id = await visitor.order()
    status, location = await press(visitor, order_id, "pending")
    assert (status, location) == (303, BACK)
    order = visitor.sandbox.books.find("order", order_id)
    await until(lambda: order["status"] == "paid")
    assert (await visitor.state())["payments"][0]["status"] == "captured"


async def test_an_order_that_is_paid_offers_the_way_back_and_no_payment(visitor: Visitor) -> None:
    order_id = await visitor.order()
    await visitor.pay(order_id)
    _, text = await page(visitor, order_id)
    assert "<button" not in text
    assert "This is paid." in text
    assert ">Go back<" in text


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


async def test_an_order_that_the_sandbox_has_forgotten_says_so_and_leads_back(
    visitor: Visitor,
) -> None:
    for status, text in (
        await page(visitor, "order_x"),
        await press(visitor, "order_x", "captured"),
    ):
        assert status == 400
        assert "It forgets all orders and payments when it stops" in text
        assert f'href="{html.escape(BACK)}">Go back</a>' in text


async def test_the_page_asks_nothing_of_another_address(visitor: Visitor) -> None:
    order_id = await visitor.order()
    async with visitor.http.get(f"/sandbox/checkout/{order_id}") as answer:
        text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\"(?!data:)|url\((?!/sandbox/)|@import", text) == []


async def test_the_page_has_the_type_that_the_dashboard_was_built_with(
    visitor: Visitor, tmp_path: Path
) -> None:
    assert Typefaces(tmp_path).style() == ""
    for name in ("inter-latin-wght-1.woff2", "inter-greek-wght-1.woff2"):
        (tmp_path / name).touch()
    assert re.findall(r"url\(([^)]*)\)", Typefaces(tmp_path).style()) == [
        "/sandbox/checkout/type/inter-latin"
    ]
    async with visitor.http.get("/sandbox/checkout/type/inter-greek") as answer:
        assert answer.status == 404


def test_the_pages_colours_are_the_dashboards() -> None:
    ours, theirs = (
        set(re.findall(r"light-dark\(([^)]*)\)", path.read_text()))
        for path in (PAGE, ROOT / "bridge/dashboard/src/styles.css")
    )
    assert len(ours) >= 9
    assert ours <= theirs


@pytest.mark.parametrize(
    ("query", "header", "language", "button"),
    [
        ("?language=hi", "en-IN", "hi", "₹1,000 चुकाएँ"),
        ("?language=en", "hi-IN", "en", "Pay ₹1,000"),
        ("", "hi-IN,en;q=0.8", "hi", "₹1,000 चुकाएँ"),
        ("?language=ta", "", "en", "Pay ₹1,000"),
    ],
)
async def test_the_page_speaks_the_shops_language_or_else_the_browsers(
    visitor: Visitor, query: str, header: str, language: str, button: str
) -> None:
    path = f"/sandbox/checkout/{await visitor.order()}{query}"
    async with visitor.http.get(path, headers={"Accept-Language": header}) as answer:
        text = await answer.text()
    assert f'<html lang="{language}">' in text
    assert f'value="captured">{button}<' in text


def test_both_languages_say_everything_and_name_the_same_things() -> None:
    named = [
        {key: re.findall(r"{[^}]*}", words) for key, words in said.items()}
        for said in (ENGLISH, HINDI)
    ]
    assert named[0] == named[1]
    assert [key for key in ENGLISH if ENGLISH[key] == HINDI[key]] == []


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
