"""The interceptor, from outside: who passes, and how an error looks."""

from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_service_pb2 as escrows
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core.server import SERVICES
from tests.core.counter import LIMIT_S, UNARY, Counter, Failed, token


@pytest.mark.parametrize("name", UNARY)
async def test_no_call_passes_without_a_token(lite: Counter, name: str) -> None:
    for bearer, reason in (
        (None, "TOKEN_MISSING"),
        ("nonsense", "TOKEN_INVALID"),
        (token("alice", exp=1), "TOKEN_EXPIRED"),
    ):
        with pytest.raises(Failed) as failed:
            await lite.send(name, b"", bearer)
        assert (failed.value.code, failed.value.reason) == ("UNAUTHENTICATED", reason)


async def test_a_watcher_needs_a_token_too(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        async for _ in lite.watch(escrows.WatchEscrowRequest(), "nonsense"):
            pass
    assert failed.value.reason == "TOKEN_INVALID"


async def test_an_error_carries_reason_domain_fields_and_advice(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(escrows.GetEscrowRequest())
    error = failed.value
    assert (error.code, error.reason, error.domain) == (
        "INVALID_ARGUMENT",
        "FIELD_INVALID",
        "holdfast",
    )
    assert (error.fields, error.retry) == ({"escrow_id": "must be given"}, "false")


async def test_a_malformed_request_of_nobody_is_unauthenticated_first(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        await lite.send("CreateEscrow", b"\xff\xff", None)
    assert failed.value.reason == "TOKEN_MISSING"


async def test_a_call_that_does_not_exist_is_unimplemented(lite: Counter) -> None:
    call: Any = lite.channel.unary_unary(f"/{SERVICES[0]}/BurnEscrow")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(b"", timeout=LIMIT_S)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_bytes_that_an_open_call_cannot_read_are_refused_without_a_word_in_the_log(
    lite: Counter, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    stream: Any = lite.channel.stream_stream(method)
    call = stream(iter([b"\xff\xff"]), timeout=LIMIT_S)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not caplog.records


async def test_a_mistake_of_ours_tells_nothing_of_the_inside(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(escrow_id: str) -> None:
        raise RuntimeError("the password is swordfish")

    escrow = await lite.create()
    monkeypatch.setattr(lite.core.rooms.store, "escrow", broken)
    with pytest.raises(Failed) as failed:
        await lite.call(escrows.GetEscrowRequest(escrow_id=escrow.escrow_id))
    assert "swordfish" not in failed.value.message
    assert failed.value.code not in ("UNKNOWN", "OK")


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_needs_no_token(lite: Counter, service: str) -> None:
    answer = await health_pb2_grpc.HealthStub(lite.channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S
    )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
