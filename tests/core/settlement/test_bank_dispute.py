"""The bank's disputes, whose webhooks were lost: asked for, told once, and the release waits."""

import asyncio
import functools
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.escrow import Escrow
from core.law.status import Status
from core.settlement import reconcile
from core.settlement.look import order_of
from core.settlement.reconcile import Reconciled
from core.settlement.report import payment_report
from core.settlement.webhook import APPLIED, DUPLICATE, Inbox
from scripts.sandbox import Sandbox
from tests.core.law.story import BUYER, SECOND_US
from tests.core.settlement.test_reconcile import SECRET, TRANSFER, _stop, held, reconciler
from tests.core.till import Till, open_till
from tests.fakes.wait import until


@pytest.fixture
async def till(database_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(database_url, sandbox) as opened:
        yield opened


async def bank(till: Till, escrow: Escrow, event: str) -> dict[str, Any]:
    """Let the bank act upon the payment of an escrow; answers its dispute."""
    path = f"/payments/{escrow.payment.payment_id}/dispute"
    status, dispute = await till.buyer.door("POST", path, {"event": event})
    assert status == 200, dispute
    return dict(dispute)


async def by_its_id(till: Till, escrow_id: str) -> bool:
    return await reconciler(till).look(escrow_id)


async def by_the_list(till: Till, escrow_id: str) -> bool:
    changed = await reconciler(till).look_at_disputes(0)
    assert changed <= {escrow_id}
    return bool(changed)


Ask = Callable[[Till, str], Coroutine[Any, Any, bool]]


async def test_a_lost_beginning_of_a_bank_dispute_is_found_and_stops_the_release(
    till: Till,
) -> None:
    escrow, _ = await held(till)
    dispute = await bank(till, escrow, "created")
    assert await by_the_list(till, escrow.escrow_id)
    escrow = await till.room.escrow(escrow.escrow_id)
    assert f"faces the bank's dispute {dispute['id']}" in escrow.attention
    assert list(escrow.bank_disputes) == [dispute["id"]]
    await till.tell(escrow.escrow_id, c.ReleaseEscrow(), BUYER)
    assert (await till.waits(escrow.escrow_id)).status is Status.SETTLING
    assert (await till.money())["transfers"] == [(TRANSFER, True)]


@pytest.mark.parametrize("ask", [by_its_id, by_the_list])
@pytest.mark.parametrize("end", ["won", "closed"])
async def test_a_lost_end_of_a_bank_dispute_is_found_by_asking(
    till: Till, ask: Ask, end: str
) -> None:
    escrow, _ = await held(till)
    await bank(till, escrow, "created")
    await by_the_list(till, escrow.escrow_id)
    await till.tell(escrow.escrow_id, c.ReleaseEscrow(), BUYER)
    await till.waits(escrow.escrow_id)
    await bank(till, escrow, end)
    assert await ask(till, escrow.escrow_id)
    escrow = await till.room.escrow(escrow.escrow_id)
    assert (escrow.attention, escrow.bank_disputes) == ("", ())
    till.settler.ring()
    assert (await till.rests(escrow.escrow_id)).status is Status.RELEASED
    assert (await till.money())["transfers"] == [(TRANSFER, False)]
    assert not await ask(till, escrow.escrow_id)


@pytest.mark.parametrize("ask", [by_its_id, by_the_list])
async def test_a_lost_dispute_is_told_once_and_ends_the_escrow(till: Till, ask: Ask) -> None:
    escrow, _ = await held(till)
    await bank(till, escrow, "created")
    await by_the_list(till, escrow.escrow_id)
    await bank(till, escrow, "lost")
    assert [await ask(till, escrow.escrow_id) for _ in range(2)] == [True, False]
    escrow = await till.rests(escrow.escrow_id)
    assert (escrow.status, escrow.refunded_by) == (Status.REFUNDED, "bank")
    assert await till.money() == {"transfers": [], "refunds": []}


async def webhook(till: Till, payment_id: str, dispute: dict[str, Any], phase: str) -> str:
    """Bring what Razorpay tells of a dispute; answers what became of it."""
    _, paid = await till.buyer.api("GET", f"/payments/{payment_id}")
    envelope = {
        "event": f"payment.dispute.{phase}",
        "payload": {"payment": {"entity": paid}, "dispute": {"entity": dispute}},
    }
    raw = json.dumps(envelope).encode()
    inbox = Inbox(
        till.room.store,
        till.room.executor,
        secrets=[SECRET],
        now_us=till.room.time,
        ring_settlement=till.settler.ring,
        order_of=functools.partial(order_of, till.gateway),
    )
    signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    return await inbox.ingest(raw, signature, "")


async def test_a_dispute_that_is_told_and_asked_for_makes_one_event_for_each_phase(
    till: Till,
) -> None:
    escrow, _ = await held(till)
    payment_id, escrow_id = escrow.payment.payment_id, escrow.escrow_id
    created = await bank(till, escrow, "created")
    assert await webhook(till, payment_id, created, "created") == APPLIED
    for ask in (by_the_list, by_its_id):
        assert not await ask(till, escrow_id)
    reviewed = await bank(till, escrow, "under_review")
    for ask in (by_the_list, by_its_id):
        assert not await ask(till, escrow_id)
    assert await webhook(till, payment_id, reviewed, "under_review") == DUPLICATE
    won = await bank(till, escrow, "won")
    assert await by_its_id(till, escrow_id)
    assert await webhook(till, payment_id, won, "won") == DUPLICATE
    assert not await by_the_list(till, escrow_id)
    assert (await till.room.escrow(escrow_id)).version == escrow.version + 2


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_dispute_of_a_payment_that_no_webhook_told_of_is_found(
    till: Till, is_told: bool
) -> None:
    escrow_id, order_id = await till.order()
    payment_id = await till.buyer.pay(order_id)
    if is_told:  # By Checkout's callback, whose cause is that of the browser's request.
        report = payment_report(await till.gateway.fetch_payment(payment_id))
        await till.room.tell(escrow_id, report.command, c.RAZORPAY, cause="rpc:checkout")
    await till.buyer.door("POST", f"/payments/{payment_id}/dispute", {"event": "created"})
    assert await reconciler(till).look_at_disputes(0) == {escrow_id}
    assert len((await till.room.escrow(escrow_id)).bank_disputes) == 1
    assert await reconciler(till).look_at_disputes(0) == set()


async def test_disputes_from_before_the_time_are_not_asked_for(till: Till) -> None:
    escrow, _ = await held(till)
    created = await bank(till, escrow, "created")
    after_us = (created["created_at"] + 1) * SECOND_US
    assert await reconciler(till).look_at_disputes(after_us) == set()
    assert await reconciler(till).look_at_disputes(after_us - 1) == {escrow.escrow_id}


async def test_the_command_finds_disputes_of_escrows_that_rested_since_its_time(
    till: Till,
) -> None:
    escrow, _ = await held(till)
    since_us = till.room.time() - SECOND_US
    await till.room.tell(await till.room.create(), c.CancelEscrow(), BUYER)
    await bank(till, escrow, "created")
    told: list[tuple[int, int]] = []
    asking = reconciler(till)
    answer = await asking.since(since_us, lambda asked, changed: told.append((asked, changed)))
    assert (told, answer) == ([(1, 0)], Reconciled(1, 1, {}))
    assert (await till.room.escrow(escrow.escrow_id)).bank_disputes


async def test_a_dispute_that_razorpay_does_not_know_keeps_nothing_else_from_being_found(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    escrow_id, order_id = await till.order()
    report = c.ReportBankDispute("disp_unknown1234567", "pay_1", "created", 100_000)
    await till.room.tell(escrow_id, report, RAZORPAY)
    await till.buyer.pay(order_id)
    assert await reconciler(till).look(escrow_id)
    assert (await till.room.escrow(escrow_id)).status is Status.HELD
    assert "dispute disp_unknown1234567" in caplog.text


async def test_the_asking_for_disputes_outlives_a_razorpay_that_is_away(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    escrow, _ = await held(till)
    await bank(till, escrow, "created")
    await till.buyer.misbehave(api={"error": 1.0})
    running = asyncio.create_task(reconciler(till).run_disputes(first_s=0.0, again_s=0.01))
    await until(lambda: "could not be asked for" in caplog.text)
    assert {r.levelno for r in caplog.records if r.name == reconcile.__name__} == {logging.WARNING}
    await till.buyer.misbehave()
    await till.reaches(escrow.escrow_id, "bank's dispute")
    await _stop(running)


@pytest.mark.postgres
async def test_replicas_that_ask_for_disputes_at_once_tell_each_once(
    postgres_url: str, sandbox: Sandbox
) -> None:
    async with open_till(postgres_url, sandbox) as one, open_till(postgres_url, sandbox) as other:
        escrow, _ = await held(one)
        await bank(one, escrow, "created")
        looks = [reconciler(till).look_at_disputes(0) for till in (one, other) * 4]
        changed = [found for found in await asyncio.gather(*looks) if found]
        assert changed == [{escrow.escrow_id}]
        assert (await one.room.escrow(escrow.escrow_id)).version == escrow.version + 1
