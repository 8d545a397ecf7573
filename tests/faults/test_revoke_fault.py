"""Two cores, and a bridge at each: a revoked token is good nowhere within a second."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.database import database
from tests.fakes.deal import Deal
from tests.fakes.replica import Clients, Replicas
from tests.fakes.rpc import Caller, Refused
from tests.fakes.stack import Client, started, token
from tests.fakes.viewer import Viewer
from tests.fakes.wait import until

pytestmark = pytest.mark.postgres

# The promise is a second; a busy machine gets some more before the test calls it broken.
SOON_S = 3.0
START_S = 30.0


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replicas]:
    async with database(request, "postgres") as url:
        assert url is not None
        async with started(Replicas(tmp_path, url)) as running:
            yield running


@pytest.fixture
async def clients(replicas: Replicas) -> AsyncIterator[Clients]:
    async with replicas.clients() as opened:
        yield opened


@pytest.fixture
async def second_url(replicas: Replicas) -> AsyncIterator[str]:
    """The address of a bridge at the second core, for WebSockets."""
    port = replicas.stack.spare_port
    bridge = replicas.stack.another_bridge(
        "bridge-2", 4096, PORT=str(port), CORE_ADDRESS=replicas.second_address
    )
    bridge.spawn()
    try:
        await until(lambda: "the bridge is ready" in bridge.lines, START_S)
        yield f"http://127.0.0.1:{port}/api/v1/ws"
    finally:
        bridge.kill()


async def refused_after_s(caller: Caller, begin_s: float) -> float:
    """Call again and again until the token is refused; answers when that was."""
    reason = ""
    async with asyncio.timeout(SOON_S):
        while not reason:
            try:
                await caller.call("ListEscrows")
            except Refused as refused:
                reason = refused.reason
    assert reason == "TOKEN_REVOKED"
    return time.monotonic() - begin_s


async def ended_after_s(socket: Viewer, begin_s: float) -> float:
    assert await socket.ends(SOON_S) == 4401
    return time.monotonic() - begin_s


async def is_turned_away(client: Client, url: str, token: str) -> None:
    async with client.http.ws_connect(f"{url}?token={token}") as refused:
        await refused.receive(timeout=10)
        assert refused.close_code == 4401


async def as_user(client: Client, user_id: str) -> Caller:
    return client.with_token(token(user_id, iat=int(time.time()) - 60), user_id)


async def test_every_replica_refuses_and_every_socket_ends_also_after_a_restart(
    replicas: Replicas, clients: Clients, second_url: str
) -> None:
    deal = Deal(clients.first)
    await deal.agree()
    victim = await as_user(clients.first, deal.buyer.user_id)
    elsewhere = await as_user(clients.second, deal.buyer.user_id)
    # The second core is told, and the others hear of it.
    socket = await clients.first.viewer(victim)
    await socket.subscribe(deal.escrow_id)
    other = await clients.first.opened.enter_async_context(
        Viewer(clients.first.http, f"{second_url}?token={victim.token}")
    )
    await other.subscribe(deal.escrow_id)
    admin = clients.second.caller("admin", "admin")
    begin_s = time.monotonic()
    await admin.call("RevokeTokens", user_id=deal.buyer.user_id)
    spans = await asyncio.gather(
        refused_after_s(victim, begin_s),
        refused_after_s(elsewhere, begin_s),
        ended_after_s(socket, begin_s),
        ended_after_s(other, begin_s),
    )
    print(f"revoked after {', '.join(f'{span:.2f} s' for span in spans)}")
    first_url = f"{clients.first.stack.bridge_url}/api/v1/ws"
    for url in (first_url, second_url):
        await is_turned_away(clients.first, url, victim.token)
    replicas.stack.core.restart()
    await replicas.stack.ready()
    assert (await victim.refusal("ListEscrows")).reason == "TOKEN_REVOKED"
    await is_turned_away(clients.first, first_url, victim.token)
    fresh = clients.first.with_token(
        token(deal.buyer.user_id, iat=time.time() + 1), deal.buyer.user_id
    )
    assert (await fresh.call("GetEscrow", escrow_id=deal.escrow_id)).escrow.version == 1
