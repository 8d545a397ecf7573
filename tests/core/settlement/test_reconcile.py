"""What the webhooks did not tell is asked for: soon, then rarely, and told as they would have."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import RAZORPAY
from core.law.escrow import Escrow
from core.law.status import FINAL, Status
from core.settlement import reconcile
from core.settlement.reconcile import DAY_S, MAX_AT_ONCE, Reconciler, Schedule
from core.settlement.report import payment_report
from scripts.sandbox import Sandbox
from tests.core.law.story import BUYER, SECOND_US, payment, story_in
from tests.core.till import Till, open_till
from tests.fakes.wait import until

TRANSFER = 97_500
SCHEDULE = Schedule()
AWAITED = [Status.INITIATED, Status.CANCELLED]
SECRET = "whsec_of_the_tests"


@pytest.fixture
async def till(database_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(database_url, sandbox) as opened:
        yield opened


def reconciler(till: Till, ahead_s: float = 0.0, schedule: Schedule = SCHEDULE) -> Reconciler:
    """Somebody who reconciles, and whose clock goes ahead of the till's."""
    return Reconciler(
        till.room.store,
        till.room.executor,
        till.gateway,
        now_us=lambda: till.room.time() + round(ahead_s * SECOND_US),
        schedule=schedule,
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


async def test_what_razorpay_did_not_answer_is_asked_again_as_soon_as_before(till: Till) -> None:
    escrow_id, order_id = await till.order()
    await till.buyer.pay(order_id)
    await till.buyer.misbehave(api={"error": 1.0})
    first_s = SCHEDULE.awaited_first_s
    for look in range(1, 7):
        assert await reconciler(till, ahead_s=look * (first_s + 1)).look_due() == 1
    assert (await till.room.escrow(escrow_id)).status is Status.INITIATED
    await till.buyer.misbehave()
    assert await reconciler(till, ahead_s=7 * (first_s + 1)).look_due() == 1
    assert (await till.room.escrow(escrow_id)).status is Status.HELD


async def test_a_page_of_which_razorpay_answers_nothing_is_the_last_for_a_while(
    till: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        _, order_id = await till.order()
        await till.buyer.pay(order_id)
    await till.buyer.misbehave(api={"error": 1.0})
    monkeypatch.setattr(reconcile, "PAGE", 1)
    monkeypatch.setattr(reconcile, "LOOK_EVERY_S", 0.01)
    caplog.set_level("INFO", "core.settlement.reconcile")
    running = asyncio.create_task(reconciler(till, ahead_s=60).run())
    await until(lambda: "asking about" in caplog.text)
    await asyncio.sleep(0.5)
    assert caplog.text.count("asking about") == 1
    await _stop(running)
    hasty = reconciler(till, ahead_s=60, schedule=Schedule(away_s=0.01))
    running = asyncio.create_task(hasty.run())
    await until(lambda: caplog.text.count("asking about") == 3)
    await _stop(running)


async def test_only_a_few_are_asked_about_while_razorpay_is_away(till: Till) -> None:
    for _ in range(MAX_AT_ONCE + 2):
        _, order_id = await till.order()
        await till.buyer.pay(order_id)
    await till.buyer.misbehave(api={"error": 1.0})
    asking = reconciler(till, ahead_s=6, schedule=Schedule(awaited_first_s=0.0))
    looks = [await asking.look_due() for _ in range(3)]
    assert looks == [MAX_AT_ONCE + 2, MAX_AT_ONCE, MAX_AT_ONCE]
    await till.buyer.misbehave()
    assert [await asking.look_due() for _ in range(3)] == [MAX_AT_ONCE, 2, 0]


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
        away.setattr(till.room.store, "transact", _away)
        running = asyncio.create_task(asking.run())
        await until(lambda: "could not be read" in caplog.text)
    await till.reaches(escrow_id, "HELD")
    await _stop(running)


def _away(_work: Any) -> Any:
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
