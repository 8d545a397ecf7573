"""`python -m core books` and `recount`: an operator looks after the books."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.books.match import BANK
from core.books.recon import INDIA
from core.law.ledger import BALANCE
from core.storage import tables as t
from tests.core.room import Room, open_room
from tests.fakes.process import Process
from tests.fakes.reports import ReportServer, line_of
from tests.fakes.stack import JWT_SECRET, KEY_ID, KEY_SECRET, WEBHOOK_SECRET

EXIT_LIMIT_S = 30.0
NET = 97_640
TODAY = datetime.now(UTC).astimezone(INDIA).date()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()
EARLIER = (TODAY - timedelta(days=3)).isoformat()

Command = Callable[..., Process]


@pytest.fixture
async def reports() -> AsyncIterator[ReportServer]:
    async with ReportServer() as server:
        yield server


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as opened:
        yield opened


@pytest.fixture
def core(database_url: str, reports: ReportServer, tmp_path: Path) -> Command:
    """Starts a command of core on the room's database, with the reports as its Razorpay."""
    env = {
        "DATABASE_URL": database_url,
        "JWT_SECRET": JWT_SECRET,
        "RAZORPAY_KEY_ID": KEY_ID,
        "RAZORPAY_KEY_SECRET": KEY_SECRET,
        "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "RAZORPAY_BASE_URL": reports.url,
    }
    numbers = itertools.count()

    def start(*arguments: str) -> Process:
        log = tmp_path / f"books-{next(numbers)}.log"
        process = Process("books", ["core", *arguments], env, log)
        process.spawn()
        return process

    return start


@pytest.fixture
def command(core: Command) -> Command:
    return partial(core, "books")


async def payment_of(room: Room) -> str:
    return (await room.escrow(await room.paid())).payment.payment_id


async def balance(room: Room, account: str) -> dict[str, int]:
    return dict(await room.store.ledger.balance(account))


def table(process: Process) -> list[list[str]]:
    """The rows of the table that it has printed."""
    lines = process.lines.splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("day "))
    return [line.split() for line in lines[head + 1 :] if line[:2] == "20"]


async def test_a_day_that_is_explained_ends_with_0_and_a_second_run_changes_nothing(
    room: Room, reports: ReportServer, command: Command
) -> None:
    payment_id = await payment_of(room)
    lines = (line_of(payment_id, "payment", NET), line_of("adj_1", "adjustment", -640))
    reports.settle(YESTERDAY, "setl_1", *lines)
    for _ in range(2):
        asked = command("--day", YESTERDAY)
        assert await asked.exit_code(EXIT_LIMIT_S) == 0, asked.lines
        assert table(asked) == [[YESTERDAY, "3", "1", "2", "0", "0"]]
        assert f"{YESTERDAY}: 2 lines fetched" in asked.lines
        assert await balance(room, BANK) == {"INR": NET - 640}
        assert await balance(room, BALANCE) == {"INR": 0}
    (entry,) = [e for e in await entries_of(room, payment_id) if e[0] == "razorpay:fees"]
    assert entry[1:] == ("setl_1", "utrsetl_1")


async def entries_of(room: Room, entity_id: str) -> list[tuple[str, str, str]]:
    found = await room.store.ledger.entries(entity_id=entity_id, after=None, limit=20)
    return [(row.account, row.settlement_id, row.utr) for row in found]


async def test_differences_end_with_1_and_are_told_with_both_sides(
    room: Room, reports: ReportServer, command: Command
) -> None:
    payment_id = await payment_of(room)
    reports.settle(EARLIER, "setl_1", line_of(payment_id, "payment", NET))
    reports.settle(YESTERDAY, "setl_2", line_of("pay_x", "payment", 976_400))
    asked = command("--since", EARLIER)
    assert await asked.exit_code(EXIT_LIMIT_S) == 1, asked.lines
    rows = table(asked)
    assert [row[0] for row in rows] == [(TODAY - timedelta(days=n)).isoformat() for n in (3, 2, 1)]
    assert [row[-1] for row in rows] == ["0", "0", "1"]
    finding = f"{YESTERDAY}: Razorpay: pay_x credit ₹9,764; the books: nothing"
    assert asked.lines.splitlines()[-1] == f"RECON_MISSING: {finding}"


async def test_a_razorpay_that_is_away_ends_with_2_and_one_sentence(
    room: Room, reports: ReportServer, command: Command
) -> None:
    reports.is_away = True
    asked = command("--day", YESTERDAY)
    assert await asked.exit_code(EXIT_LIMIT_S) == 2
    assert "Traceback" not in asked.lines
    assert "settlement report cannot be fetched" in asked.lines.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--day", "yesterday"),
        ("--day", "2026-02-30"),
        ("--day", (TODAY + timedelta(days=1)).isoformat()),
        ("--since", "1999-01-01"),
        ("--since", TODAY.isoformat()),
        ("--day", YESTERDAY, "--since", YESTERDAY),
    ],
)
async def test_arguments_that_are_none_are_one_sentence_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    process = Process("books", ["core", "books", *arguments], {}, tmp_path / "books.log")
    process.spawn()
    assert await process.exit_code(EXIT_LIMIT_S) == 2
    assert "Traceback" not in process.lines
    complaints = [line for line in process.lines.splitlines() if "error:" in line]
    assert len(complaints) == 1
    assert "--day" in complaints[0] or "--since" in complaints[0]


async def test_a_recount_says_what_it_corrects(room: Room, core: Command) -> None:
    await payment_of(room)
    async with room.store._engine.begin() as connection:
        await connection.execute(sa.delete(t.balance_deltas))
    for said in (True, False):
        asked = core("recount")
        assert await asked.exit_code(EXIT_LIMIT_S) == 0, asked.lines
        line = f"corrected: {BALANCE}: was kept as 0, its postings come to {NET} INR\n"
        assert (line in asked.lines) == said
        assert asked.lines.endswith("done: every balance is the sum of its postings\n")
    assert await balance(room, BALANCE) == {"INR": NET}
