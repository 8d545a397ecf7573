"""The network between the bridge and core falls silent: both notice, and nothing is missed."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.deal import Deal
from tests.fakes.relay import Relay, to_port
from tests.fakes.stack import Client, Stack
from tests.fakes.viewer import Viewer
from tests.fakes.wait import until

# The promise: a fault is noticed, and its end too, within this time.
NOTICED_S = 15.0
_ESTABLISHED = "01"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    made = Stack(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
async def relay(stack: Stack) -> AsyncIterator[Relay]:
    """Between the bridge and core; core's own address stays reachable."""
    core_port = int(stack.core_address.rpartition(":")[2])
    async with Relay(to_port(core_port)) as relay:
        stack.put_before_core(f"127.0.0.1:{relay.port}")
        await stack.start()
        yield relay


@pytest.fixture
async def client(stack: Stack, relay: Relay) -> AsyncIterator[Client]:
    async with stack.client() as opened:
        yield opened


@pytest.fixture
def deal(client: Client) -> Deal:
    return Deal(client)


async def watching(client: Client, deal: Deal) -> Viewer:
    """Open an escrow's socket, and see the first event through it."""
    await deal.agree()
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    await publish(deal)
    await socket.sees(type="escrow_update", version=2)
    return socket


async def publish(deal: Deal) -> None:
    """Make an event at core itself, past the relay."""
    await deal.act(deal.service, "PublishUpdate", event_type="note")


async def readiness(client: Client) -> tuple[int, str]:
    async with client.http.get(f"{client.stack.bridge_url}/readyz") as answer:
        return answer.status, await answer.text()


async def ready_after_s(client: Client, status: int) -> float:
    """Ask until /readyz has this status; answers after how many seconds it had."""
    begin_s = time.monotonic()
    while (await readiness(client))[0] != status:
        assert time.monotonic() - begin_s < NOTICED_S, f"/readyz is not {status}"
        await asyncio.sleep(0.1)
    return time.monotonic() - begin_s


def held_by_core(stack: Stack, ports: set[int]) -> set[int]:
    """Those of the ports whose connection core's socket still holds, as the kernel lists it."""
    core_port = int(stack.core_address.rpartition(":")[2])
    held = set()
    # gRPC listens on sockets of IPv6, which take IPv4 too.
    lists = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    for row in (row for told in lists for row in told.splitlines()[1:]):
        local, remote, state = row.split()[1:4]
        if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == core_port:
            held.add(int(remote.rpartition(":")[2], 16))
    return held & ports


async def is_whole(client: Client, deal: Deal, socket: Viewer, version: int) -> None:
    """Every version came once, and the books balance."""
    await socket.sees(type="escrow_update", version=version)
    assert socket.is_open
    assert socket.versions(deal.escrow_id) == list(range(2, version + 1))
    checked = await client.caller("admin", "admin").call("CheckBooks")
    assert checked.balanced, checked


async def test_connections_that_fall_silent_are_left_by_both_sides_and_nothing_is_missed(
    client: Client, deal: Deal, relay: Relay
) -> None:
    socket = await watching(client, deal)
    silent = relay.far_ports
    assert silent
    assert held_by_core(client.stack, silent) == silent
    begin_s = time.monotonic()
    relay.fall_silent()
    await publish(deal)
    await socket.sees(NOTICED_S, type="escrow_update", version=3)
    seen_s = time.monotonic() - begin_s
    await until(lambda: not held_by_core(client.stack, silent), NOTICED_S - seen_s)
    left_s = time.monotonic() - begin_s
    await ready_after_s(client, 200)
    await publish(deal)
    await is_whole(client, deal, socket, 4)
    print(f"the watcher saw the next version after {seen_s:.1f} s; core left after {left_s:.1f} s")


async def test_a_core_behind_silence_is_called_away_and_back(
    client: Client, deal: Deal, relay: Relay
) -> None:
    socket = await watching(client, deal)
    relay.fall_silent(is_deaf=True)
    away_s = await ready_after_s(client, 503)
    told = await socket.sees(type="live", live=False)
    assert told["reason"] == "Core cannot be reached."
    assert "core is away" in (await readiness(client))[1]
    await publish(deal)
    relay.speak()
    back_s = await ready_after_s(client, 200)
    await socket.sees(NOTICED_S, type="live", live=True)
    await socket.sees(NOTICED_S, type="escrow_update", version=3)
    await publish(deal)
    await is_whole(client, deal, socket, 4)
    print(f"away after {away_s:.1f} s, back after {back_s:.1f} s")


async def test_a_lost_answer_says_that_the_outcome_is_unknown_and_the_repeat_counts_once(
    client: Client, deal: Deal, relay: Relay
) -> None:
    url = f"{client.stack.bridge_url}/api/v1/escrows"
    key = {"Idempotency-Key": client.name("key")}
    headers = {"Authorization": f"Bearer {deal.buyer.token}", **key}
    relay.loses_answers = True
    async with client.http.post(url, json=deal.terms(), headers=headers) as answer:
        status, told = answer.status, (await answer.json())["error"]
    assert status in (503, 504)
    assert told["reason"] == "OUTCOME_UNKNOWN"
    assert "Idempotency-Key" in told["message"]
    # Core has done it all the same.
    (made,) = (await deal.buyer.call("ListEscrows")).escrows
    relay.loses_answers = False
    relay.cut()
    await ready_after_s(client, 200)
    async with client.http.post(url, json=deal.terms(), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["escrow"]["escrow_id"] == made.escrow_id
    assert len((await deal.buyer.call("ListEscrows")).escrows) == 1
