"""What the webhooks did not tell is asked for: soon, then rarely, and told as they would have."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import RAZORPAY
from core.law.escrow import FINAL, Escrow, Status
from core.settlement import reconcile
from core.settlement.reconcile import DAY_S, Reconciler, Schedule
from core.settlement.report import payment_report
from core.settlement.webhook import APPLIED, DUPLICATE, Inbox
from scripts.sandbox import Sandbox
from tests.core.law.story import BUYER, SECOND_US, payment, story_in
from tests.core.till import Till, open_till
from tests.fakes.wait import until

TRANSFER = 97_500
SCHEDULE = Schedule()
AWAITED = [Status.INITIATED, Status.CANCELLED]
SECRET = "whsec_of_the_tests"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=3) as running:
        yield running


@pytest.fixture
async def till(database_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(database_url, sandbox) as opened:
        yield opened


def reconciler(till: Till, ahead_s: float = 0.0) -> Reconciler:
    """Somebody who reconciles, and whose clock goes ahead of the till's."""
    return Reconciler(
        till.room.store,
        till.room.executor,
        till.gateway,
        now_us=lambda: till.room.time() + round(ahead_s * SECOND_US),
    )


def waits(escrow: Escrow, age_s: float = 0.0) -> list[float | None]:
    now_us = escrow.update_time_us + round(age_s * SECOND_US)
    return [SCHEDULE.next_s(escrow, attempts, now_us) for attempts in range(20)]


@pytest.mark.parametrize("status", AWAITED)
def test_a_payment_that_may_come_is_asked_for_soon_then_half_as_often_then_by_the_hour(
    status: Status,
) -> None:
    found = waits(story_in(status).escrow)
    assert found[:4] == [5.0, 10.0, 20.0, 40.0]
    assert found[-1] == max(w for w in found if w) == 3_600.0


@pytest.mark.parametrize("status", [status for status in Status if status not in AWAITED])
def test_what_rests_is_asked_about_after_ten_minutes_then_half_as_often_to_six_hours(
    status: Status,
) -> None:
    found = waits(story_in(status).escrow)
    assert found[:4] == [600.0, 1_200.0, 2_400.0, 4_800.0]
    assert found[-1] == max(w for w in found if w) == 6 * 3_600.0


def test_however_often_it_was_asked_there_is_a_next_time() -> None:
    escrow = story_in(Status.INITIATED).escrow
    assert SCHEDULE.next_s(escrow, 10**6, escrow.update_time_us) == 3_600.0


@pytest.mark.parametrize("status", Status)
def test_only_what_has_ended_is_forgotten_and_only_after_its_days(status: Status) -> None:
    escrow = story_in(status).escrow
    assert None not in waits(escrow, 10 * DAY_S)
    is_forgotten = set(waits(escrow, 10 * DAY_S + 1)) == {None}
    assert is_forgotten == (status in FINAL)
    assert (None in waits(escrow, 1_000 * DAY_S)) == (status in FINAL)


def test_what_has_ended_is_not_forgotten_while_money_has_to_go_back() -> None:
    late, twice = story_in(Status.CANCELLED), story_in(Status.RELEASED)
    late.tell(payment(), RAZORPAY)
    twice.tell(payment(payment_id="pay_2"), RAZORPAY)
    for story in (late, twice):
        assert story.escrow.status in FINAL
        assert None not in waits(story.escrow, 1_000 * DAY_S)


async def test_a_payment_whose_webhook_was_lost_is_found_when_it_is_due(till: Till) -> None:
    escrow_id, order_id = await till.order()
    payment_id = await till.buyer.pay(order_id)
    assert await reconciler(till).look_due() == 0
    assert await reconciler(till, ahead_s=6).look_due() == 1
    escrow = await till.room.escrow(escrow_id)
    assert (escrow.status, escrow.payment.payment_id) == ("HELD", payment_id)
    assert await reconciler(till, ahead_s=6).look_due() == 0
    report = payment_report(await till.gateway.fetch_payment(payment_id))
    late = await till.room.tell(escrow_id, report.command, RAZORPAY, cause=report.cause)
    assert not late.has_changed


async def test_an_escrow_that_could_not_be_asked_about_is_asked_about_again(till: Till) -> None:
    escrow_id, order_id = await till.order()
    await till.buyer.pay(order_id)
    await till.buyer.misbehave(api={"error": 1.0})
    assert await reconciler(till, ahead_s=6).look_due() == 1
    assert (await till.room.escrow(escrow_id)).status is Status.INITIATED
    await till.buyer.misbehave()
    assert await reconciler(till, ahead_s=60).look_due() == 1
    assert (await till.room.escrow(escrow_id)).status is Status.HELD


async def test_what_is_forgotten_is_not_asked_about_any_more(till: Till) -> None:
    escrow_id, _ = await till.order()
    await till.room.tell(escrow_id, c.CancelEscrow(), BUYER)
    assert await reconciler(till, ahead_s=11 * DAY_S).look_due() == 1
    assert await reconciler(till, ahead_s=1_000 * DAY_S).look_due() == 0


async def test_the_loop_outlives_a_database_that_is_away(
    till: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    escrow_id, order_id = await till.order()
    await till.buyer.pay(order_id)
    monkeypatch.setattr(reconcile, "LOOK_EVERY_S", 0.01)
    asking = reconciler(till, ahead_s=6)
    with monkeypatch.context() as away:
        away.setattr(till.room.store, "write", _away)
        running = asyncio.create_task(asking.run())
        await until(lambda: "could not be read" in caplog.text)
    await till.reaches(escrow_id, "HELD")
    await _stop(running)


def _away() -> Any:
    raise Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away.")


async def _stop(running: asyncio.Task[None]) -> None:
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def held(till: Till) -> tuple[Escrow, str]:
    """An escrow whose transfer stands on hold, and the transfer's id."""
    escrow = await till.rests(await till.paid())
    (transfer,) = (await till.buyer.state())["transfers"]
    return escrow, transfer["id"]


async def reversed_by_hand(till: Till, transfer_id: str) -> None:
    path = f"/transfers/{transfer_id}/reversals"
    assert (await till.buyer.api("POST", path, {"amount": TRANSFER}))[0] == 200


async def unheld_by_hand(till: Till, transfer_id: str) -> None:
    path = f"/transfers/{transfer_id}"
    assert (await till.buyer.api("PATCH", path, {"on_hold": False}))[0] == 200


@pytest.mark.parametrize(
    ("meddle", "difference"),
    [
        (reversed_by_hand, "transfers of whole come to 0, the escrow says 97500"),
        (unheld_by_hand, "is no longer on hold"),
    ],
)
async def test_what_was_done_by_hand_is_told_once_and_nothing_is_moved_for_it(
    till: Till,
    meddle: Callable[[Till, str], Coroutine[Any, Any, None]],
    difference: str,
) -> None:
    before, transfer_id = await held(till)
    assert not await reconciler(till).look(before.escrow_id)
    await meddle(till, transfer_id)
    state = await till.buyer.state()
    looks = [reconciler(till).look(before.escrow_id) for _ in range(3)]
    assert sorted(await asyncio.gather(*looks)) == [False, False, True]
    escrow = await till.room.escrow(before.escrow_id)
    assert difference in escrow.attention
    assert (escrow.status, escrow.version) == (Status.HELD, before.version + 1)
    assert not await reconciler(till).look(before.escrow_id)
    assert await till.owed(before.escrow_id) is None
    assert await till.room.escrow(before.escrow_id) == escrow
    assert await till.buyer.state() == state


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
async def test_a_lost_dispute_is_told_as_lost_and_goes_on_stopping_the_release(
    till: Till, ask: Ask
) -> None:
    escrow, _ = await held(till)
    await bank(till, escrow, "created")
    await by_the_list(till, escrow.escrow_id)
    await bank(till, escrow, "lost")
    assert [await ask(till, escrow.escrow_id) for _ in range(2)] == [True, False]
    assert "has lost the bank's dispute" in (await till.room.escrow(escrow.escrow_id)).attention


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
    assert (told, answer) == ([(1, 0)], (1, 1))
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
    running = asyncio.create_task(reconciler(till).run_disputes(first_s=0.0, every_s=0.01))
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
