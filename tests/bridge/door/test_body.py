"""Bodies that are slow, too many, too large or written in another coding."""

import asyncio
import gzip
from functools import partial

import pytest

from bridge.door.body import Bodies
from bridge.server import BODIES
from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.wait import until
from tests.fakes.wire import Reply, raw


def head(user_id: str, size: int, more: str = "") -> bytes:
    """The head of a call whose body does not come."""
    lines = f"POST /api/v1/escrows HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{more}"
    return f"{lines}Authorization: Bearer {token(user_id)}\r\n\r\n".encode()


def holds(bodies: Bodies, size: int) -> bool:
    return bodies._held == size


async def call(bridge: Bridge, user_id: str) -> int:
    headers = {"Authorization": f"Bearer {token(user_id)}"}
    url = bridge.url + "/api/v1/escrows"
    async with bridge.http.post(url, json={"title": 1}, headers=headers) as answer:
        return answer.status


async def test_a_body_that_does_not_come_in_time_gets_408_and_the_connection_ends(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(body_s=0.2)
    reply = await raw(bridge, head("slow", 100) + b"{")
    assert (reply.status, reply.error["reason"]) == (408, "BODY_TOO_SLOW")
    assert reply.headers["connection"] == "close"


async def test_a_body_that_drips_has_no_more_time(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(body_s=0.3)
    reply = await raw(bridge, head("slow", 100) + b"{", then=b" ")
    assert reply.status == 408


async def test_one_user_has_a_share_of_the_bodies_on_their_way(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(bodies_per_user=3, body_s=2)
    slow = [asyncio.create_task(raw(bridge, head("greedy", 100) + b"{")) for _ in range(3)]
    await bridge.until_metric("holdfast_bridge_connections", 4)
    refused = await raw(bridge, head("greedy", 100) + b"{")
    assert (refused.status, refused.error["reason"]) == (429, "TOO_MANY_BODIES")
    assert refused.headers["retry-after"] == "1"
    assert await call(bridge, "other") == 400
    assert {reply.status for reply in await asyncio.gather(*slow)} == {408}
    assert await call(bridge, "greedy") == 400


async def test_when_bodies_hold_too_much_the_oldest_gives_way(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(bodies_bytes=100_000, body_s=5)
    sent: list[asyncio.Task[Reply]] = []
    bodies = bridge.app[BODIES]
    for n in range(3):
        wire = head(f"user{n}", 50_000) + b"x" * 40_000
        sent.append(asyncio.create_task(raw(bridge, wire)))
        # The third takes the room of the first.
        held = 40_000 * min(n + 1, 2)
        await until(partial(holds, bodies, held))
    done, waiting = await asyncio.wait(sent, timeout=2, return_when=asyncio.FIRST_COMPLETED)
    assert done == {sent[0]}
    assert sent[0].result().status == 408
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("path", ["escrows", "webhooks/razorpay", "demo/token"])
async def test_no_body_is_inflated(bridge: Bridge, path: str) -> None:
    headers = {"Content-Encoding": "gzip", "Authorization": f"Bearer {token('buyer')}"}
    bomb = gzip.compress(bytes(8 << 20))
    url = f"{bridge.url}/api/v1/{path}"
    async with bridge.http.post(url, data=bomb, headers=headers) as answer:
        assert answer.status == 415
        assert (await answer.json())["error"]["reason"] == "CODING_UNSUPPORTED"


async def test_a_length_that_is_too_large_is_refused_before_the_body_comes(bridge: Bridge) -> None:
    reply = await raw(bridge, head("buyer", 2 << 20))
    assert (reply.status, reply.error["reason"]) == (413, "BODY_TOO_LARGE")
