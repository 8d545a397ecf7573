"""OverrideSettlement: what Razorpay has decides, and a call on its way wins."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import SETTLEMENT, Caller
from core.law.escrow import Escrow
from core.law.rules import decide
from core.law.status import Status
from core.razorpay import Gateway
from core.settlement.act import Found
from core.settlement.override import WAIT_S, Overrider, require_possible
from core.storage import tables as t
from core.storage.row import Owed
from core.storage.trip import owed
from scripts.sandbox import Sandbox
from tests.core.law.story import (
    ADMIN,
    ARBITER,
    BUYER,
    PAYMENT_ID,
    SELLER,
    SERVICE,
    Story,
    milestones,
)
from tests.core.law.story import override as anew
from tests.core.settlement.test_step import paid, refund, transfer
from tests.core.till import QUICK, Till, open_till

TRANSFER = 97_500
WHOLE = 100_000


@pytest.fixture
async def till(database_url: str) -> AsyncIterator[Till]:
    async with Sandbox(process_delay_s=0.01) as sandbox, open_till(database_url, sandbox) as opened:
        yield opened


def overrider(till: Till, gateway: Gateway | None = None) -> Overrider:
    return Overrider(
        till.room.store,
        till.room.executor,
        gateway or till.gateway,
        now_us=till.room.time,
        patience=QUICK,
        ring_settlement=till.settler.ring,
    )


async def override(
    till: Till,
    escrow_id: str,
    release: int,
    refund: int,
    *,
    by: Caller = ADMIN,
    through: Overrider | None = None,
) -> Escrow:
    await (through or overrider(till)).override(
        c.OverrideSettlement(release, refund, "The account is closed for good"),
        escrow_id=escrow_id,
        caller=by,
        cause=f"once:{uuid.uuid4()}",
        fingerprint=b"",
    )
    return await till.room.escrow(escrow_id)


async def refused(till: Till, escrow_id: str, *shares: int, **more: Any) -> Refusal:
    before = await till.room.escrow(escrow_id)
    with pytest.raises(Refusal) as failed:
        await override(till, escrow_id, *shares, **more)
    assert (await till.room.escrow(escrow_id)).parts == before.parts
    return failed.value


async def confirmed_without_account(till: Till) -> str:
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.AddConfirmation(), SELLER)
    await till.tell(escrow_id, c.AddConfirmation(), BUYER)
    await till.reaches(escrow_id, "PAYEE_MISSING")
    await till.waits(escrow_id)
    return escrow_id


async def test_a_seller_without_account_traps_nothing(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    escrow = await override(till, escrow_id, 0, WHOLE)
    assert escrow.attentions == ()
    assert (await till.rests(escrow_id)).status is Status.REFUNDED
    assert await till.money() == {"transfers": [], "refunds": [(WHOLE, "processed")]}


async def test_an_account_that_razorpay_refuses_traps_nothing(till: Till) -> None:
    await till.register("acc_inactive000001")
    escrow_id = await till.paid(payee=False)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow_id)
    assert [one.code for one in (await till.room.escrow(escrow_id)).attentions] == ["PAYEE_REFUSED"]
    await override(till, escrow_id, 0, WHOLE)
    assert (await till.rests(escrow_id)).status is Status.REFUNDED


@pytest.mark.parametrize("release", [0, 60_000])
async def test_what_is_held_is_divided_anew(till: Till, release: int) -> None:
    escrow_id = await till.paid()
    escrow = await till.rests(escrow_id)
    payment_id = escrow.payment.payment_id
    # The bank's dispute keeps the release from being carried out.
    await till.tell(
        escrow_id, c.ReportBankDispute("disp_1", payment_id, "created", WHOLE), c.RAZORPAY
    )
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow_id)
    await override(till, escrow_id, release, WHOLE - release)
    await till.tell(escrow_id, c.ReportBankDispute("disp_1", payment_id, "won", 0), c.RAZORPAY)
    escrow = await till.rests(escrow_id)
    assert (escrow.released_minor, escrow.refunded_minor) == (
        release - release * 250 // 10_000,
        WHOLE - release,
    )


async def test_what_was_paid_out_stays_paid_out(till: Till) -> None:
    escrow_id = await till.paid()
    await till.rests(escrow_id)
    await till.settler.close()
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    # As settlement would, and without the time to report it.
    state = await till.buyer.state()
    await till.gateway.release_transfer(state["transfers"][0]["id"])
    refusal = await refused(till, escrow_id, 0, WHOLE)
    assert refusal.reason is Reason.WRONG_STATUS
    assert "₹975" in refusal.message


@pytest.mark.parametrize("delay_s", [0.0, 5.0], ids=["processed", "pending"])
async def test_what_is_being_refunded_stays_refunded(till: Till, delay_s: float) -> None:
    await till.buyer.misbehave(api={}, webhooks={"delay_s": delay_s})
    escrow_id = await till.paid()
    escrow = await till.rests(escrow_id)
    await till.settler.close()
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await till.gateway.refund(
        payment_id=escrow.payment.payment_id,
        amount_minor=WHOLE,
        idempotency_key=f"{escrow_id}--0",
        notes={"escrow_id": escrow_id, "part": "whole"},
    )
    refusal = await refused(till, escrow_id, WHOLE, 0)
    assert refusal.reason is Reason.WRONG_STATUS
    assert "rfnd_" in refusal.message


@pytest.mark.parametrize("verb", ["unhold", "repay", "hold", "reverse"])
async def test_a_call_of_unknown_outcome_wins_until_it_can_be_seen(till: Till, verb: str) -> None:
    escrow_id = await confirmed_without_account(till)
    await till.settler.close()
    payment_id = (await till.room.escrow(escrow_id)).payment.payment_id
    entity = payment_id if verb in ("hold", "repay") else "trf_1"
    asked = f"{verb} {entity} 0" + (f" whole {WHOLE}" if verb == "repay" else "")
    await mark(till, escrow_id, asked, till.room.time())
    refusal = await refused(till, escrow_id, 0, WHOLE)
    assert (refusal.reason, refusal.reason.retry) == (Reason.SETTLEMENT_UNDER_WAY, True)
    await mark(till, escrow_id, asked, till.room.time() - 1_100_000)
    await override(till, escrow_id, 0, WHOLE)


async def mark(till: Till, escrow_id: str, asked: str, asked_us: int) -> None:
    async with till.room.store.write() as transaction:
        await transaction._connection.execute(
            sa.update(t.owed)
            .where(t.owed.c.escrow_id == escrow_id)
            .values(asked=asked, asked_us=asked_us)
        )


async def taken(till: Till, escrow_id: str) -> Owed:
    """Take the work on an escrow, as a settler does."""
    now_us = till.room.time()
    work = await till.room.store.transact(
        owed.lease_one(escrow_id, lease_id="worker", now_us=now_us, until_us=now_us + 60_000_000)
    )
    assert work is not None
    return work


async def test_it_waits_for_the_step_that_is_under_way(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    await till.settler.close()
    work = await taken(till, escrow_id)
    waiting = asyncio.create_task(override(till, escrow_id, 0, WHOLE))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await till.room.store.transact(
        owed.give_back(work, due_us=None, attempts=0, seen_version=work.version)
    )
    settlement = (await waiting).parts[0].settlement
    assert settlement is not None
    assert settlement.refund_minor == WHOLE


async def test_a_worker_that_takes_over_meanwhile_wins(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    await till.settler.close()

    class Slow(Gateway):
        """Answers only after somebody else has taken the lease over."""

        async def fetch_payment(self, payment_id: str) -> Any:
            now_us = till.room.time() + 60_000_000
            await till.room.store.transact(
                owed.lease_one(escrow_id, lease_id="other", now_us=now_us, until_us=now_us + 1)
            )
            return await till.gateway.fetch_payment(payment_id)

    slow = Slow.__new__(Slow)
    slow.__dict__.update(till.gateway.__dict__)
    refusal = await refused(till, escrow_id, 0, WHOLE, through=overrider(till, slow))
    assert refusal.reason is Reason.SETTLEMENT_UNDER_WAY


async def test_two_overrides_follow_one_another(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    await till.settler.close()
    ends = await asyncio.gather(
        *(override(till, escrow_id, share, WHOLE - share) for share in (0, 50_000)),
        return_exceptions=True,
    )
    assert sum(isinstance(end, Escrow) for end in ends) >= 1
    settlement = (await till.room.escrow(escrow_id)).parts[0].settlement
    assert settlement is not None
    assert settlement.release_minor in (0, 50_000)


async def test_only_an_admin_may(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    for caller in (BUYER, SELLER, SERVICE):
        refusal = await refused(till, escrow_id, 0, WHOLE, by=caller)
        assert refusal.reason is Reason.NOT_A_PARTY
    refusal = await refused(till, escrow_id, 0, WHOLE, by=Caller("stranger-1"))
    assert refusal.reason is Reason.ESCROW_NOT_FOUND


async def test_without_razorpay_nothing_is_overridden(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    await till.buyer.misbehave(api={"error": 1.0})
    assert (await refused(till, escrow_id, 0, WHOLE)).reason is Reason.GATEWAY_UNAVAILABLE
    await till.buyer.misbehave()
    await override(till, escrow_id, 0, WHOLE)


async def test_a_refund_by_hand_becomes_the_buyers_share(till: Till) -> None:
    escrow_id = await till.paid()
    escrow = await till.rests(escrow_id)
    payment_id = escrow.payment.payment_id
    await till.gateway.refund(
        payment_id=payment_id, amount_minor=40_000, idempotency_key="by-hand-0001", notes={}
    )
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.reaches(escrow_id, "was not made by Holdfast")
    await till.waits(escrow_id)
    await override(till, escrow_id, 60_000, 40_000)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.attentions) == (Status.SPLIT, ())
    assert await till.money() == {
        "transfers": [(58_500, False)],
        "refunds": [(40_000, "processed")],
    }


async def test_beside_a_refund_that_no_division_takes_in_an_admin_has_the_seller_paid(
    till: Till,
) -> None:
    escrow_id = await till.paid()
    payment_id = (await till.rests(escrow_id)).payment.payment_id
    await till.tell(escrow_id, c.RaiseDispute("It is blue"), BUYER)
    for amount, key in ((40_000, "by-hand-0001"), (5_000, "by-hand-0002")):
        await till.gateway.refund(
            payment_id=payment_id, amount_minor=amount, idempotency_key=key, notes={}
        )
    await till.tell(escrow_id, c.ResolveDispute(60_000, 40_000, "Both heard"), ADMIN)
    await till.reaches(escrow_id, "comes on top")
    await till.waits(escrow_id)
    refusal = await refused(till, escrow_id, 55_000, 5_000)
    assert "stays as decided" in refusal.message
    for who in (BUYER, SELLER, ARBITER):
        with pytest.raises(Refusal):
            await till.tell(escrow_id, c.ReleaseEscrow("Pay her"), who)
    await till.tell(escrow_id, c.ReleaseEscrow("The second refund was our mistake"), ADMIN)
    escrow = await till.rests(escrow_id)
    assert (escrow.status, escrow.released_minor, escrow.refunded_minor) == (
        Status.SPLIT,
        58_500,
        40_000,
    )
    assert await till.money() == {
        "transfers": [(58_500, False)],
        "refunds": [(40_000, "processed"), (5_000, "processed")],
    }


async def test_what_was_released_by_hand_can_be_agreed_to(till: Till) -> None:
    escrow_id = await till.paid()
    await till.rests(escrow_id)
    state = await till.buyer.state()
    await till.gateway.release_transfer(state["transfers"][0]["id"])
    await till.settler.close()
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    assert (await refused(till, escrow_id, 50_000, 50_000)).reason is Reason.WRONG_STATUS
    await override(till, escrow_id, WHOLE, 0)


async def test_a_share_below_a_refund_by_hand_is_refused_with_its_amount(till: Till) -> None:
    escrow_id = await till.paid()
    payment_id = (await till.rests(escrow_id)).payment.payment_id
    await till.gateway.refund(
        payment_id=payment_id, amount_minor=40_000, idempotency_key="by-hand-0001", notes={}
    )
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow_id)
    refusal = await refused(till, escrow_id, 60_100, 39_900)
    assert refusal.reason is Reason.WRONG_STATUS
    assert "₹400 back already" in refusal.message
    await override(till, escrow_id, 0, WHOLE)
    assert (await till.rests(escrow_id)).status is Status.REFUNDED
    assert sorted((await till.money())["refunds"]) == [
        (40_000, "processed"),
        (60_000, "processed"),
    ]


@pytest.mark.parametrize(
    ("release", "words"), [(50_000, "transfers no more"), (24_950, "at least ₹1")]
)
def test_what_cannot_be_transferred_anew_beside_a_refund_is_refused(
    release: int, words: str
) -> None:
    story = Story(milestones(50_000, 50_000)).pay()
    story.tell(c.RefundEscrow(part_id="m1"), SELLER)
    story.tell(c.RaiseDispute("Half of it is missing", "m2"), BUYER)
    story.tell(c.ResolveDispute(25_000, 25_000, "Both heard", "m2"), ADMIN)
    command = anew(release, 50_000 - release, "m2", seen_version=story.escrow.version)
    event = decide(story.escrow, command, ADMIN, 1)
    assert event is not None
    stands = transfer(48_750, "m2", reversed_minor=24_375)
    have = Found(paid(), [stands], refunds=[refund(50_000, part="m1")])
    with pytest.raises(Refusal) as failed:
        require_possible(story.escrow, event.escrow, "m2", {PAYMENT_ID: have})
    assert failed.value.reason is Reason.WRONG_STATUS
    assert words in failed.value.message
    require_possible(story.escrow, event.escrow, "m2", {PAYMENT_ID: Found(paid(), [stands])})


async def test_what_ends_while_it_waits_is_told_at_once(till: Till) -> None:
    escrow_id = await confirmed_without_account(till)
    await taken(till, escrow_id)
    waiting = asyncio.create_task(override(till, escrow_id, 0, WHOLE))
    await till.room.tell(escrow_id, c.CompleteSettlement(), SETTLEMENT)
    assert await till.owed(escrow_id) is None
    async with asyncio.timeout(WAIT_S / 2):
        with pytest.raises(Refusal) as failed:
            await waiting
    assert failed.value.reason is Reason.WRONG_STATUS
    assert "not being paid out" in failed.value.message
