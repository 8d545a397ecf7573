"""A key server that is away, lies or attacks: who was believed stays believed, nobody is lost."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from holdfast import keys
from holdfast.tokens import KeysUnavailable, TokenRefused, Verifier

OLD, NEW = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
DAY_S = 24 * 3_600.0

Answering = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


def published(**named: ed25519.Ed25519PrivateKey) -> bytes:
    listed = [
        {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
        for kid, key in named.items()
    ]
    return json.dumps({"keys": listed}).encode()


def signed(key: ed25519.Ed25519PrivateKey, kid: str | None, **claims: Any) -> str:
    body = {"sub": "buyer", "exp": time.time() + 2 * DAY_S, **claims}
    return jwt.encode(body, key, "EdDSA", headers={"kid": kid} if kid else None)


def plain(body: bytes, head: str = "200 OK", *extra: str) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {head}", f"Content-Length: {len(body)}", "Connection: close", *extra]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    for _ in range(600):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def flood(writer: asyncio.StreamWriter) -> None:
    """300 MB, of which nobody should want more than the first."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 314572800\r\n\r\n")
    for _ in range(300):
        writer.write(b"x" * (1 << 20))
        await writer.drain()


WRONG: dict[str, Answering] = {
    "an error": plain(b"", "500 Internal Server Error"),
    "not found": plain(published(old=OLD), "404 Not Found"),
    "a page": plain(b"<html>maintenance</html>"),
    "no keys": plain(b'{"keys":[]}'),
    "only a secret": plain(b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"old"}]}'),
    "broken keys": plain(b'{"keys":[{"kty":"RSA","kid":"old"},7,null,{"kty":[]}]}'),
    "a list": plain(b"[1]"),
    "deep": plain(b"[" * 200_000),
    "not UTF-8": plain(b"\xff\xfe\x00"),
    "compressed": plain(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"),
    "a redirect in a circle": plain(b"", "302 Found", "Location: /again"),
    "a redirect elsewhere": plain(b"", "302 Found", "Location: file:///etc/passwd"),
    "a reset": reset,
    "a hanging server": hang,
    "a dripping body": drip,
    "300 MB": flood,
}


class Server:
    """A key server whose next answers a test chooses."""

    def __init__(self) -> None:
        self.answer: Answering = plain(published(old=OLD))
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await reader.readuntil(b"\r\n\r\n")
            answering = asyncio.create_task(self.answer(writer))
            hung_up = asyncio.create_task(reader.read())
            await asyncio.wait({answering, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            for task in (answering, hung_up):
                task.cancel()
            await asyncio.gather(answering, hung_up, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.at_once -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class Clock:
    """A monotonic clock that a test moves; it goes on by itself, too."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    listening = await asyncio.start_server(serving.serve, "127.0.0.1", 0)
    serving.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/jwks"
    yield serving
    listening.close()
    # Not wait_closed: it would wait for a peer that hangs on purpose.


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def verifier(server: Server, clock: Clock) -> AsyncIterator[Verifier]:
    verifying = Verifier(secret=None, jwks_url=server.url, clock_s=clock)
    yield verifying
    await verifying.close()


async def fetched(verifier: Verifier) -> None:
    """Wait for the fetch that is under way."""
    assert verifier.keys is not None
    if verifier.keys._fetching is not None:
        await asyncio.wait({verifier.keys._fetching})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_S", 0.5)


@pytest.mark.parametrize("kind", WRONG)
async def test_whoever_was_believed_stays_believed(
    server: Server, clock: Clock, verifier: Verifier, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    known, fresh = signed(OLD, "old"), signed(OLD, "old", jti="another")
    assert (await verifier.verify(known)).user_id == "buyer"
    server.answer = WRONG[kind]
    for passed_s in (keys.REFRESH_S + 1, 3_600.0, 12 * 3_600.0):
        clock.ahead_s += passed_s
        # The fetch goes on beside it: nobody waits for a server that is away.
        began = time.monotonic()
        assert (await verifier.verify(known)).user_id == "buyer"
        assert (await verifier.verify(fresh)).user_id == "buyer"
        assert time.monotonic() - began < keys.FETCH_S
        await fetched(verifier)
        assert verifier.keys is not None
        assert verifier.keys.problem
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1, "said once, however long it lasts"
    server.answer = plain(published(old=OLD))
    clock.ahead_s += keys.REFRESH_S + 1
    await verifier.verify(known)
    await fetched(verifier)
    assert verifier.keys is not None
    assert not verifier.keys.problem
    assert server.most_at_once == 1


@pytest.mark.parametrize("kind", WRONG)
async def test_without_any_keys_the_answer_is_that_nobody_knows(
    server: Server, clock: Clock, verifier: Verifier, kind: str
) -> None:
    server.answer = WRONG[kind]
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(signed(OLD, "old"))
    server.answer = plain(published(old=OLD))
    clock.ahead_s += keys.COOLDOWN_S
    assert (await verifier.verify(signed(OLD, "old"))).user_id == "buyer"


async def test_after_a_day_without_their_server_keys_are_good_no_more(
    server: Server, clock: Clock, verifier: Verifier
) -> None:
    known = signed(OLD, "old")
    await verifier.verify(known)
    server.answer = reset
    clock.ahead_s += DAY_S + 1
    with pytest.raises(KeysUnavailable):
        await verifier.verify(known)


async def test_a_key_that_was_withdrawn_is_believed_no_more(
    server: Server, clock: Clock, verifier: Verifier
) -> None:
    known = signed(OLD, "old")
    await verifier.verify(known)
    server.answer = plain(published(new=NEW))
    clock.ahead_s += keys.REFRESH_S + 1
    await verifier.verify(known)
    await fetched(verifier)
    clock.ahead_s += keys.COOLDOWN_S
    with pytest.raises(TokenRefused):
        await verifier.verify(known)


async def test_a_new_key_is_asked_for_at_once(
    server: Server, clock: Clock, verifier: Verifier
) -> None:
    await verifier.verify(signed(OLD, "old"))
    server.answer = plain(published(old=OLD, new=NEW))
    clock.ahead_s += keys.COOLDOWN_S
    assert (await verifier.verify(signed(NEW, "new"))).user_id == "buyer"


async def test_a_token_that_is_newer_than_the_keys_waits_for_the_next_fetch(
    server: Server, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key may have been published since, and whoever is refused is logged out for good."""
    monkeypatch.setattr(keys, "COOLDOWN_S", 0.2)
    await verifier.verify(signed(OLD, "old"))
    server.answer = plain(published(old=OLD, new=NEW))
    token = signed(NEW, "new", iat=int(time.time()))
    assert (await verifier.verify(token)).user_id == "buyer"


async def test_names_that_nobody_publishes_are_asked_for_once_in_a_while(
    server: Server, clock: Clock, verifier: Verifier
) -> None:
    await verifier.verify(signed(OLD, "old"))

    async def refused(kid: str) -> None:
        with pytest.raises(TokenRefused):
            await verifier.verify(signed(NEW, kid))

    clock.ahead_s += keys.COOLDOWN_S
    await asyncio.gather(*(refused(f"kid-{number}") for number in range(100)))
    assert server.asked == 2


async def test_a_name_that_may_be_new_is_never_called_invalid_while_the_server_is_away(
    server: Server, clock: Clock, verifier: Verifier
) -> None:
    await verifier.verify(signed(OLD, "old"))
    server.answer = reset
    clock.ahead_s += keys.COOLDOWN_S
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(signed(NEW, "new"))
    assert (await verifier.verify(signed(OLD, "old"))).user_id == "buyer"


async def test_many_tokens_at_a_cold_start_share_one_fetch(
    server: Server, verifier: Verifier
) -> None:
    tokens = [signed(OLD, "old", jti=str(number)) for number in range(50)]
    await asyncio.gather(*(verifier.verify(token) for token in tokens))
    assert server.asked == 1


async def test_a_large_answer_is_not_read_to_its_end(server: Server, verifier: Verifier) -> None:
    server.answer = flood
    with pytest.raises(KeysUnavailable, match="larger than"):
        await verifier.verify(signed(OLD, "old"))
