"""The line to NATS: what it says of a failure holds no password, and it never gives up."""

import asyncio
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from core.nats import line
from core.nats.line import Line
from holdfast.redact import redacted
from tests.bridge.upstream.test_channel import write_certificate
from tests.fakes.nats import Nats
from tests.fakes.port import free_port
from tests.fakes.wait import running, until

pytestmark = pytest.mark.nats

LIMIT_S = 10.0
SECRET = "s3cr3t/@:word"
PIECES = (SECRET, "s3cr3t", "word")


@pytest.mark.parametrize("login", [("holdfast", SECRET), (SECRET, "")], ids=["password", "token"])
async def test_a_login_is_used_and_never_told(
    login: tuple[str, str], nats_server: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    locked = Nats(login=login[0], password=login[1])
    await locked.start()
    try:
        right, wrong = Line(locked.url), Line(locked.url.replace("s3cr3t", "s3cr3t-wrong"))
        async with running(right.run()), running(wrong.run()):
            await until(lambda: right.is_up)
            await until(lambda: "Authorization Violation" in wrong.problem)
            await locked.kill()
            await until(lambda: "Connect call failed" in wrong.problem and right.problem)
            said = caplog.text + repr(caplog.records) + right.problem + wrong.problem
        assert not [piece for piece in PIECES if piece in said]
    finally:
        await locked.close()


async def test_a_login_goes_over_tls_where_the_address_asks_for_it(
    nats_server: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path)
    server = Nats(login="holdfast", password=SECRET, certificate=certificate)
    await server.start()
    try:
        stranger = Line(server.url)
        async with running(stranger.run()):
            await until(lambda: "certificate verify failed" in stranger.problem)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        for scheme in ("tls://", "nats://"):
            kept = Line(server.url.replace("tls://", scheme))
            async with running(kept.run()):
                await until(lambda: kept.is_up)  # noqa: B023
    finally:
        await server.close()


async def test_a_login_is_not_told_to_a_server_without_tls() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","headers":true}\r\n')
        while chunk := await reader.read(1_000):
            heard.extend(chunk)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for scheme, is_told in (("tls", False), ("nats", True)):
            kept = Line(f"{scheme}://holdfast:{quote(SECRET, safe='')}@127.0.0.1:{port}")
            async with running(kept.run()):
                await until(lambda: kept.problem)  # noqa: B023
            assert (b"CONNECT" in heard) is is_told
            assert ("offers no TLS" in kept.problem) is not is_told


def test_the_log_takes_logins_out_of_addresses() -> None:
    for who in ("holdfast:s3cr3t", "s3cr3t", ":s3cr3t", "s3cr3t:"):
        assert "s3cr3t" not in redacted(f"cannot reach nats://{who}@nats.example:4222 now")
    assert "nats.example:4222" in redacted("at nats://s3cr3t@nats.example:4222")
    assert redacted("at nats://nats.example:4222/ for a@b.example") == (
        "at nats://nats.example:4222/ for a@b.example"
    )


async def test_of_several_servers_one_that_answers_is_enough(nats_server: Nats) -> None:
    lines = Line(f"nats://127.0.0.1:{free_port()}, {nats_server.url}")
    async with running(lines.run()):
        await until(lambda: lines.is_up)


async def test_a_connection_that_is_dropped_is_not_handed_out_again(nats_server: Nats) -> None:
    kept = Line(nats_server.url)
    async with running(kept.run()):
        first = await kept.client()
        kept.drop(first, ValueError("it is broken"))
        assert kept.problem == "it is broken"
        second = await kept.client()
        assert second is not first
        assert kept.problem == ""
        # An old connection that fails late says nothing of the new one.
        kept.drop(first, ValueError("it is broken"))
        assert kept.is_up


async def test_a_connection_that_has_just_ended_is_not_handed_out(nats_server: Nats) -> None:
    kept = Line(nats_server.url)
    async with running(kept.run()):
        first = await kept.client()
        # As it is while it ends, before it tells anybody.
        first._status = first.CLOSED
        async with asyncio.timeout(LIMIT_S):
            second = await kept.client()
        assert second is not first


async def test_the_end_waits_for_no_silent_server(
    nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Line(nats_server.url)
    task = asyncio.create_task(kept.run())
    client = await kept.client()
    nats_server.pause()
    await client.publish("holdfast.test", b"x" * 500_000)
    async with asyncio.timeout(line.CLOSE_S + 1.0):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
