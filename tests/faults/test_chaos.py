"""Everything goes wrong for many escrows at once. In the end each paisa is where it belongs."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.chaos import (
    Story,
    few_at_once,
    mixed,
    money_by_order,
    mortal_stack,
    settled,
)
from tests.fakes.database import on_both
from tests.fakes.deal import Deal, Money
from tests.fakes.size import Size
from tests.fakes.stack import Client

SEED = 20_261
CHANCE = 0.3
STORM = {
    "webhooks": {"duplicate": CHANCE, "drop": CHANCE, "reorder": CHANCE},
    "api": {"error": CHANCE, "timeout_after_success": CHANCE, "timeout_hold_s": 0},
}
AT_ONCE = 32
# Many looks of reconciliation: each needs one or two calls, of which every second fails.
NEWS_LIMIT_S = 90.0
END_LIMIT_S = 90.0

LOST_NEWS = 30

MOST_LIFE_S = 0.5
# Slows settlement down, so that it is under way whenever core dies.
LATENCY_S = 0.1


def check_money(story: Story, end: Any, money: Money) -> None:
    """Check that Razorpay, the escrow and its planned outcome agree, and nothing was done twice."""
    fate = story.fate
    told = (end.released, end.fee, end.refunded, end.held)
    wanted = [fate.released, fate.fee, fate.refunded, 0]
    assert [part.amount_minor for part in told] == wanted
    assert end.attention == ""
    assert [p["amount"] for p in money.payments] == ([fate.amount] if fate.is_paid else [])
    assert (money.on_hold, money.released, money.refunded) == (0, fate.released, fate.refunded)
    refunds = [part.refund for part in fate.parts if part.refund and fate.is_paid]
    pairs = zip(fate.parts, fate.fees, strict=True)
    releases = [part.release - fee for part, fee in pairs if part.release]
    assert sorted(r["amount"] for r in money.refunds) == sorted(refunds)
    assert sorted(t["amount"] - t["amount_reversed"] for t in money.standing) == sorted(releases)
    assert all(n == 1 for n in Counter(t["notes"]["part"] for t in money.transfers).values())


async def check_books(client: Client, stories: list[Story], moneys: list[Money]) -> None:
    """Check that the ledger balances, agrees with Razorpay, and has the sandbox's totals."""
    service = client.caller("auditor", "service")
    whole = await service.call("CheckBooks")
    assert (whole.balanced, whole.escrows_checked) == (True, len(stories)), whole.findings

    async def compare(story: Story) -> None:
        one = await service.call("CheckBooks", escrow_id=story.deal.escrow_id, with_razorpay=True)
        assert (one.balanced, one.escrows_checked) == (True, 1), one.findings

    await few_at_once([compare(story) for story in stories], AT_ONCE)

    async def balance(account: str) -> int:
        answer = await service.call("GetBalance", account=account)
        return sum(b.amount_minor for b in answer.balances)

    assert await balance("razorpay:on_hold") == 0
    assert await balance("refunds:in_flight") == 0
    assert await balance("platform:fees") == -sum(story.fate.fee for story in stories)
    kept = sum(p["amount"] - p["fee"] for money in moneys for p in money.payments)
    gone = sum(money.released + money.refunded for money in moneys)
    fees = sum(t["fees"] for money in moneys for t in money.transfers)
    assert await balance("razorpay:balance") == kept - gone - fees
    assert await client.razorpay_balance() == kept - gone - fees


async def check_ends(client: Client, stories: list[Story]) -> None:
    """Wait until every escrow is final; compare the outcomes with Razorpay and with the books."""
    ends = await asyncio.gather(*(story.end(END_LIMIT_S) for story in stories))
    by_order = money_by_order(await client.state())
    moneys = [by_order[story.deal.order_id] for story in stories]
    for story, end, money in zip(stories, ends, moneys, strict=True):
        check_money(story, end, money)
    await check_books(client, stories, moneys)


async def live(story: Story, *, is_confirmed: bool) -> None:
    """Take an escrow through all calls that people make."""
    await story.begin()
    if story.fate.is_cancelled:
        await story.cancel()
    if story.fate.is_paid:
        await story.pay(is_confirmed=is_confirmed and not story.fate.is_cancelled)
    if not story.fate.is_cancelled:
        await story.deal.until_status("HELD", NEWS_LIMIT_S)
        await story.decide()


@pytest.mark.timeout(240)
async def test_every_escrow_reaches_its_end_and_the_money_agrees_after_a_storm(
    tmp_path: Path, own_url: str | None, size: Size
) -> None:
    rng = random.Random(SEED)
    async with mortal_stack(tmp_path, own_url) as client:
        stories = [Story(client, fate) for fate in mixed(rng, size.escrows)]
        await client.faults(**STORM)
        lives = [live(story, is_confirmed=rng.random() < 0.7) for story in stories]
        await few_at_once(lives, AT_ONCE)
        await client.faults()
        await check_ends(client, stories)


@on_both("whole", is_long=True)
@pytest.mark.timeout(240)
async def test_reconciliation_alone_brings_every_paid_escrow_to_held(client: Client) -> None:
    await client.faults(webhooks={"drop": 1.0})
    deals = [Deal(client) for _ in range(LOST_NEWS)]
    for deal in deals:
        await deal.agree()
        await deal.pay()
    ends = await asyncio.gather(*(deal.until_status("HELD", NEWS_LIMIT_S) for deal in deals))
    assert [end.held for end in ends] == [end.amount for end in ends]


async def kill_again_and_again(client: Client, kills: int, rng: random.Random) -> None:
    for _ in range(kills):
        await client.stack.core_serves()
        # The moment of the death is the fault itself: there is nothing to wait for.
        await asyncio.sleep(rng.uniform(0, MOST_LIFE_S))
        client.stack.core.restart()
    await client.stack.core_serves()


@pytest.mark.timeout(240)
async def test_kills_of_core_lose_nothing_and_pay_nobody_twice(
    tmp_path: Path, own_url: str | None, size: Size
) -> None:
    rng = random.Random(SEED)
    async with mortal_stack(tmp_path, own_url) as client:
        stories = [Story(client, fate) for fate in settled(rng, size.escrows)]

        async def hold(story: Story) -> None:
            await story.begin()
            await story.pay(is_confirmed=False)
            await story.deal.until_status("HELD")

        await few_at_once([hold(story) for story in stories], AT_ONCE)
        await client.faults(api={"latency_s": LATENCY_S})
        deciding = asyncio.create_task(few_at_once([s.decide() for s in stories], AT_ONCE))
        await kill_again_and_again(client, size.kills, rng)
        await deciding
        await client.faults()
        await check_ends(client, stories)
