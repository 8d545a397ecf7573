"""Old deliveries are forgotten, and nothing that is still to be sent."""

import pytest

from core.webhooks import prune
from core.webhooks.prune import Pruner
from tests.core.webhooks.hooks import Hooks
from tests.fakes.receiver import Receiver

KEEP_S = 30 * 86_400.0


@pytest.fixture
def pruner(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Pruner:
    monkeypatch.setattr(prune, "PAUSE_S", 0.0)
    monkeypatch.setattr(prune, "SLICE", 3)
    return Pruner(hooks.room.store, keep_s=KEEP_S, now_us=hooks.room.time)


async def test_what_ended_long_ago_is_forgotten(hooks: Hooks, pruner: Pruner) -> None:
    async with Receiver() as receiver:
        endpoint_id = await hooks.endpoint(receiver.url)
        escrow_id = await hooks.room.create()
        await hooks.tell(escrow_id, 9)
        await hooks.send()
        hooks.room.time.pass_s(KEEP_S / 2)
        await hooks.tell(escrow_id, 4)
        await hooks.send()
        assert await pruner.prune() == 0
        hooks.room.time.pass_s(KEEP_S / 2)
        assert await pruner.prune() == 10
        kept = await hooks.deliveries(endpoint_id)
        assert [one.version for one in kept] == [11, 12, 13, 14]


async def test_what_is_still_to_be_sent_stays_however_old(hooks: Hooks, pruner: Pruner) -> None:
    async with Receiver(answer=410) as receiver:
        endpoint_id = await hooks.endpoint(receiver.url)
        await hooks.tell(await hooks.room.create(), 4)
        await hooks.send()
        hooks.room.time.pass_s(10 * KEEP_S)
        assert await pruner.prune() == 0
        assert len(await hooks.deliveries(endpoint_id)) == 5


async def test_a_deleted_endpoint_goes_with_all_its_deliveries(
    hooks: Hooks, pruner: Pruner
) -> None:
    async with Receiver() as receiver, Receiver(answer=500) as other:
        gone, kept = await hooks.endpoint(receiver.url), await hooks.endpoint(other.url)
        await hooks.tell(await hooks.room.create(), 6)
        await hooks.send()
        async with hooks.room.store.write() as transaction:
            await transaction.webhooks.change(gone, deleted_us=1)
        assert await pruner.prune() == 7
        assert await hooks.room.store.webhooks.deleted() == []
        assert len(await hooks.deliveries(gone)) == 0
        assert len(await hooks.deliveries(kept)) == 7


async def test_a_secret_that_signs_no_more_is_forgotten(hooks: Hooks, pruner: Pruner) -> None:
    until_us = hooks.room.time.us + 1_000_000
    endpoint_id = await hooks.endpoint(
        "https://1.1.1.1/", previous_secret="whsec_b2xk", previous_until_us=until_us
    )
    await pruner.prune()
    assert (await hooks.read(endpoint_id)).previous_secret == "whsec_b2xk"
    hooks.room.time.pass_s(1)
    await pruner.prune()
    endpoint = await hooks.read(endpoint_id)
    assert (endpoint.previous_secret, endpoint.previous_until_us) == ("", None)
