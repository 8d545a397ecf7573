"""Attacks on a bridge, each beside another user who must not notice."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.edge.beside import Others, attacked
from tests.fakes.stack import Client, Stack, token
from tests.fakes.viewer import Viewer
from tests.fakes.wait import until

pytestmark = [pytest.mark.timeout(120)]

Record = Callable[[Others, Any], None]
SECONDS = 2.0
# A bridge that holds its loop, or has no place for others, is far beyond this.
BOUND_S = 2.5


def lines_since(stack: Stack, before: str) -> str:
    return stack.bridge.lines[len(before) :]


async def webhook_is_taken(client: Client) -> None:
    body = json.dumps({"event": "subscription.charged", "payload": {}}).encode()
    status, told = await client.webhook(body)
    assert status == 200, told


async def call_is_answered(client: Client, who: str = "other") -> None:
    headers = {"Authorization": f"Bearer {client.caller(who).token}"}
    url = f"{client.stack.bridge_url}/api/v1/escrows"
    async with client.http.get(url, headers=headers) as answer:
        assert answer.status == 200
    async with client.http.post(url, headers=headers, json={}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("silence", 1_100),
        ("half_heads", 300),
        ("gzip_bombs", 8),
        ("large_bodies", 16),
        ("bad_tokens", 20),
        ("rubbish", 8),
    ],
)
async def test_others_are_served_beside(
    name: str, count: int, client: Client, others: Others, record: Record
) -> None:
    before = client.stack.bridge.lines
    mallory = client.caller("mallory").token
    async with others:
        seen = await attacked(name, others.url, mallory, seconds=SECONDS, count=count)
    record(others, seen)
    assert seen.get("opened", 0) >= count
    assert others.worst_s < BOUND_S
    await call_is_answered(client)
    await webhook_is_taken(client)
    said = lines_since(client.stack, before)
    assert len(said) < 100_000
    assert "Traceback" not in said
    assert mallory[:40] not in said
    assert mallory[-20:] not in said


async def test_bodies_that_do_not_come_hold_no_place_of_a_webhook(
    client: Client, others: Others, record: Record
) -> None:
    async with others:
        attack = asyncio.create_task(
            attacked("withheld_webhooks", others.url, seconds=SECONDS, count=1_100)
        )
        while not attack.done():
            await webhook_is_taken(client)
            await asyncio.sleep(0.05)
    record(others, await attack)
    assert others.worst_s < BOUND_S


async def test_slow_bodies_of_one_user_hold_no_place_of_the_api(
    client: Client, others: Others, record: Record
) -> None:
    mallory = client.caller("mallory").token
    async with others:
        attack = asyncio.create_task(
            attacked("withheld_calls", others.url, mallory, seconds=SECONDS, count=2_060)
        )
        while not attack.done():
            await call_is_answered(client)
            await asyncio.sleep(0.05)
    seen = await attack
    record(others, seen)
    assert others.worst_s < BOUND_S
    # Its own share, and no more.
    assert seen["429"] >= 1_900


async def test_a_flood_of_frames_on_ten_sockets_delays_nobody(
    client: Client, others: Others, record: Record
) -> None:
    closes = 'holdfast_bridge_closes_total{code="4429"}'
    mallory = client.caller("mallory").token
    before = await metric(client, closes)
    async with others:
        seen = await attacked("floods", others.url, mallory, seconds=SECONDS, count=10)
    record(others, seen)
    assert others.worst_s < BOUND_S
    assert await metric(client, closes) >= before + 10
    # Each was closed once, and waited for the next handshake.
    assert seen["handshakes"] <= 20


async def metric(client: Client, name: str) -> float:
    async with client.http.get(f"{client.stack.bridge_url}/metrics") as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    return 0.0


async def test_1100_silent_connections_leave_room_where_1024_files_may_be_open(
    stack: Stack, client: Client, record: Record
) -> None:
    port = str(stack.spare_port)
    url = f"http://127.0.0.1:{port}"
    bridge = stack.another_bridge("narrow", 1024, PORT=port)
    bridge.spawn()
    try:
        await until(lambda: "the bridge is ready" in bridge.lines, limit_s=20)
        assert "the limit of open files is too low" in bridge.lines
        ws = f"{url}/api/v1/ws?token={token('somebody')}"
        async with Viewer(client.http, ws) as viewer, Others(url, viewer) as others:
            attack = asyncio.create_task(attacked("silence", url, seconds=SECONDS, count=1_100))
            await asyncio.sleep(SECONDS / 2)
            async with Viewer(client.http, ws) as late:
                assert (await late.ask("ping"))["type"] == "pong"
            seen = await attack
        record(others, seen)
        assert others.worst_s < BOUND_S
        assert seen["opened"] == 1_100
        assert len(bridge.lines) < 20_000
        assert "Traceback" not in bridge.lines
    finally:
        bridge.kill()
