"""The webhook endpoint: which answers make Razorpay send a webhook again."""

import asyncio
from io import BytesIO
from typing import Any

import grpc
import pytest
from escrow.v1 import payment_service_pb2 as payments

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge
from tests.fakes.core import FakeCore
from tests.fakes.wire import raw

HEADERS = {"X-Razorpay-Signature": "abc", "X-Razorpay-Event-Id": "evt_1"}


async def deliver(
    bridge: Bridge, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    url = bridge.url + "/api/v1/webhooks/razorpay"
    headers = HEADERS if headers is None else headers
    async with bridge.http.post(url, data=BytesIO(body), headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("outcome", ["applied", "duplicate", "ignored"])
async def test_each_outcome_is_answered_200(bridge: Bridge, core: FakeCore, outcome: str) -> None:
    core.outcome = payments.WebhookOutcome.Value(f"WEBHOOK_OUTCOME_{outcome.upper()}")
    assert await deliver(bridge) == (200, {"outcome": outcome})
    assert await bridge.metric(f'holdfast_bridge_webhooks_total{{outcome="{outcome}"}}') == 1


async def test_core_gets_exactly_the_bytes_that_were_sent(bridge: Bridge, core: FakeCore) -> None:
    body = b'{ "a": 1.50,\n\t"b": "\xff\x00" }'
    await deliver(bridge, body)
    taken = core.webhooks[0]
    assert (taken.body, taken.signature, taken.event_id) == (body, "abc", "evt_1")


async def test_the_event_id_may_be_missing(bridge: Bridge, core: FakeCore) -> None:
    assert (await deliver(bridge, headers={"X-Razorpay-Signature": "abc"}))[0] == 200
    assert core.webhooks[0].event_id == ""


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Razorpay-Signature": ""}, {"X-Razorpay-Signature": "ä"}],
)
async def test_without_a_signature_it_is_400_and_core_is_not_asked(
    bridge: Bridge, core: FakeCore, headers: dict[str, str]
) -> None:
    status, answer = await deliver(bridge, headers=headers)
    assert (status, answer["error"]["reason"]) == (400, "SIGNATURE_INVALID")
    assert not core.webhooks


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "SIGNATURE_INVALID", 400),
        (grpc.StatusCode.PERMISSION_DENIED, "SIGNATURE_INVALID", 400),
        (grpc.StatusCode.INVALID_ARGUMENT, "WEBHOOK_MALFORMED", 400),
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", 503),
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", 503),
        (grpc.StatusCode.INTERNAL, "", 503),
    ],
)
async def test_a_final_refusal_is_400_and_everything_else_503(
    start_bridge: StartBridge, core: FakeCore, code: grpc.StatusCode, reason: str, status: int
) -> None:
    bridge = await start_bridge(webhook_s=1)
    core.refusals["IngestWebhook"] = (code, reason)
    assert (await deliver(bridge))[0] == status


async def test_while_core_is_away_it_is_503(start_bridge: StartBridge, core: FakeCore) -> None:
    bridge = await start_bridge(webhook_s=1)
    await core.stop()
    status, answer = await deliver(bridge)
    assert (status, answer["error"]["code"]) == (503, "UNAVAILABLE")


async def test_1_mib_is_taken_and_one_more_byte_is_413(bridge: Bridge, core: FakeCore) -> None:
    assert (await deliver(bridge, b"x" * 1024 * 1024))[0] == 200
    assert len(core.webhooks[0].body) == 1024 * 1024
    assert (await deliver(bridge, b"x" * (1024 * 1024 + 1)))[0] == 413
    assert (await deliver(bridge, b"x" * (3 * 1024 * 1024)))[0] == 413


async def test_a_delivery_above_the_limit_is_503(start_bridge: StartBridge, core: FakeCore) -> None:
    bridge = await start_bridge(webhooks=0)
    assert (await deliver(bridge))[0] == 503
    assert not core.webhooks


async def test_a_body_that_cannot_be_read_is_400(bridge: Bridge, core: FakeCore) -> None:
    wire = b"POST /api/v1/webhooks/razorpay HTTP/1.1\r\nHost: x\r\nX-Razorpay-Signature: 0\r\n"
    wire += b"Transfer-Encoding: chunked\r\n\r\n"
    reply = await raw(bridge, wire, then=b"no chunk\r\n\r\n")
    assert (reply.status, reply.error["reason"]) == (400, "WEBHOOK_MALFORMED")
    assert not core.webhooks


async def test_a_compressed_body_is_415(bridge: Bridge, core: FakeCore) -> None:
    status, answer = await deliver(bridge, b"rubbish", {**HEADERS, "Content-Encoding": "gzip"})
    assert (status, answer["error"]["reason"]) == (415, "CODING_UNSUPPORTED")
    assert not core.webhooks


async def test_a_delivery_waits_for_its_body_without_a_slot(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(webhooks=1, webhook_body_s=0.5)
    head = b"POST /api/v1/webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    slow = [asyncio.create_task(raw(bridge, head + b"[")) for _ in range(20)]
    assert (await deliver(bridge))[0] == 200
    for reply in await asyncio.gather(*slow):
        assert (reply.status, reply.error["reason"]) == (408, "BODY_TOO_SLOW")
