"""The three-way check by the hour: it says what it found, and nothing ends it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.books import audit
from core.books.audit import Auditor, AuditState
from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import SETTLEMENT
from core.razorpay import Gateway, GatewayUnavailable, Payment
from core.settlement.compare import Comparer
from core.storage import tables as t
from scripts.sandbox import Sandbox
from tests.core.law.story import SERVICE
from tests.core.till import Till, open_till
from tests.fakes.wait import running, until

OFTEN_S = 0.01
TRANSFER = 97_500


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(process_delay_s=0.01, seed=4) as running:
        yield running


@pytest.fixture
async def till(database_url: str, sandbox: Sandbox) -> AsyncIterator[Till]:
    async with open_till(database_url, sandbox) as opened:
        yield opened


def auditor(till: Till, gateway: Gateway | None = None) -> Auditor:
    return Auditor(
        till.room.store, Comparer(gateway or till.gateway).differences, now_us=till.room.time
    )


def running_auditor(till: Till) -> Auditor:
    """An auditor whose clock goes on by itself, as what runs by a clock needs it."""
    from_us, begun_s = till.room.time(), time.monotonic()

    def now_us() -> int:
        return from_us + round((time.monotonic() - begun_s) * audit.US_PER_S)

    return Auditor(till.room.store, Comparer(till.gateway).differences, now_us=now_us)


async def ended(auditing: Auditor, checked: int | None = None) -> AuditState:
    """Wait for a check that has ended, of so many escrows."""
    async with asyncio.timeout(10):
        while True:
            state = await auditing.state()
            row = state and state.progress
            if row and row.check_time_us and checked in (None, row.escrows_checked):
                assert state is not None
                return state
            await asyncio.sleep(OFTEN_S)


async def reversed_by_hand(till: Till) -> None:
    (transfer,) = (await till.buyer.state())["transfers"]
    path = f"/transfers/{transfer['id']}/reversals"
    assert (await till.buyer.api("POST", path, {"amount": TRANSFER}))[0] == 200


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(r.levelno, r.getMessage()) for r in caplog.records if r.name == audit.__name__]


async def test_it_checks_at_its_interval_and_keeps_the_last_result(till: Till) -> None:
    every_s = 0.2
    auditing = running_auditor(till)
    async with running(auditing.run(every_s)):
        assert await auditing.state() is None
        first = await ended(auditing)
        await till.room.create()
        second = await ended(auditing, 1)
    assert (first.progress.escrows_checked, first.findings) == (0, ())
    assert first.progress.check_time_us is not None
    assert second.progress.check_time_us is not None
    gap_us = second.progress.check_time_us - first.progress.check_time_us
    assert gap_us > every_s * 0.9 * audit.US_PER_S
    # Another core, or this one after a restart, knows it too.
    assert await auditor(till).state() == second


async def test_books_that_are_right_make_one_quiet_line(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await till.rests(await till.paid())
    await till.room.create()
    async with running(running_auditor(till).run(OFTEN_S)):
        await until(lambda: lines(caplog))
    assert set(lines(caplog)) == {(logging.INFO, "books: 2 escrows checked, 0 findings")}


async def test_findings_are_an_error_in_the_log_and_move_nothing(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    escrow = await till.rests(await till.paid())
    await till.room.create()
    await reversed_by_hand(till)
    state = await till.buyer.state()
    auditing = running_auditor(till)
    async with running(auditing.run(OFTEN_S)):
        await until(lambda: lines(caplog))
    assert set(lines(caplog)) == {(logging.ERROR, "books: 2 escrows checked, 1 findings")}
    (finding,) = (await ended(auditing)).findings
    assert (finding.escrow_id, finding.check) == (escrow.escrow_id, "RAZORPAY")
    assert "come to 0" in finding.message
    assert await till.room.escrow(escrow.escrow_id) == escrow
    assert await till.buyer.state() == state


async def test_the_record_is_checked_too_and_without_asking_razorpay_where_not_wanted(
    till: Till,
) -> None:
    escrow = await till.rests(await till.paid())
    await reversed_by_hand(till)
    async with till.room.store._engine.begin() as connection:
        await connection.execute(sa.delete(t.postings))
    result = await auditor(till).check()
    assert {finding.check for finding in result.findings} == {"LEDGER", "BALANCES"}
    result = await auditor(till).check(escrow_id=escrow.escrow_id, with_razorpay=True)
    assert {finding.check for finding in result.findings} == {"LEDGER", "RAZORPAY"}


async def test_a_kept_balance_that_is_not_its_postings_is_found_when_all_is_checked(
    till: Till,
) -> None:
    escrow = await till.rests(await till.paid())
    async with till.room.store.write() as transaction:
        await transaction.fold(100)
    async with till.room.store._engine.begin() as connection:
        kept = sa.update(t.balances).where(t.balances.c.account == "razorpay:on_hold")
        await connection.execute(kept.values(amount_minor=TRANSFER + 5))
    (finding,) = (await auditor(till).check()).findings
    assert (finding.escrow_id, finding.check) == ("", "BALANCES")
    assert finding.message == (
        f"razorpay:on_hold is kept as {TRANSFER + 5} INR, its postings come to {TRANSFER}"
    )
    assert (await auditor(till).check(escrow_id=escrow.escrow_id)).findings == ()


async def test_one_escrow_is_checked_alone_and_all_in_pages(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)
    escrow_ids = [await till.room.create() for _ in range(5)]
    assert (await auditor(till).check()).escrows_checked == 5
    assert (await auditor(till).check(escrow_id=escrow_ids[0])).escrows_checked == 1


async def test_a_database_that_is_away_costs_a_check_and_nothing_more(
    till: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(**_: object) -> Any:
        raise Refusal(Reason.STORAGE_UNAVAILABLE, "The database is away.")

    await till.room.create()
    auditing = running_auditor(till)
    with monkeypatch.context() as broken:
        broken.setattr(till.room.store, "books", away)
        async with running(auditing.run(OFTEN_S)):
            await until(lambda: len(lines(caplog)) > 1)
            state = await auditing.state()
            assert state is not None
            assert state.progress.check_time_us is None
            broken.undo()
            await ended(auditing)
    assert (logging.WARNING, "the books could not be checked: The database is away.") in lines(
        caplog
    )


async def test_a_razorpay_that_is_away_is_no_finding(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    await till.rests(await till.paid())
    await till.buyer.misbehave(api={"error": 1.0})
    auditing = running_auditor(till)
    async with running(auditing.run(OFTEN_S)):
        await until(lambda: len(lines(caplog)) > 1)
        state = await auditing.state()
        assert state is not None
        assert state.progress.check_time_us is None
        assert {level for level, _ in lines(caplog)} == {logging.WARNING}
        await till.buyer.misbehave()
        assert (await ended(auditing)).findings == ()


async def test_a_record_that_cannot_be_read_is_a_finding_and_hides_no_other(
    till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await till.room.create()
    async with till.room.store._engine.begin() as connection:
        await connection.execute(sa.update(t.events).values(body=b"\xff no event"))
    auditing = running_auditor(till)
    async with running(auditing.run(OFTEN_S)):
        await until(lambda: len(lines(caplog)) > 1)
    assert {level for level, _ in lines(caplog)} == {logging.ERROR}
    assert [finding.check for finding in (await ended(auditing)).findings] == ["HASHES", "HASHES"]


class Meanwhile(Gateway):
    """A gateway during whose answers something else happens."""

    happens: Callable[[], Awaitable[object]]

    async def fetch_payment(self, payment_id: str) -> Payment:
        await self.happens()
        return await super().fetch_payment(payment_id)


@pytest.fixture
async def meanwhile(sandbox: Sandbox) -> AsyncIterator[Meanwhile]:
    gateway = Meanwhile(
        key_id=sandbox.key_id, key_secret=sandbox.key_secret, base_url=sandbox.base_url
    )
    yield gateway
    await gateway.close()


async def test_an_escrow_that_goes_on_meanwhile_is_left_to_the_next_check(
    till: Till, meanwhile: Meanwhile
) -> None:
    escrow = await till.rests(await till.paid())
    await reversed_by_hand(till)
    meanwhile.happens = lambda: till.room.tell(
        escrow.escrow_id, c.PublishUpdate("parcel_sent"), SERVICE
    )
    assert (await auditor(till, meanwhile).check(with_razorpay=True)).findings == ()
    assert len((await auditor(till).check(with_razorpay=True)).findings) == 1


async def test_an_escrow_that_settlement_still_works_on_is_not_compared(
    till: Till, meanwhile: Meanwhile
) -> None:
    async def never() -> None:
        raise GatewayUnavailable("Nobody should have asked.")

    meanwhile.happens = never
    await till.waits(await till.paid(payee=False))
    await till.room.create()
    result = await auditor(till, meanwhile).check(with_razorpay=True)
    assert (result.escrows_checked, result.findings) == (2, ())


async def test_a_payment_that_razorpay_does_not_know_is_a_finding_and_hides_no_other(
    till: Till,
) -> None:
    unknown = await till.room.paid()
    await till.room.tell(unknown, c.ReportHold("trf_1", TRANSFER), SETTLEMENT)
    known = await till.rests(await till.paid())
    await reversed_by_hand(till)
    result = await auditor(till).check(with_razorpay=True)
    found = {finding.escrow_id: finding.message for finding in result.findings}
    assert set(found) == {unknown, known.escrow_id}
    assert found[unknown] == "Razorpay: The id provided does not exist"
