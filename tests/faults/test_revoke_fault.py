"""Two cores, and a bridge at the other: a revoked token is good nowhere within a second."""

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
from tests.fakes.stack import Client, token
from tests.fakes.viewer import Viewer

pytestmark = pytest.mark.postgres

# The promise is a second; a busy machine gets some more before the test calls it broken.
SOON_S = 3.0


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replicas]:
    async with database(request, "postgres") as url:
        assert url is not None
        running = Replicas(tmp_path, url)
        try:
            await running.start()
            yield running
        finally:
            running.stop()


@pytest.fixture
async def clients(replicas: Replicas) -> AsyncIterator[Clients]:
    async with replicas.clients() as opened:
        yield opened


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


async def as_user(client: Client, user_id: str) -> Caller:
    return client.with_token(token(user_id, iat=int(time.time()) - 60), user_id)


async def test_every_replica_refuses_and_every_socket_ends_also_after_a_restart(
    replicas: Replicas, clients: Clients
) -> None:
    deal = Deal(clients.first)
    await deal.agree()
    victim = await as_user(clients.first, deal.buyer.user_id)
    elsewhere = await as_user(clients.second, deal.buyer.user_id)
    # The bridge is at the first core; the second one is told.
    socket = await clients.first.viewer(victim)
    await socket.subscribe(deal.escrow_id)
    admin = clients.second.caller("admin", "admin")
    begin_s = time.monotonic()
    await admin.call("RevokeTokens", user_id=deal.buyer.user_id)
    spans = await asyncio.gather(
        refused_after_s(victim, begin_s),
        refused_after_s(elsewhere, begin_s),
        ended_after_s(socket, begin_s),
    )
    print(f"revoked after {', '.join(f'{span:.2f} s' for span in spans)}")
    again = clients.first.http.ws_connect(
        f"{clients.first.stack.bridge_url}/api/v1/ws?token={victim.token}"
    )
    async with again as refused:
        await refused.receive(timeout=10)
        assert refused.close_code == 4401
    replicas.stack.core.restart()
    await replicas.stack.ready()
    assert (await victim.refusal("ListEscrows")).reason == "TOKEN_REVOKED"
    fresh = clients.first.with_token(
        token(deal.buyer.user_id, iat=time.time() + 1), deal.buyer.user_id
    )
    assert (await fresh.call("GetEscrow", escrow_id=deal.escrow_id)).escrow.version == 1
