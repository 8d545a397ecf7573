"""What the gateway makes of every way in which a call can go wrong."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.razorpay import (
    Gateway,
    GatewayError,
    GatewayRefused,
    GatewayUnavailable,
    OutcomeUnknown,
    pool,
)
from scripts.sandbox import Sandbox
from scripts.sandbox.faults import ApiFaults, Plan
from tests.fakes.peer import Answer, Peer, hang_up, http, self_signed, stay_silent
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until

Call = Callable[[Gateway], Awaitable[object]]
PAYMENT_ID = "pay_12345678901234"
TIMEOUT_S = 0.3


@asynccontextmanager
async def opened(base_url: str, *, workers: int = 4) -> AsyncIterator[Gateway]:
    gateway = Gateway(
        key_id="rzp_test_sandbox",
        key_secret="sandbox_key_secret",
        base_url=base_url,
        timeout_s=TIMEOUT_S,
        workers=workers,
    )
    try:
        yield gateway
    finally:
        await gateway.close()


async def read(gateway: Gateway) -> object:
    return await gateway.fetch_payment(PAYMENT_ID)


async def write(gateway: Gateway) -> object:
    return await gateway.capture(PAYMENT_ID, 100, "INR")


def error(status: int, description: str, code: str = "BAD_REQUEST_ERROR") -> Answer:
    return http(status, json.dumps({"error": {"code": code, "description": description}}))


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100_000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(TIMEOUT_S / 3)


HTML = http(502, "<html>Bad gateway</html>")
UNCLEAR = {
    "no answer": stay_silent,
    "connection lost": hang_up,
    "answer cut off": http(200, '{"id":"pay_1"}', missing=9),
    "answer that never ends": drip,
    "not HTTP": lambda writer: _raw(writer, b"hello\r\n\r\n"),
    "500": error(500, "trouble", "SERVER_ERROR"),
    "502 in HTML": HTML,
    "503 with nothing": http(503, ""),
    "408": http(408, "<html>Timeout</html>"),
    "403 in HTML": http(403, "<html>Blocked</html>"),
    "bank error with 400": error(400, "bank is down", "GATEWAY_ERROR"),
    "409 in progress": error(409, "Another request is in progress"),
    "redirect": http(302, "", "Location: http://127.0.0.1:9/\r\n"),
    "200 in HTML": http(200, "<html>Welcome</html>"),
    "200 with a list": http(200, "[]"),
    "200 too deep": http(200, "[" * 100_000),
    "200 with another entity": http(200, '{"id":"order_1","entity":"order"}'),
    "200 not UTF-8": http(200, b"\xff\xfe\xfd"),
    "204": http(204, ""),
}


async def _raw(writer: asyncio.StreamWriter, text: bytes) -> None:
    writer.write(text)
    await writer.drain()


@pytest.mark.parametrize("case", UNCLEAR)
async def test_a_write_without_a_clear_answer_is_unknown(case: str) -> None:
    async with Peer(UNCLEAR[case]) as peer, opened(peer.url) as gateway:
        with pytest.raises(OutcomeUnknown):
            await write(gateway)
        assert len(peer.requests) == 1, "nothing may be repeated"


@pytest.mark.parametrize("case", UNCLEAR)
async def test_a_read_without_a_clear_answer_is_unavailable(case: str) -> None:
    async with Peer(UNCLEAR[case]) as peer, opened(peer.url) as gateway:
        with pytest.raises(GatewayUnavailable):
            await read(gateway)


@pytest.mark.parametrize("call", [read, write])
@pytest.mark.parametrize("body", ["<html>Too many</html>", '{"error":{"code":"X"}}', ""])
async def test_too_many_calls_is_unavailable_because_nothing_was_done(
    call: Call, body: str
) -> None:
    async with Peer(http(429, body)) as peer, opened(peer.url) as gateway:
        with pytest.raises(GatewayUnavailable):
            await call(gateway)


@pytest.mark.parametrize("call", [read, write])
async def test_nobody_listening_is_unavailable_because_nothing_was_sent(
    call: Call,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with opened(f"http://127.0.0.1:{port}") as gateway:
        with pytest.raises(GatewayUnavailable, match="cannot be reached"):
            await call(gateway)


async def test_a_certificate_that_nobody_vouches_for_ends_a_call_before_it_is_sent(
    tmp_path: Path,
) -> None:
    async with Peer(hang_up, tls=self_signed(tmp_path)) as peer, opened(peer.url) as gateway:
        for call in (read, write):
            with pytest.raises(GatewayUnavailable, match="certificate"):
                await call(gateway)
        assert peer.requests == []


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ('{"error":{"code":"C","reason":"R","description":"D"}}', "D"),
        ('{"error":"text only"}', "text only"),
        ('{"error":{"description":"NA","reason":"NA"}}', ""),
        ("{}", ""),
    ],
)
async def test_a_refusal_of_any_shape_is_a_refusal(body: str, description: str) -> None:
    async with Peer(http(400, body)) as peer, opened(peer.url) as gateway:
        for call in (read, write):
            with pytest.raises(GatewayRefused) as refusal:
                await call(gateway)
            assert (refusal.value.status, refusal.value.description) == (400, description)


async def test_a_key_used_with_another_body_is_a_refusal_and_not_in_progress() -> None:
    said = "Different request with the same idempotency key has already been processed."
    async with Peer(error(409, said)) as peer, opened(peer.url) as gateway:
        with pytest.raises(GatewayRefused):
            await write(gateway)


async def test_nothing_is_printed_whatever_goes_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    for answer in (stay_silent, hang_up, HTML, http(200, "no JSON")):
        async with Peer(answer) as peer, opened(peer.url) as gateway:
            for call in (read, write):
                with pytest.raises(GatewayError):
                    await call(gateway)
    assert capfd.readouterr().out == ""


async def test_an_answer_lost_after_success_is_unknown_and_was_done() -> None:
    async with Sandbox() as sandbox, opened(sandbox.base_url) as gateway:
        sandbox.faults.plan = Plan(api=ApiFaults(timeout_after_success=1))
        for _ in range(2):
            # The second call finds the order of the first, and so makes none.
            try:
                order = await gateway.create_order(
                    receipt="escrow-1", amount_minor=100, currency="INR", notes={}
                )
            except OutcomeUnknown:
                continue
        assert [entity["id"] for entity in sandbox.books.all("order")] == [order.order_id]


async def test_an_error_of_the_sandbox_leaves_nothing_behind() -> None:
    async with Sandbox() as sandbox, Visitor(sandbox) as buyer, opened(sandbox.base_url) as gateway:
        payment_id = await buyer.pay(await buyer.order(), "authorized")
        await buyer.misbehave(api={"error": 1})
        with pytest.raises(OutcomeUnknown):
            await gateway.capture(payment_id, 100_000, "INR")
        await buyer.misbehave()
        assert (await gateway.fetch_payment(payment_id)).status == "authorized"


async def test_a_cancelled_caller_harms_no_call_after_it() -> None:
    async with Sandbox() as sandbox, Visitor(sandbox) as buyer, opened(sandbox.base_url) as gateway:
        ids = [await buyer.pay(await buyer.order(1_000 + n), "authorized") for n in range(20)]
        calls = [
            asyncio.create_task(gateway.capture(payment_id, 1_000 + n, "INR"))
            for n, payment_id in enumerate(ids)
        ]
        await calls[0]
        for call in calls[1::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for n, payment_id in enumerate(ids):
            payment = await gateway.fetch_payment(payment_id)
            assert payment.amount_minor == 1_000 + n
            if n % 2 == 0:
                assert payment.status == "captured"


async def test_a_call_that_never_began_is_taken_back_by_its_cancellation() -> None:
    async with Peer(stay_silent) as peer, opened(peer.url, workers=1) as gateway:
        first = asyncio.create_task(write(gateway))
        await until(lambda: peer.requests)
        second = asyncio.create_task(write(gateway))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        with pytest.raises(OutcomeUnknown):
            await first
        assert len(peer.requests) == 1


async def test_a_call_that_finds_no_thread_in_time_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    async with Peer(stay_silent) as peer, opened(peer.url, workers=1) as gateway:
        first = asyncio.create_task(write(gateway))
        await until(lambda: peer.requests)
        with pytest.raises(GatewayUnavailable, match="No thread"):
            await write(gateway)
        with pytest.raises(OutcomeUnknown):
            await first


async def test_more_calls_than_the_limit_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MAX_CALLS", 2)
    async with Peer(stay_silent) as peer, opened(peer.url) as gateway:
        calls = [asyncio.create_task(write(gateway)) for _ in range(2)]
        await until(lambda: len(peer.requests) == 2)
        with pytest.raises(GatewayUnavailable, match="already waiting"):
            await read(gateway)
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in done} == {OutcomeUnknown}


async def test_closing_ends_the_threads_and_what_waits_for_one() -> None:
    async with Peer(stay_silent) as peer, opened(peer.url, workers=1) as gateway:
        began = asyncio.create_task(write(gateway))
        await until(lambda: peer.requests)
        waits = asyncio.create_task(write(gateway))
        await asyncio.sleep(0)
        await gateway.close()
        with pytest.raises(GatewayUnavailable, match="closed"):
            await waits
        with pytest.raises(OutcomeUnknown):
            await began
        with pytest.raises(GatewayUnavailable, match="closed"):
            await read(gateway)
    assert not [t for t in threading.enumerate() if t.name.startswith("razorpay")]


async def test_no_proxy_of_the_environment_stands_before_a_stand_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Sandbox() as sandbox, opened(sandbox.base_url) as gateway:
        assert await gateway.find_order("escrow-1") is None
