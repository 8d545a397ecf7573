"""Core as an operator sees it: reflection, health, a port in use, wrong settings, the drain."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.fakes.deal import Deal
from tests.fakes.process import Process
from tests.fakes.stack import Client, Port, Stack
from tests.fakes.wait import until

_NAMES = ("Admin", "Attachment", "Escrow", "Feed", "Ledger", "Payment", "Profile", "Webhook")
SERVICES = [f"escrow.v1.{name}Service" for name in _NAMES]
DRAIN_LIMIT_S = 8.0
GRPCURL_LIMIT_S = 30.0


@pytest.fixture
async def spare(stack: Stack, tmp_path: Path) -> AsyncIterator[tuple[Process, str]]:
    """A ready core for this test alone, and its address."""
    port = Port()
    url = f"sqlite+aiosqlite:///{tmp_path / 'spare.db'}"
    name, env = f"spare-{port.number}", {"CORE_LISTEN": port.address, "DATABASE_URL": url}
    core = stack.another_core(name, is_executed=True, **env)
    core.spawn()
    try:
        async with grpc.aio.insecure_channel(port.address) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30
            )
        yield core, port.address
    finally:
        core.kill()
        port.give_back()


async def ask_reflection(client: Client, version: str, **asked: str) -> Any:
    """Ask a version of reflection. v1 has the messages of v1alpha under another name."""
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    method: Any = client.channel.stream_stream(
        path,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = method(iter([reflection_pb2.ServerReflectionRequest(**asked)]), timeout=10)
    answers = [answer async for answer in call]
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_describes_every_service(client: Client, version: str) -> None:
    listed = await ask_reflection(client, version, list_services="")
    names = [service.name for service in listed.list_services_response.service]
    assert sorted(name for name in names if name.startswith("escrow.")) == SERVICES
    for name in names:
        answer = await ask_reflection(client, version, file_containing_symbol=name)
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(raw)
            for raw in answer.file_descriptor_response.file_descriptor_proto
        ]
        found = [f"{f.package}.{s.name}" for f in files for s in f.service]
        assert name in found
    method = "escrow.v1.EscrowService.CreateEscrow"
    answer = await ask_reflection(client, version, file_containing_symbol=method)
    assert answer.file_descriptor_response.file_descriptor_proto, "grpcurl describes methods too"
    unknown = await ask_reflection(client, version, file_containing_symbol="no.such.Thing")
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_grpcurl_works_without_a_proto_file(client: Client, deal: Deal) -> None:
    own = Path.home() / "go" / "bin" / "grpcurl"
    program = shutil.which("grpcurl") or (str(own) if own.exists() else None)
    if program is None:
        pytest.skip(
            "grpcurl is not installed: "
            "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
        )

    async def grpcurl(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(program, "-plaintext", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(GRPCURL_LIMIT_S):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    address = client.stack.core_address
    listed = await grpcurl(address, "list")
    assert set(SERVICES) <= set(listed.split())
    assert "rpc WatchEscrow" in await grpcurl(address, "describe", "escrow.v1.EscrowService")
    bearer = ["-H", f"authorization: Bearer {deal.buyer.token}"]
    body = json.dumps(deal.terms())
    made = json.loads(
        await grpcurl(*bearer, "-d", body, address, "escrow.v1.EscrowService/CreateEscrow")
    )
    # Reflection may leave out the JSON names.
    deal.escrow_id = made["escrow"].get("escrow_id") or made["escrow"]["escrowId"]
    assert (await deal.get()).version == 1


async def test_health_is_reported_for_each_service(client: Client) -> None:
    health = health_pb2_grpc.HealthStub(client.channel)
    for name in ["", *SERVICES]:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await health.Check(health_pb2.HealthCheckRequest(service="no.such.Thing"), timeout=10)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_can_be_watched(client: Client) -> None:
    watching = health_pb2_grpc.HealthStub(client.channel).Watch(
        health_pb2.HealthCheckRequest(), timeout=10
    )
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    watching.cancel()


async def test_a_second_core_on_the_same_port_says_so_and_ends(
    client: Client, stack: Stack
) -> None:
    second = stack.another_core("second", is_executed=True)
    second.spawn()
    assert await second.exit_code() == 2
    assert stack.core_address in second.lines
    assert "Traceback" not in second.lines
    assert list((await client.caller("anyone").call("ListEscrows")).escrows) == []


async def test_one_message_names_all_wrong_settings_and_no_secret(stack: Stack) -> None:
    wrong = {
        "JWT_SECRET": "short",
        "JWT_SECRTE": "x",
        "DATABASE_URL": "mysql://x",
        "LOG_FORMAT": "xml",
    }
    core = stack.another_core("mistaken", is_executed=True, **wrong)
    core.spawn()
    assert await core.exit_code() == 2
    for name in wrong:
        assert name in core.lines
    assert "short" not in core.lines
    assert "Traceback" not in core.lines


async def test_core_drains_within_seconds_and_ends_with_0(
    stack: Stack, spare: tuple[Process, str]
) -> None:
    core, address = spare
    async with grpc.aio.insecure_channel(address) as channel:
        client = Client(stack, channel, None, None, "drain")  # type: ignore[arg-type]
        deal = Deal(client)
        await deal.agree()
        seen: list[Any] = []
        watching = asyncio.create_task(deal.buyer.follow(deal.escrow_id, seen))
        await until(lambda: seen)
        core.terminate()
        assert await core.exit_code(DRAIN_LIMIT_S) == 0
        refusal = await watching
    assert (len(seen), refusal.code) == (1, "UNAVAILABLE")
    assert "Traceback" not in core.lines


async def test_the_next_core_knows_everything_that_a_drained_one_knew(
    stack: Stack, spare: tuple[Process, str]
) -> None:
    core, address = spare
    options = (("grpc.max_reconnect_backoff_ms", 200), ("grpc.use_local_subchannel_pool", 1))
    async with grpc.aio.insecure_channel(address, options) as channel:
        deal = Deal(Client(stack, channel, None, None, "again"))  # type: ignore[arg-type]
        escrow = await deal.agree()
    core.terminate()
    assert await core.exit_code(DRAIN_LIMIT_S) == 0
    core.spawn()
    async with grpc.aio.insecure_channel(address, options) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30
        )
        deal.buyer = Client(stack, channel, None, None, "again").with_token(  # type: ignore[arg-type]
            deal.buyer.token, deal.buyer.user_id
        )
        assert await deal.get() == escrow
