"""Core's port as strangers meet it: connections that say nothing end, streams do not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import feed_service_pb2 as feed
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core import server
from tests.core.counter import Counter, Failed, open_counter, token
from tests.fakes.wait import until

WATCH_ESCROW = "escrow.v1.EscrowService/WatchEscrow"
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


async def read_to_the_end(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_server_that_goes_ends_every_stream_itself_and_says_why(sqlite_url: str) -> None:
    """Else the core would wait for it as long as for a call under way, and then cut it."""
    bearer = [("authorization", f"Bearer {token('bridge', 'service')}")]
    async with open_counter(sqlite_url) as counter:
        escrow_id = (await counter.create()).escrow_id
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{counter.core.port}")
        streams: list[Any] = [
            channel.unary_stream(f"/{path}", request_serializer=type(request).SerializeToString)(
                request, metadata=bearer
            )
            for path, request in (
                (WATCH_ESCROW, escrows.WatchEscrowRequest(escrow_id=escrow_id)),
                (WATCH_ESCROW, escrows.WatchEscrowRequest(user_id="buyer-1")),
                ("escrow.v1.FeedService/WatchEvents", feed.WatchEventsRequest()),
                ("escrow.v1.AdminService/WatchRevocations", admin.WatchRevocationsRequest()),
                ("grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest()),
            )
        ]
        for stream in streams:
            await stream.read()
    reasons = []
    for stream in streams:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read_to_the_end(stream)
        reasons.append(Failed(ended.value).reason)
    assert reasons == ["SHUTTING_DOWN"] * len(streams)
    await channel.close()


async def test_who_watches_health_hears_of_the_end_before_it_comes(sqlite_url: str) -> None:
    async with open_counter(sqlite_url) as counter:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{counter.core.port}")
        health = health_pb2_grpc.HealthStub(channel)
        watches = [
            health.Watch(health_pb2.HealthCheckRequest(service=name))
            for name in ("", "escrow.v1.EscrowService", "no.such.Thing")
        ]
        firsts = [(await watch.read()).status for watch in watches]
    status = health_pb2.HealthCheckResponse
    assert firsts == [status.SERVING, status.SERVING, status.SERVICE_UNKNOWN]
    assert [(await w.read()).status for w in watches[:2]] == [status.NOT_SERVING] * 2
    await channel.close()
