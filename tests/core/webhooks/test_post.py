"""One try of a delivery, at a receiver that does what receivers do."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from core.webhooks import address
from core.webhooks.address import Guard
from core.webhooks.post import MAX_ANSWER_BYTES, Poster
from tests.fakes.receiver import Receiver, gigabyte, hang, redirect

METADATA = "http://169.254.169.254/latest/meta-data/"


@contextlib.asynccontextmanager
async def poster(*, allow_private: bool = True, **limits: float) -> AsyncIterator[Poster]:
    guard = Guard(allow_private=allow_private)
    made = Poster(guard, **limits)
    try:
        yield made
    finally:
        await made.close()
        guard.close()


async def test_an_answer_of_2xx_takes_it() -> None:
    async with Receiver() as receiver, poster() as sender:
        for status in (200, 201, 202, 204):
            receiver.answer = status
            outcome = await sender.post(receiver.url, {"webhook-id": "msg_1"}, b'{"a":1}')
            assert (outcome.status, outcome.is_taken) == (status, True)
        first = receiver.tries[0]
        assert first.body == b'{"a":1}'
        assert first.headers["content-type"] == "application/json"
        assert first.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("status", [301, 400, 404, 410, 429, 500, 503])
async def test_any_other_answer_does_not(status: int) -> None:
    async with Receiver(answer=status) as receiver, poster() as sender:
        outcome = await sender.post(receiver.url, {}, b"{}")
    assert (outcome.status, outcome.is_taken) == (status, False)
    assert outcome.problem == f"answered {status}: as you say"


async def test_a_receiver_that_hangs_is_given_up() -> None:
    async with Receiver(answer=hang) as receiver, poster(answer_s=0.2) as sender:
        outcome = await sender.post(receiver.url, {}, b"{}")
    assert (outcome.status, outcome.problem) == (0, "no answer in time")


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver(answer=redirect(METADATA)) as receiver, poster() as sender:
        outcome = await sender.post(receiver.url, {}, b"{}")
    assert (outcome.status, outcome.is_taken) == (307, False)
    assert len(receiver.tries) == 1


async def test_no_more_is_read_of_an_answer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(1024):
                await response.write(b"x" * (1 << 20))
                sent += 1
        return response

    async with Receiver(answer=endless) as receiver, poster() as sender:
        outcome = await sender.post(receiver.url, {}, b"{}")
        assert outcome.is_taken
    # What the kernel and both ends hold on the way, and nothing near the whole.
    assert sent < 64


async def test_a_gigabyte_is_no_reason_to_wait() -> None:
    async with Receiver(answer=gigabyte) as receiver, poster() as sender:
        begin_s = time.monotonic()
        assert (await sender.post(receiver.url, {}, b"{}")).is_taken
        assert time.monotonic() - begin_s < 5
    assert MAX_ANSWER_BYTES == 65_536


async def test_nobody_listening_is_an_outcome_too() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        async with poster() as sender:
            outcome = await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert outcome.status == 0
    assert outcome.problem.startswith("cannot connect")


async def test_what_is_no_http_is_an_outcome_too() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, poster() as sender:
        port = server.sockets[0].getsockname()[1]
        outcome = await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert (outcome.status, outcome.is_taken) == (0, False)


async def test_a_busy_receiver_says_when_to_come_back() -> None:
    async def busy(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "120"})

    async with Receiver(answer=busy) as receiver, poster() as sender:
        assert (await sender.post(receiver.url, {}, b"{}")).retry_after_s == 120


async def test_a_literal_private_address_is_refused_although_it_needs_no_lookup() -> None:
    async with Receiver() as receiver, poster(allow_private=False) as sender:
        outcome = await sender.post(receiver.url, {}, b"{}")
    assert outcome.problem == "refused by Holdfast: 127.0.0.1 is not a public address"
    assert receiver.tries == []


async def test_a_name_that_leads_somewhere_else_by_now_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public when the endpoint is made, private when the connection is."""
    answers = ["93.184.215.14", "127.0.0.1"]

    def look_up(host: str, port: int, family: Any) -> Any:
        found = (answers.pop(0) if len(answers) > 1 else answers[0], port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", found)]

    monkeypatch.setattr(address, "_look_up", look_up)
    async with Receiver() as receiver:
        guard = Guard(allow_private=False)
        url = f"https://rebinding.example:{receiver.port}/"
        assert guard.url_problem(url) == await guard.place_problem(url) == ""
        sender = Poster(guard)
        outcome = await sender.post(url, {}, b"{}")
        await sender.close()
        guard.close()
    assert outcome.problem == "refused by Holdfast: 127.0.0.1 is not a public address"
    assert receiver.tries == []


async def test_a_name_with_a_private_address_among_others_reaches_no_private_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_up(host: str, port: int, family: Any) -> Any:
        found = ["127.0.0.1", "127.0.0.2"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(address, "_look_up", look_up)
    async with Receiver() as receiver, poster(allow_private=False) as sender:
        outcome = await sender.post(f"http://several.example:{receiver.port}/", {}, b"{}")
    assert not outcome.is_taken
    assert outcome.problem.endswith("is not a public address")
    assert receiver.tries == []


async def test_what_a_receiver_says_is_kept_short_and_plain() -> None:
    async def rude(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="a\r\nb\x1b[31m\u202e" + "x" * 5_000)

    async with Receiver(answer=rude) as receiver, poster() as sender:
        problem = (await sender.post(receiver.url, {}, b"{}")).problem
    assert problem.startswith("answered 500: a b [31m x")
    assert len(problem) == 300
