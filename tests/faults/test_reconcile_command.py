"""`python -m core reconcile --since …`: an operator fetches what no webhook has reported."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.deal import Deal
from tests.fakes.gate import Gate
from tests.fakes.process import Process
from tests.fakes.stack import Client, Stack

PAID = 3
EXIT_LIMIT_S = 30.0

Command = Callable[..., Process]


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with Gate() as opened:
        yield opened


@pytest.fixture
async def client(tmp_path: Path, gate: Gate, own_url: str | None) -> AsyncIterator[Client]:
    """A stack whose webhooks are lost, and whose core reaches Razorpay only through the gate."""
    stack = Stack(tmp_path, database_url=own_url, razorpay_url=gate.url)
    gate.opens_to = stack.sandbox_url
    try:
        await stack.start()
        async with stack.client() as opened:
            await opened.faults(webhooks={"drop": 1})
            yield opened
    finally:
        stack.stop()


@pytest.fixture
def command(client: Client, tmp_path: Path) -> Command:
    """Starts the command with core's settings, but with another address of Razorpay."""
    env = {**client.stack.core_env, "RAZORPAY_BASE_URL": client.stack.sandbox_url}
    numbers = itertools.count()

    def start(*arguments: str) -> Process:
        log = tmp_path / f"reconcile-{next(numbers)}.log"
        process = Process("reconcile", ["core", "reconcile", *arguments], env, log)
        process.spawn()
        return process

    return start


async def test_the_command_brings_what_was_paid_unheard_to_held(
    client: Client, gate: Gate, command: Command
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    deals = [Deal(client) for _ in range(PAID)]
    unpaid = Deal(client)
    for deal in (*deals, unpaid):
        await deal.agree()
        await deal.order()
    # What core itself would ask, five seconds after the order, finds nobody.
    gate.shut("GET")
    await asyncio.gather(*(client.pay(deal.order_id) for deal in deals))
    asking = command("--since", before.isoformat())
    assert await asking.exit_code(EXIT_LIMIT_S) == 0, asking.lines
    total = f"{PAID + 1} escrows asked about, {PAID} changed"
    assert f"asked about {PAID + 1}, changed {PAID}\n" in asking.lines
    assert asking.lines.splitlines()[-1] == f"done: {total}"
    for deal in deals:
        assert (await deal.get()).status == deal.status("HELD")
    assert (await unpaid.get()).status == deal.status("INITIATED")
    await gate.open()


async def test_the_command_leaves_alone_what_rested_since_the_time(
    client: Client, gate: Gate, command: Command
) -> None:
    deal = Deal(client)
    await deal.agree()
    await deal.order()
    gate.shut("GET")
    await client.pay(deal.order_id)
    asking = command("--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert await asking.exit_code(EXIT_LIMIT_S) == 0, asking.lines
    assert asking.lines.splitlines()[-1] == "done: 0 escrows asked about, 0 changed"
    assert (await deal.get()).status == deal.status("INITIATED")
    await gate.open()


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--since", "2026-13-01"), ()])
async def test_a_time_that_is_none_is_one_sentence_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = ["core", "reconcile", *arguments]
    process = Process("reconcile", command, {}, tmp_path / "reconcile.log")
    process.spawn()
    assert await process.exit_code(EXIT_LIMIT_S) == 2
    assert "Traceback" not in process.lines
    complaints = [line for line in process.lines.splitlines() if "error:" in line]
    assert len(complaints) == 1
    assert "--since" in complaints[0]
