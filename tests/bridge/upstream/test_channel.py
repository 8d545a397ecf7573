"""The channel to core: several addresses, failover, TLS."""

import contextlib
import datetime
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

from bridge.limits import Limits
from bridge.upstream.channel import Talk, Upstream
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError
from holdfast.tokens import Identity
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import SECRET, token
from tests.fakes.core import FakeCore, fake_core
from tests.fakes.wait import until


async def test_several_addresses_are_balanced(pair: list[FakeCore]) -> None:
    opened = Core(tuple(core.address for core in pair), "x", Limits())
    await until(lambda: all(endpoint.ready for endpoint in opened.endpoints))
    buyer = Identity("buyer", ("user",), 9e9, token())
    for number in range(20):
        await pair[0].create(f"e{number}")
        await opened.get_escrow_as(buyer, f"e{number}")
    await opened.close()
    calls = Counter({place: core.calls["GetEscrow"] for place, core in enumerate(pair)})
    assert calls.total() == 20
    assert min(calls.values()) >= 5


async def test_when_one_address_goes_the_other_takes_over(
    start_bridge: StartBridge, pair: list[FakeCore]
) -> None:
    bridge = await start_bridge({"core_address": tuple(core.address for core in pair)})
    await pair[0].create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await until(lambda: pair[0].watching + pair[1].watching)
        used = pair[0] if pair[0].watching else pair[1]
        other = pair[1] if used is pair[0] else pair[0]
        await used.stop()
        await other.append("e1")
        assert await browser.versions(1) == [2]
        assert (await browser.ask("unsubscribe", escrow_id="e1"))["type"] == "unsubscribed"
        assert (await browser.subscribe("e1"))["version"] == 2


async def test_a_refusal_carries_cores_reason(core: FakeCore) -> None:
    core.refusals["GetEscrow"] = (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATUS")
    opened = Core((core.address,), "x", Limits())
    with pytest.raises(CoreError) as refused:
        await opened.get_escrow_as(Identity("buyer", ("user",), 9e9, token()), "e1")
    await opened.close()
    assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "WRONG_STATUS")
    assert not refused.value.away


async def test_without_a_core_a_call_is_unavailable_after_the_wait() -> None:
    opened = Core(("localhost:1",), "x", Limits(core_wait_s=0.1))
    with pytest.raises(CoreError) as refused:
        await opened.get_escrow_as(Identity("buyer", ("user",), 9e9, token()), "e1")
    await opened.close()
    assert refused.value.away
    assert not opened.connected


async def test_a_call_that_ends_while_it_is_sent_is_no_fault_of_core() -> None:
    refuse = refusing(grpc.StatusCode.FAILED_PRECONDITION, "No more files.")
    async with one_method(grpc.stream_unary_rpc_method_handler(refuse)) as upstream:
        said: Counter[str] = Counter()
        for _ in range(300):
            with pytest.raises(CoreError) as refused:
                await upstream.send(METHOD, slices(), Empty, token="", timeout_s=10)
            said[refused.value.code] += 1
    # gRPC forgets the status now and then; never may what can be tried again look like a fault.
    assert set(said) <= {"FAILED_PRECONDITION", "UNAVAILABLE"}
    assert said["FAILED_PRECONDITION"] > 200


async def test_a_stream_that_ends_while_it_is_written_to_is_no_fault_of_core() -> None:
    refuse = refusing(grpc.StatusCode.UNAUTHENTICATED, "Log in again.")
    async with one_method(grpc.stream_stream_rpc_method_handler(refuse)) as upstream:
        said: Counter[str] = Counter()
        for _ in range(300):
            async with upstream.talk(
                upstream.endpoints[0], METHOD, StringValue, Empty, token=""
            ) as talk:
                with pytest.raises(CoreError) as failed:
                    await say_all(talk)
                with pytest.raises(CoreError) as refused:
                    await talk.hear(10)
            said.update({failed.value.code, refused.value.code})
    assert set(said) == {"UNAUTHENTICATED", "UNAVAILABLE"}


METHOD = "/test.Service/Method"


def refusing(code: grpc.StatusCode, message: str) -> Callable[[Any, Any], Awaitable[None]]:
    """A method that refuses as soon as it has read the first message."""

    async def refuse(requests: Any, context: Any) -> None:
        await anext(requests)
        await context.abort(code, message)

    return refuse


@contextlib.asynccontextmanager
async def one_method(handler: Any) -> AsyncIterator[Upstream]:
    """A server of one method, and a client of it."""
    server = grpc.aio.server()
    _, service, name = METHOD.split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: handler}),)
    )
    port = server.add_insecure_port("localhost:0")
    await server.start()
    upstream = Upstream((f"localhost:{port}",), Limits())
    await until(lambda: upstream.connected)
    yield upstream
    await upstream.close()
    await server.stop(None)


async def slices() -> AsyncIterator[StringValue]:
    while True:
        yield StringValue(value="x" * 5_000)


async def say_all(talk: Talk[StringValue, Empty]) -> None:
    async for piece in slices():
        await talk.say(piece)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


@pytest.mark.parametrize("mutual", [False, True])
async def test_core_is_reached_over_tls_and_mutual_tls(
    start_bridge: StartBridge, tmp_path: Path, mutual: bool
) -> None:
    cert, key = write_certificate(tmp_path)
    pem = cert.read_bytes()
    core = fake_core(SECRET)
    core.credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), pem)],
        root_certificates=pem if mutual else None,
        require_client_auth=mutual,
    )
    await core.start()
    await core.create("e1")
    changed = {
        "core_address": (core.address,),
        "grpc_tls_cert": cert,
        "grpc_tls_key": key,
        "grpc_tls_client_ca": cert if mutual else None,
    }
    bridge = await start_bridge(changed)
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.append("e1")
        assert await browser.versions(1) == [2]
    await core.stop()
