"""A seller's account changes while money moves: one transfer for each part, and none forgotten."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from escrow.v1 import payment_service_pb2 as rpc

from core.law import command as c
from core.law.payee import register
from core.law.status import Status
from core.razorpay import Gateway, OutcomeUnknown
from core.settlement.settle import Settler
from core.storage.row import PayeeRow
from core.storage.trip import owed
from core.storage.trip import payee as payees
from scripts.sandbox import Sandbox
from tests.core.counter import Counter
from tests.core.law.story import BUYER
from tests.core.service.test_payee import (
    NEW,
    NEWER,
    OLD,
    SELLER,
    name,
    paid_to,
    reaches,
    read,
    released_to_nobody,
)
from tests.core.till import QUICK, Till, open_till
from tests.fakes.visitor import Visitor

LIMIT_S = 20.0
TRANSFER = 97_500


def another(till: Till, gateway: Gateway, **patience: float) -> Settler:
    return Settler(
        till.room.store,
        till.room.executor,
        gateway,
        now_us=till.room.time,
        patience=replace(QUICK, **patience),
    )


async def recipients(till: Till) -> list[str]:
    return [str(one["recipient"]) for one in (await till.buyer.state())["transfers"]]


class Lost(Gateway):
    """A gateway whose first transfer is made, and then neither answered nor listed for a while."""

    is_hidden = False
    is_first = True

    async def create_transfer(self, **arguments: Any) -> Any:
        made = await super().create_transfer(**arguments)
        if self.is_first:
            self.is_first, self.is_hidden = False, True
            raise OutcomeUnknown("no answer")
        return made

    async def transfers(self, payment_id: str) -> Any:
        return [] if self.is_hidden else await super().transfers(payment_id)


async def test_an_account_that_counts_while_a_transfer_is_on_its_way_gets_no_second_one(
    database_url: str, sandbox: Sandbox
) -> None:
    lost = Lost(key_id=sandbox.key_id, key_secret=sandbox.key_secret, base_url=sandbox.base_url)
    async with open_till(database_url, sandbox) as till:
        escrow_id = await till.paid(payee=False)
        await till.waits(escrow_id)
        await till.settler.close()
        settler = another(till, lost, error_first_s=0.0, error_last_s=0.0, listing_s=60.0)
        await till.register(OLD)
        await settler.look()
        await till.register(NEW)
        assert await settler.look() == 1
        assert await recipients(till) == [OLD]
        lost.is_hidden = False
        await till.register(NEW)
        await settler.look()
        assert await recipients(till) == [OLD]
        assert (await till.rests(escrow_id)).parts[0].on_hold_minor == TRANSFER
    await lost.close()


async def test_what_stands_on_hold_stays_with_the_account_that_it_was_made_to(
    database_url: str, sandbox: Sandbox
) -> None:
    async with open_till(database_url, sandbox) as till:
        await till.register(OLD)
        escrow_id, order_id = await till.order()
        await till.pay(escrow_id, order_id)
        await till.rests(escrow_id)
        await till.register(NEW)
        await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
        assert (await till.rests(escrow_id)).status is Status.RELEASED
        assert await recipients(till) == [OLD]


async def waits_for_a_lock(till: Till) -> bool:
    query = sa.text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with till.room.store._engine.connect() as connection:
        return (await connection.execute(query)).first() is not None


@pytest.mark.postgres
@pytest.mark.parametrize("released", [True, False], ids=["settling", "held"])
async def test_a_change_that_commits_after_settlement_looked_is_not_missed(
    postgres_url: str, sandbox: Sandbox, released: bool
) -> None:
    """It has looked for what waits before there was anything, and commits after it was seen."""
    async with open_till(postgres_url, sandbox) as till:
        escrow_id, order_id = await till.order()
        if released:
            await till.settler.close()  # Until both are decided: no earlier look is to be held up.
        async with till.room.store.write() as slow:
            now_us = till.room.time()
            await slow.run(payees.lock(SELLER))
            await slow.run(owed.make_due(now_us=now_us, seller_id=SELLER))
            payee = register(None, SELLER, OLD, SELLER, now_us, 0)
            assert payee is not None
            assert await slow.run(payees.add(PayeeRow(payee, "rpc:slow", b"")))
            await till.pay(escrow_id, order_id)
            if released:
                await till.room.tell(escrow_id, c.ReleaseEscrow(), BUYER)
                working = asyncio.create_task(another(till, till.gateway).run())
            async with asyncio.timeout(LIMIT_S):
                # Either it waits for us, or it has given the escrow up without having done so.
                while not await waits_for_a_lock(till):
                    waits = await till.owed(escrow_id)
                    if waits is not None and waits.due_us is None and waits.lease_id is None:
                        break
                    await asyncio.sleep(0.01)
        ended = await till.rests(escrow_id)
        assert ended.status is (Status.RELEASED if released else Status.HELD)
        assert await recipients(till) == [OLD]
        if released:
            working.cancel()
            await asyncio.wait([working])


async def never_good(counter: Counter) -> str:
    """Bring a seller's first account to be refused; answers the escrow that waits."""
    counter.sandbox.books.account_status[OLD] = "rejected"
    await name(counter, OLD)
    return await released_to_nobody(counter)


async def test_an_account_that_was_not_tried_yet_is_not_the_one_that_was_refused(
    counter: Counter,
) -> None:
    """The refusal of the account before it lets nobody put another one in its place at once."""
    escrow_id = await never_good(counter)
    async with Visitor(counter.sandbox) as visitor:
        await visitor.misbehave(api={"error": 1.0})
        assert (await name(counter, NEW)).account_id == NEW
        changing = await name(counter, NEWER)
        assert (changing.account_id, changing.pending_account_id) == (NEW, NEWER)
        await visitor.misbehave()
    await reaches(counter, escrow_id, "RELEASED", [])
    assert (await read(counter)).account_id == NEW


async def test_each_account_that_is_refused_is_replaced_at_once(counter: Counter) -> None:
    counter.sandbox.books.account_status[NEW] = "rejected"
    escrow_id = await never_good(counter)
    assert (await name(counter, NEW)).account_id == NEW
    async with asyncio.timeout(LIMIT_S):
        while True:
            escrow = await counter.core.rooms.store.escrow(escrow_id)
            assert escrow is not None
            if [one.subject for one in escrow.attentions] == [NEW]:
                break
            await asyncio.sleep(0.02)
    assert (await name(counter, NEWER)).account_id == NEWER
    await reaches(counter, escrow_id, "RELEASED", [])


async def test_an_account_that_waited_counts_once_the_old_one_is_refused(counter: Counter) -> None:
    await name(counter, OLD)
    assert (await name(counter, NEW)).pending_account_id == NEW
    counter.sandbox.books.account_status[OLD] = "rejected"
    escrow_id = await released_to_nobody(counter)
    assert (await name(counter, NEW)).account_id == NEW
    await reaches(counter, escrow_id, "RELEASED", [])


async def test_what_waits_is_paid_as_soon_as_the_wait_is_waived(counter: Counter) -> None:
    await name(counter, OLD)
    assert await paid_to(counter) == OLD
    counter.sandbox.books.account_status[OLD] = "rejected"
    escrow_id = await released_to_nobody(counter)
    assert (await name(counter, NEW)).pending_account_id == NEW
    waive = rpc.WaivePayeeWaitRequest(user_id=SELLER, note="Known in person", account_id=NEW)
    await counter.call(waive, "admin-1", "admin")
    await reaches(counter, escrow_id, "RELEASED", [])
