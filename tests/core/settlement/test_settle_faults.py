"""Settlement when answers are lost, leases run out and replicas meet: money moves once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.status import Status
from core.razorpay import Gateway, GatewayRefused, GatewayUnavailable, OutcomeUnknown
from core.settlement.patience import Patience
from core.settlement.settle import Settler
from core.storage.row import Owed
from core.storage.trip import owed
from scripts.sandbox import Sandbox
from tests.core.law.story import ARBITER, BUYER, SELLER
from tests.core.till import ACCOUNT, QUICK, Till, open_till

TRANSFER = 97_500
REFUSED = GatewayRefused(status=400, code="BAD_REQUEST_ERROR", reason="", description="No")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=2) as running:
        yield running


@pytest.fixture
async def till(sqlite_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(sqlite_url, sandbox) as opened:
        yield opened


async def test_an_answer_lost_after_success_moves_no_money_twice(till: Till) -> None:
    lost = {"timeout_after_success": 1.0, "timeout_hold_s": 0.05}
    escrow_id = await till.paid(payee=False)
    await till.buyer.misbehave(api=lost)
    await till.register()
    escrow = await till.rests(escrow_id)
    assert escrow.parts[0].on_hold_minor == TRANSFER
    await till.tell(escrow_id, c.RaiseDispute("Broken"), BUYER)
    await till.tell(escrow_id, c.ResolveDispute(60_000, 40_000, "Both heard"), ARBITER)
    assert (await till.rests(escrow_id)).status is Status.SPLIT
    assert await till.money() == {
        "transfers": [(58_500, False)],
        "refunds": [(40_000, "processed")],
    }
    state = await till.buyer.state()
    assert (len(state["transfers"]), len(state["reversals"]), len(state["refunds"])) == (1, 1, 1)


async def test_errors_at_every_fourth_call_end_all_the_same(till: Till) -> None:
    escrow_ids = [await till.paid() for _ in range(4)]
    await till.buyer.misbehave(api={"error": 0.15, "rate_limit": 0.1})
    for refunded, escrow_id in enumerate(escrow_ids):
        if refunded % 2:
            await till.tell(escrow_id, c.RefundEscrow(), SELLER)
        else:
            await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    escrows = [await till.rests(escrow_id) for escrow_id in escrow_ids]
    await till.buyer.misbehave()
    assert [e.status for e in escrows] == ["RELEASED", "REFUNDED"] * 2
    money = await till.money()
    assert money["transfers"] == [(TRANSFER, False)] * 2
    assert money["refunds"] == [(100_000, "processed")] * 2


class Slow(Gateway):
    """A gateway whose transfers are made only when the test lets them be."""

    begun: asyncio.Event
    go_on: asyncio.Event
    made = 0

    async def create_transfer(self, **arguments: Any) -> Any:
        self.begun.set()
        await self.go_on.wait()
        self.made += 1
        return await super().create_transfer(**arguments)


@pytest.fixture
async def slow(sandbox: Sandbox) -> AsyncIterator[Slow]:
    gateway = Slow(key_id=sandbox.key_id, key_secret=sandbox.key_secret, base_url=sandbox.base_url)
    gateway.begun, gateway.go_on = asyncio.Event(), asyncio.Event()
    yield gateway
    await gateway.close()


async def test_a_call_that_began_too_late_is_never_made(till: Till, slow: Slow) -> None:
    till.settler._gateway = slow
    await till.register()
    escrow_id = await till.paid()
    await slow.begun.wait()
    # Past its limit it counts as unknown, and must not reach Razorpay any more.
    await till.gives_back(escrow_id)
    slow.go_on.set()
    assert (await till.rests(escrow_id)).parts[0].on_hold_minor == TRANSFER
    assert len((await till.buyer.state())["transfers"]) == 1
    assert slow.made == 1


async def test_a_worker_that_lost_its_lease_moves_nothing(till: Till) -> None:
    await till.register()
    escrow_id = await till.paid()
    await till.rests(escrow_id)
    stale = Owed(escrow_id, 1, 0, 0, "a lease of long ago", None, None)
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await till.settler._work(stale)
    assert (await till.rests(escrow_id)).status is Status.REFUNDED
    assert (await till.money())["refunds"] == [(100_000, "processed")]


async def test_a_dispute_that_is_told_while_settlement_looks_stops_the_release(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    escrow_id = await till.paid()
    payment_id = (await till.rests(escrow_id)).payment.payment_id
    read = till.room.store.payee

    async def slowly(user_id: str) -> Any:
        monkeypatch.setattr(till.room.store, "payee", read)
        dispute = c.ReportBankDispute("disp_1", payment_id, "created", 100_000)
        await till.room.tell(escrow_id, dispute, RAZORPAY)
        return await read(user_id)

    monkeypatch.setattr(till.room.store, "payee", slowly)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    assert (await till.waits(escrow_id)).status is Status.SETTLING
    assert (await till.money())["transfers"] == [(TRANSFER, True)]


async def test_a_payee_that_registers_while_settlement_looks_is_not_forgotten(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()
    read = till.room.store.payee

    async def slowly(user_id: str) -> Any:
        payee = await read(user_id)
        seen.set()
        await go_on.wait()
        return payee

    monkeypatch.setattr(till.room.store, "payee", slowly)
    escrow_id = await till.paid(payee=False)
    await seen.wait()
    await till.register()
    go_on.set()
    assert (await till.rests(escrow_id)).parts[0].on_hold_minor == TRANSFER


@pytest.mark.postgres
async def test_two_replicas_settle_each_escrow_once(postgres_url: str, sandbox: Sandbox) -> None:
    async with (
        open_till(postgres_url, sandbox) as one,
        open_till(postgres_url, sandbox, replace(QUICK, lease_s=0.3)) as other,
    ):
        await one.register()
        escrow_ids = [await one.paid() for _ in range(12)]
        for i, escrow_id in enumerate(escrow_ids):
            if i % 3 == 0:
                await one.tell(escrow_id, c.ReleaseEscrow(), BUYER)
            elif i % 3 == 1:
                await other.tell(escrow_id, c.RefundEscrow(), SELLER)
            else:
                await one.tell(escrow_id, c.RaiseDispute("Broken"), BUYER)
                await other.tell(escrow_id, c.ResolveDispute(60_000, 40_000, "Both heard"), ARBITER)
        escrows = [await one.rests(escrow_id) for escrow_id in escrow_ids]
        assert [e.status for e in escrows] == ["RELEASED", "REFUNDED", "SPLIT"] * 4
        money = await one.money()
        assert sorted(money["transfers"]) == [(58_500, False)] * 4 + [(TRANSFER, False)] * 4
        half, whole = (40_000, "processed"), (100_000, "processed")
        assert sorted(money["refunds"]) == [half] * 4 + [whole] * 4


async def test_no_account_of_another_seller_is_paid(till: Till) -> None:
    await till.register("acc_OtherSeller111", seller_id="seller-2")
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.reaches(escrow_id, "PAYEE_MISSING")
    await till.register(ACCOUNT)
    await till.rests(escrow_id)
    state = await till.buyer.state()
    assert [t["recipient"] for t in state["transfers"]] == [ACCOUNT]


class Unsure(Gateway):
    """A gateway whose next calls end as the test says, without reaching Razorpay."""

    ends: list[Exception]

    async def _end(self) -> None:
        if self.ends:
            raise self.ends.pop(0)

    async def refund(self, **arguments: Any) -> Any:
        await self._end()
        return await super().refund(**arguments)

    async def release_transfer(self, transfer_id: str) -> Any:
        await self._end()
        return await super().release_transfer(transfer_id)


@pytest.fixture
async def unsure(sandbox: Sandbox) -> AsyncIterator[Unsure]:
    gateway = Unsure(
        key_id=sandbox.key_id, key_secret=sandbox.key_secret, base_url=sandbox.base_url
    )
    gateway.ends = []
    yield gateway
    await gateway.close()


async def settle_alone(till: Till, patience: Patience) -> Settler:
    """A settler that works only when the test lets it, in the place of the one that always does."""
    await till.settler.close()
    return Settler(
        till.room.store, till.room.executor, till.gateway, now_us=till.room.time, patience=patience
    )


PATIENT = replace(QUICK, error_first_s=0.0, error_last_s=0.0, listing_s=60.0)


@pytest.mark.parametrize("certain", [GatewayUnavailable("429"), REFUSED], ids=["busy", "refused"])
async def test_a_try_that_was_certainly_not_made_says_nothing_of_the_one_before(
    till: Till, unsure: Unsure, certain: Exception
) -> None:
    escrow_id = await till.paid(payee=False)
    await till.waits(escrow_id)
    settler = await settle_alone(till, PATIENT)
    settler._gateway = unsure
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    unsure.ends = [OutcomeUnknown("no answer"), certain, certain]
    await settler.look()
    first = await till.owed(escrow_id)
    assert first.asked.startswith("repay ")
    await settler.look()
    assert len(unsure.ends) < 2
    second = await till.owed(escrow_id)
    assert (second.asked, second.asked_us) == (first.asked, first.asked_us)


async def test_no_other_call_is_written_over_one_that_may_still_arrive(
    till: Till, unsure: Unsure
) -> None:
    parts = tuple(c.NewMilestone("Part", amount) for amount in (50_000, 50_000))
    escrow_id = await till.paid(milestones=parts)
    await till.rests(escrow_id)
    settler = await settle_alone(till, PATIENT)
    settler._gateway = unsure
    await till.tell(escrow_id, c.ReleaseEscrow(part_id="m1"), BUYER)
    unsure.ends = [OutcomeUnknown("no answer")]
    await settler.look()
    # From now on m1's release waits for the bank, and m2's refund could go on.
    payment_id = (await till.room.escrow(escrow_id)).payment.payment_id
    dispute = c.ReportBankDispute("disp_1", payment_id, "created", 100_000)
    await till.tell(escrow_id, dispute, RAZORPAY)
    await till.tell(escrow_id, c.RefundEscrow(part_id="m2"), SELLER)
    await settler.look()
    assert (await till.owed(escrow_id)).asked.startswith("unhold ")
    assert (await till.buyer.state())["reversals"] == []
    # Nobody believes any more that it may arrive.
    settler._patience = replace(PATIENT, listing_s=0.0)
    await till.room.store.transact(owed.make_due(now_us=till.room.time(), escrow_id=escrow_id))
    await settler.look()
    assert len((await till.buyer.state())["reversals"]) == 1


async def test_a_worker_that_lost_its_lease_takes_nothing_back_for_the_bank(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    escrow_id = await till.paid()
    payment_id = (await till.rests(escrow_id)).payment.payment_id
    settler = await settle_alone(till, PATIENT)
    read = till.room.store.payee

    async def overtaken(user_id: str) -> Any:
        """Another worker has had the time to pay the seller since this one looked."""
        async with till.room.store.write() as transaction:
            later_us = till.room.time() + 3_600_000_000
            assert await transaction.run(
                owed.lease_one(escrow_id, lease_id="other", now_us=later_us, until_us=later_us + 1)
            )
        return await read(user_id)

    monkeypatch.setattr(till.room.store, "payee", overtaken)
    lost = c.ReportBankDispute("disp_1", payment_id, "lost", 100_000)
    await till.tell(escrow_id, lost, RAZORPAY)
    await settler.look()
    assert (await till.room.escrow(escrow_id)).held_minor == 100_000
