"""Core's port as strangers meet it: connections that say nothing end, streams do not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from escrow.v1 import escrow_service_pb2 as escrows

from core import server
from tests.core.counter import Counter, open_counter, token
from tests.fakes.wait import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
SHORT = {"grpc.server_handshake_timeout_ms": 700, "grpc.max_connection_idle_ms": 1_200}


@pytest.fixture
async def hasty(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    """A core whose patience with connections is shorter."""
    assert dict(server.OPTIONS).keys() >= SHORT.keys()
    options = [(name, SHORT.get(name, value)) for name, value in server.OPTIONS]
    monkeypatch.setattr(server, "OPTIONS", options)
    async with open_counter(sqlite_url) as opened:
        yield opened


async def test_connections_without_a_call_end_and_a_watcher_stays(hasty: Counter) -> None:
    escrow = await hasty.create()
    request = escrows.WatchEscrowRequest(escrow_id=escrow.escrow_id)
    stream: Any = hasty.watch(request, token("buyer-1"))
    assert (await anext(stream)).HasField("snapshot")
    opened = []
    for wire in (b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS):
        reader, writer = await asyncio.open_connection("127.0.0.1", hasty.core.port)
        writer.write(wire)
        opened.append((asyncio.create_task(reader.read()), writer))
    await until(lambda: all(reading.done() for reading, _ in opened), limit_s=15)
    for _, writer in opened:
        writer.transport.abort()
    await hasty.call(
        escrows.PublishUpdateRequest(escrow_id=escrow.escrow_id, event_type="parcel_sent"),
        "service-1",
        "service",
    )
    assert (await anext(stream)).event.version == 2
    await stream.aclose()


async def test_an_idle_client_is_served_again_without_noticing(hasty: Counter) -> None:
    escrow = await hasty.create()
    await asyncio.sleep(2.5)  # Longer than an idle connection is kept.
    request = escrows.GetEscrowRequest(escrow_id=escrow.escrow_id)
    assert (await hasty.call(request)).escrow.escrow_id == escrow.escrow_id
