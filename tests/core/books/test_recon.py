"""Settlement reports held against stored books: what is posted, kept, found, and looked at when."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.books import recon
from core.books.audit import Auditor
from core.books.match import ADJUSTMENTS, BANK, Outcome
from core.books.recon import DAY_S, Recon
from core.errors import Reason, Refusal
from core.law.ledger import BALANCE
from core.settlement.compare import Finding
from core.settlement.recon import ReconLine, Settlement, SettlementReports
from core.storage import recon as stored
from core.storage import tables as t
from core.storage.row import PostingRow
from tests.core.room import Room
from tests.fakes.wait import running, until

# The tests begin on 15 November at 3:43 in India: the report of the day before is due.
DAY = date(2023, 11, 14)
NET = 97_640
OFTEN_S = 0.01
HOUR_S = 3_600.0


class Reports(SettlementReports):
    """Razorpay's reports as the test has them."""

    def __init__(self) -> None:
        self.days: dict[date, list[ReconLine]] = {}
        self.settlements: dict[str, Settlement] = {}
        self.asked: list[date] = []
        self.is_away = False

    async def lines(self, day: date) -> list[ReconLine]:
        self.asked.append(day)
        is_away = self.is_away  # As of now: whoever sees that it was asked may bring it back.
        await asyncio.sleep(0)
        if is_away:
            raise Refusal(Reason.GATEWAY_UNAVAILABLE, "Razorpay is away.")
        return self.days.get(day, [])

    async def settlement(self, settlement_id: str) -> Settlement | None:
        return self.settlements.get(settlement_id)

    def settle(self, day: date, settlement_id: str, *lines: ReconLine) -> None:
        """Bring lines to the bank together."""
        brought = [replace(line, settlement_id=settlement_id, utr="UTR1") for line in lines]
        self.days.setdefault(day, []).extend(brought)
        total = sum(line.net_minor for line in lines)
        self.settlements[settlement_id] = Settlement(settlement_id, total, "processed", "UTR1", 1)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def books(room: Room, reports: Reports) -> Recon:
    return Recon(room.store, reports, now_us=room.time)


async def paid(room: Room) -> tuple[str, ReconLine]:
    """A payment of ours: its escrow, and the line that Razorpay has for it."""
    escrow_id = await room.paid()
    payment_id = (await room.escrow(escrow_id)).payment.payment_id
    return escrow_id, ReconLine(payment_id, "payment", credit_minor=NET, currency="INR")


async def entries(room: Room, **which: str) -> list[PostingRow]:
    return await room.store.ledger.entries(**which, after=None, limit=100)


async def balance(room: Room, account: str) -> dict[str, int]:
    return dict(await room.store.ledger.balance(account))


async def tables(room: Room) -> list[object]:
    """All that a look may write, but for when it was."""
    found: list[object] = []
    for table in (t.postings, t.balance_deltas, t.recon_lines):
        query = sa.select(table).order_by(*table.primary_key.columns)
        found += [tuple(row) for row in await room.store._rows(query)]
    return found


ADJUSTMENT = ReconLine("adj_1", "adjustment", debit_minor=1_180, currency="INR")


async def test_a_report_that_the_books_explain_is_matched_and_posted(
    room: Room, reports: Reports, books: Recon
) -> None:
    (_, one), (_, other) = await paid(room), await paid(room)
    reports.settle(DAY, "setl_1", one, other, ADJUSTMENT)
    result = await books.look(DAY)
    assert result.findings == ()
    assert result.lines == 4
    assert result.counts == {Outcome.MATCHED: 2, Outcome.POSTED: 2}
    at_bank = 2 * NET - 1_180
    assert await balance(room, BANK) == {"INR": at_bank}
    assert await balance(room, ADJUSTMENTS) == {"INR": 1_180}
    assert await balance(room, BALANCE) == {"INR": 0}
    assert await room.store.ledger.drifts(10) == []
    assert await room.store.ledger.lopsided(10) == []


async def test_looking_again_changes_nothing(room: Room, reports: Reports, books: Recon) -> None:
    _, line = await paid(room)
    foreign = ReconLine("pay_foreign", "payment", credit_minor=100, currency="INR")
    reports.settle(DAY, "setl_1", line, ADJUSTMENT, foreign)
    first = await books.look(DAY)
    before = await tables(room)
    reports.days[DAY].reverse()
    assert await books.look(DAY) == first
    assert await tables(room) == before


async def test_two_cores_that_look_at_once_post_once(
    two_rooms: tuple[Room, Room], reports: Reports
) -> None:
    reports.settle(DAY, "setl_1", ADJUSTMENT, replace(ADJUSTMENT, entity_id="adj_2"))
    reports.settlements["setl_1"] = Settlement("setl_1", 5_000, "processed", "UTR1", 1)
    await asyncio.gather(
        *(Recon(room.store, reports, now_us=room.time).look(DAY) for room in two_rooms * 3)
    )
    assert await balance(two_rooms[0], ADJUSTMENTS) == {"INR": 2 * 1_180}
    assert await balance(two_rooms[0], BANK) == {"INR": 5_000}
    assert await two_rooms[0].store.ledger.drifts(10) == []


async def test_an_entry_shows_the_settlement_that_brought_it(
    room: Room, reports: Reports, books: Recon
) -> None:
    (escrow_id, line), (other_id, other) = await paid(room), await paid(room)
    assert {row.settlement_id for row in await entries(room, escrow_id=escrow_id)} == {""}
    reports.settle(DAY, "setl_1", line, ADJUSTMENT)
    reports.settle(DAY, "setl_2", other)
    await books.look(DAY)
    ours = await entries(room, escrow_id=escrow_id)
    assert {(r.entity_id, r.settlement_id, r.utr) for r in ours} == {
        (line.entity_id, "setl_1", "UTR1")
    }
    brought = await entries(room, settlement_id="setl_1")
    assert {row.entity_id for row in brought} == {line.entity_id, "adj_1", "setl_1"}
    assert {row.escrow_id for row in brought if not row.is_outside} == {escrow_id}
    named = await entries(room, entity_id=other.entity_id)
    assert {(row.escrow_id, row.settlement_id) for row in named} == {(other_id, "setl_2")}
    both = {"settlement_id": "setl_1", "account": BANK}
    assert [row.amount_minor for row in await entries(room, **both)] == [NET - 1_180]
    assert await entries(room, entity_id=line.entity_id, settlement_id="setl_2") == []


async def test_each_planted_difference_is_found_and_nothing_else(
    room: Room, reports: Reports, books: Recon
) -> None:
    (escrow_id, other_amount), (_, right) = await paid(room), await paid(room)
    foreign = ReconLine("rfnd_x", "refund", debit_minor=976_400, currency="INR")
    more = replace(other_amount, credit_minor=NET + 1)
    reports.settle(DAY, "setl_1", more, right, ADJUSTMENT, foreign)
    result = await books.look(DAY)
    assert set(result.findings) == {
        Finding(
            escrow_id,
            "RECON_DIFFERENT",
            f"2023-11-14: Razorpay: {more.entity_id} credit ₹976.41; the books: credit ₹976.40",
        ),
        Finding(
            "",
            "RECON_MISSING",
            "2023-11-14: Razorpay: rfnd_x debit ₹9,764; the books: nothing",
        ),
    }
    assert {row.settlement_id for row in await entries(room, escrow_id=escrow_id)} == {""}
    state = await books.state()
    assert state is not None
    assert (state.day, state.lines) == ("2023-11-14", 5)
    assert set(state.findings) == set(result.findings)


async def test_what_the_books_learn_later_is_no_finding_any_more(
    room: Room, reports: Reports, books: Recon
) -> None:
    escrow_id, line = await paid(room)
    async with room.store._engine.begin() as connection:
        await connection.execute(
            sa.update(t.postings).values(entity_id="").where(t.postings.c.escrow_id == escrow_id)
        )
    reports.settle(DAY, "setl_1", line)
    assert len((await books.look(DAY)).findings) == 1
    async with room.store._engine.begin() as connection:
        await connection.execute(
            sa.update(t.postings)
            .values(entity_id=line.entity_id)
            .where(t.postings.c.escrow_id == escrow_id)
        )
    assert (await books.look(DAY)).findings == ()
    state = await books.state()
    assert state is not None
    assert state.findings == ()


async def test_lines_that_razorpay_no_longer_reports_are_forgotten(
    room: Room, reports: Reports, books: Recon
) -> None:
    _, line = await paid(room)
    foreign = ReconLine("pay_x", "payment", credit_minor=5, currency="INR", settlement_id="")
    reports.settle(DAY, "setl_1", line)
    reports.days[DAY].append(foreign)
    assert len((await books.look(DAY)).findings) == 1
    reports.days[DAY].remove(foreign)
    assert (await books.look(DAY)).findings == ()
    state = await books.state()
    assert state is not None
    assert (state.lines, state.findings) == (2, ())


async def test_a_line_of_another_day_is_not_explained_by_the_same_posting(
    room: Room, reports: Reports, books: Recon
) -> None:
    _, line = await paid(room)
    reports.settle(DAY, "setl_1", line)
    reports.settle(DAY + timedelta(days=1), "setl_2", line)
    assert (await books.look(DAY)).findings == ()
    (finding,) = (await books.look(DAY + timedelta(days=1))).findings
    assert finding.check == "RECON_DOUBLE"
    assert (await books.look(DAY)).findings == ()


async def test_a_settlement_that_razorpay_does_not_know_is_a_finding(
    reports: Reports, books: Recon
) -> None:
    reports.settle(DAY, "setl_1", ADJUSTMENT)
    del reports.settlements["setl_1"]
    (finding,) = (await books.look(DAY)).findings
    assert finding.message == "2023-11-14: Razorpay: setl_1 is in a report, and unknown"


async def test_postings_of_no_escrow_that_do_not_sum_to_zero_are_found_by_the_check(
    room: Room, reports: Reports, books: Recon
) -> None:
    async def nothing(_: object) -> list[Finding]:
        return []

    reports.settle(DAY, "setl_1", ADJUSTMENT)
    reports.settlements["setl_1"] = Settlement("setl_1", 100, "processed", "UTR1", 1)
    await books.look(DAY)
    auditor = Auditor(room.store, nothing, now_us=room.time)
    assert (await auditor.check()).findings == ()
    async with room.store._engine.begin() as connection:
        await connection.execute(sa.delete(t.postings).where(t.postings.c.account == ADJUSTMENTS))
    checks = {(f.check, f.message) for f in (await auditor.check()).findings}
    assert ("POSTINGS", "those of adj_1 sum to -1180 INR, not to zero") in checks
    assert {check for check, _ in checks} == {"POSTINGS", "BALANCES"}


async def due(room: Room) -> dict[str, float | None]:
    """The days that are known, and in how many hours each is due."""
    c = t.recon_days.c
    rows = await room.store._rows(sa.select(c.day, c.due_us))
    now_us = room.time.us
    hours_us = HOUR_S * 1_000_000
    return {
        row.day: None if row.due_us is None else round((row.due_us - now_us) / hours_us)
        for row in rows
    }


async def test_the_first_look_is_at_yesterday_and_each_day_brings_the_next(
    room: Room, reports: Reports, books: Recon
) -> None:
    (result,) = await books.look_due()
    assert result.day == DAY.isoformat()
    assert await books.look_due() == []
    room.time.pass_s(3 * DAY_S)
    assert {one.day for one in await books.look_due()} == {
        (DAY + timedelta(days=n)).isoformat() for n in range(4)
    }


async def test_a_day_is_not_looked_at_before_its_report_can_be_ready(
    room: Room, reports: Reports, books: Recon
) -> None:
    midnight = datetime(2023, 11, 15, 18, 30, tzinfo=UTC)  # In India.
    room.time.us = round(midnight.timestamp()) * 1_000_000
    await books.look_due()
    reports.asked.clear()
    assert (await due(room))["2023-11-15"] == 2
    room.time.pass_s(2 * HOUR_S)
    await books.look_due()
    assert reports.asked == [date(2023, 11, 15)]


async def test_an_explained_day_is_closed_after_some_days_and_an_open_one_later(
    room: Room, reports: Reports, books: Recon
) -> None:
    reports.days[DAY] = [ReconLine("pay_x", "payment", credit_minor=5, currency="INR")]
    await books.look_due()
    assert await due(room) == {"2023-11-14": 12}
    room.time.pass_s(4 * DAY_S)
    await books.look_due()
    assert (await due(room))["2023-11-14"] == 12
    assert (await due(room))["2023-11-15"] is None
    room.time.pass_s(11 * DAY_S)
    await books.look_due()
    assert (await due(room))["2023-11-14"] is None
    state = await books.state()
    assert state is not None
    assert state.findings == (), "a day that is closed is told of no more"


async def test_a_core_that_was_away_for_long_catches_up_on_the_latest_days_only(
    room: Room, reports: Reports, books: Recon
) -> None:
    await books.look_due()
    reports.asked.clear()
    room.time.pass_s(100 * DAY_S)
    await books.look_due()
    assert len(reports.asked) == recon.MAX_CATCH_UP_DAYS + 1
    assert max(reports.asked) == DAY + timedelta(days=100)


async def test_two_cores_share_the_days(two_rooms: tuple[Room, Room], reports: Reports) -> None:
    both = [Recon(room.store, reports, now_us=room.time) for room in two_rooms]
    await both[0].look_due()
    reports.asked.clear()
    two_rooms[0].time.pass_s(9 * DAY_S)
    looked = await asyncio.gather(*(one.look_due() for one in both))
    days = [result.day for results in looked for result in results]
    assert len(days) == len(set(days)) == len(reports.asked) == 10


async def test_a_day_of_a_core_that_died_is_taken_over_when_its_lease_is_over(
    room: Room, reports: Reports, books: Recon
) -> None:
    async with room.store.write() as transaction:
        await transaction.recon.expect({DAY.isoformat(): 1})
        until_us = room.time.us + 60_000_000
        assert await transaction.run(
            stored.lease(lease_id="dead", now_us=room.time.us, until_us=until_us)
        )
    assert await books.look_due() == []
    room.time.pass_s(61)
    assert [one.day for one in await books.look_due()] == [DAY.isoformat()]


async def test_a_razorpay_that_is_away_is_asked_again_and_is_no_finding(
    room: Room, reports: Reports, books: Recon, caplog: pytest.LogCaptureFixture
) -> None:
    reports.is_away = True
    async with running(books.run(first_s=0, every_s=OFTEN_S)):
        await until(lambda: reports.asked)
        reports.is_away = False
        await until(lambda: [r for r in caplog.records if r.levelno == logging.WARNING])
        assert await books.state() is None
        room.time.pass_s(recon.RETRY_S)
        await until(lambda: len(reports.asked) > 1)
        async with asyncio.timeout(10):
            while await books.state() is None:  # noqa: ASYNC110 - the loop's doing
                await asyncio.sleep(OFTEN_S)


async def test_findings_are_errors_in_the_log(
    room: Room, reports: Reports, books: Recon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reports.days[DAY] = [ReconLine("pay_x", "payment", credit_minor=500, currency="INR")]

    def told() -> list[tuple[int, str]]:
        return [(r.levelno, r.getMessage()) for r in caplog.records if r.name == recon.__name__]

    async with running(books.run(first_s=0, every_s=OFTEN_S)):
        await until(lambda: len(told()) > 1)
    assert told() == [
        (
            logging.ERROR,
            "settlement report: 2023-11-14: Razorpay: pay_x credit ₹5; the books: nothing",
        ),
        (logging.ERROR, "settlement report of 2023-11-14: 1 lines, 1 findings"),
    ]
