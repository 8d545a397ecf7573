"""Core dies while money moves, or Razorpay fails: each paisa still moves exactly once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal, Money
from tests.fakes.fee import fee_of
from tests.fakes.gate import Gate
from tests.fakes.stack import Client, Stack

RELEASE_MINOR = 70_000
# A lease runs out after 15 s, and a call of unknown outcome is believed lost 20 s after it.
RECOVER_LIMIT_S = 60.0
LOOK_EVERY_S = 0.02
# Probabilities so small that seven failures in a row, a minute of back-off, do not happen.
STUMBLING = {"error": 0.06}
LOSING = {"rate_limit": 0.02, "timeout_after_success": 0.5, "timeout_hold_s": 0.05}
WITHHELD = {"timeout_after_success": 1, "timeout_hold_s": 60}


async def until_money(
    deal: Deal, holds: Callable[[Money], object], limit_s: float = RECOVER_LIMIT_S
) -> Money:
    """Wait until the money of a deal, by the sandbox's entities, is where it should be."""
    async with asyncio.timeout(limit_s):
        while not holds(money := await deal.money()):  # noqa: ASYNC110 - it is the sandbox's
            await asyncio.sleep(LOOK_EVERY_S)
    return money


async def held_without_payee(deal: Deal) -> None:
    """Bring an escrow to HELD, without a transfer."""
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD")


def check_end(deal: Deal, end: Any, money: Money, release: int, refund: int) -> None:
    fee = fee_of(release)
    assert (money.paid, money.released) == (AMOUNT_MINOR, release - fee)
    assert (money.refunded, money.on_hold) == (refund, 0)
    assert len(money.standing) == (1 if release else 0)
    assert len(money.refunds) == (1 if refund else 0)
    told = (end.released, end.fee, end.refunded, end.held)
    assert [part.amount_minor for part in told] == [release - fee, fee, refund, 0]


@on_both("whole", is_long=True)
async def test_core_killed_between_asking_and_hearing_moves_each_paisa_once(
    client: Client,
) -> None:
    """Each of the five calls that move money has been done at Razorpay when core dies."""
    holding, releasing, refunding, repaying, splitting = (Deal(client) for _ in range(5))
    await asyncio.gather(
        held_without_payee(holding),
        releasing.hold(),
        refunding.hold(),
        held_without_payee(repaying),
        splitting.hold(),
    )
    await client.faults(api=WITHHELD)
    await holding.register_payee()
    await releasing.act(releasing.buyer, "ReleaseEscrow")
    await refunding.act(refunding.seller, "RefundEscrow")
    await repaying.act(repaying.seller, "RefundEscrow")
    await splitting.act(splitting.buyer, "RaiseDispute", reason="scratched")
    await splitting.act(
        splitting.arbiter,
        "ResolveDispute",
        release_minor=RELEASE_MINOR,
        refund_minor=AMOUNT_MINOR - RELEASE_MINOR,
        note="it is scratched",
    )
    await until_money(holding, lambda m: m.on_hold)
    await until_money(releasing, lambda m: m.released)
    await until_money(refunding, lambda m: not m.standing)
    await until_money(repaying, lambda m: m.refunded)
    await until_money(splitting, lambda m: m.on_hold == RELEASE_MINOR - fee_of(RELEASE_MINOR))

    client.stack.core.kill()
    await client.faults()
    await client.stack.start()
    await holding.service.insist("ReleaseEscrow", escrow_id=holding.escrow_id)
    ends = await asyncio.gather(
        holding.until_status("RELEASED", RECOVER_LIMIT_S),
        releasing.until_status("RELEASED", RECOVER_LIMIT_S),
        refunding.until_status("REFUNDED", RECOVER_LIMIT_S),
        repaying.until_status("REFUNDED", RECOVER_LIMIT_S),
        splitting.until_status("SPLIT", RECOVER_LIMIT_S),
    )
    releases = [AMOUNT_MINOR, AMOUNT_MINOR, 0, 0, RELEASE_MINOR]
    deals = (holding, releasing, refunding, repaying, splitting)
    for deal, end, release in zip(deals, ends, releases, strict=True):
        money = await deal.money()
        check_end(deal, end, money, release, AMOUNT_MINOR - release)
        assert len(money.transfers) == (0 if deal is repaying else 1)
        assert (await deal.types()).count("SETTLEMENT_COMPLETED") == 1


async def test_a_call_that_arrives_after_its_callers_death_is_not_made_twice(
    tmp_path: Path, own_url: str | None
) -> None:
    """The network delivers what core sent only when another core has taken over."""
    async with Gate() as gate:
        stack = Stack(tmp_path, database_url=own_url, razorpay_url=gate.url)
        gate.opens_to = stack.sandbox_url
        try:
            await stack.start()
            async with stack.client() as client:
                await late_calls(client, gate)
        finally:
            stack.stop()


async def late_calls(client: Client, gate: Gate) -> None:
    holding, repaying, refunding = (Deal(client) for _ in range(3))
    await asyncio.gather(
        held_without_payee(holding), held_without_payee(repaying), refunding.hold()
    )
    gate.shut("POST")
    await holding.register_payee()
    await repaying.act(repaying.seller, "RefundEscrow")
    await refunding.act(refunding.seller, "RefundEscrow")
    await gate.waiting("/transfers", "/refund", "/reversals")
    client.stack.core.kill()
    await client.stack.start()
    await gate.open()
    await holding.service.insist("ReleaseEscrow", escrow_id=holding.escrow_id)
    ends = await asyncio.gather(
        holding.until_status("RELEASED", RECOVER_LIMIT_S),
        repaying.until_status("REFUNDED", RECOVER_LIMIT_S),
        refunding.until_status("REFUNDED", RECOVER_LIMIT_S),
    )
    check_end(holding, ends[0], await holding.money(), AMOUNT_MINOR, 0)
    check_end(repaying, ends[1], await repaying.money(), 0, AMOUNT_MINOR)
    check_end(refunding, ends[2], await refunding.money(), 0, AMOUNT_MINOR)
    assert len((await holding.money()).transfers) == 1


async def settle(deal: Deal, release: int) -> Any:
    """Bring a held deal to its end, in spite of the faults."""
    if release == AMOUNT_MINOR:
        await deal.buyer.insist("ReleaseEscrow", escrow_id=deal.escrow_id)
        return await deal.until_status("RELEASED", RECOVER_LIMIT_S)
    if release == 0:
        await deal.seller.insist("RefundEscrow", escrow_id=deal.escrow_id)
        return await deal.until_status("REFUNDED", RECOVER_LIMIT_S)
    await deal.buyer.insist("RaiseDispute", escrow_id=deal.escrow_id, reason="scratched")
    await deal.arbiter.insist(
        "ResolveDispute",
        escrow_id=deal.escrow_id,
        release_minor=release,
        refund_minor=AMOUNT_MINOR - release,
        note="it is scratched",
    )
    return await deal.until_status("SPLIT", RECOVER_LIMIT_S)


@on_both("whole", is_long=True)
async def test_lost_answers_and_limits_of_razorpay_change_no_amount(client: Client) -> None:
    deals = [Deal(client) for _ in range(6)]
    releases = [AMOUNT_MINOR, 0, RELEASE_MINOR] * 2
    await asyncio.gather(*(held_without_payee(deal) for deal in deals))
    await client.faults(
        api=LOSING,
        webhooks={"duplicate": 0.3, "drop": 0.3, "reorder": 0.3},
    )
    await asyncio.gather(*(deal.register_payee() for deal in deals))
    ends = await asyncio.gather(
        *(settle(deal, release) for deal, release in zip(deals, releases, strict=True))
    )
    for deal, end, release in zip(deals, ends, releases, strict=True):
        check_end(deal, end, await deal.money(), release, AMOUNT_MINOR - release)


@on_both("whole", is_long=True)
async def test_errors_of_razorpay_delay_a_settlement_and_change_no_amount(client: Client) -> None:
    """Calls that may be repeated are repeated; the others have been made before."""
    deals = [Deal(client) for _ in range(6)]
    releases = [AMOUNT_MINOR, 0] * 3
    for deal, release in zip(deals, releases, strict=True):
        await (deal.hold() if release else held_without_payee(deal))
    await client.faults(api=STUMBLING)
    ends = await asyncio.gather(
        *(settle(deal, release) for deal, release in zip(deals, releases, strict=True))
    )
    for deal, end, release in zip(deals, ends, releases, strict=True):
        check_end(deal, end, await deal.money(), release, AMOUNT_MINOR - release)


@on_both("whole", is_long=True)
async def test_what_razorpay_refuses_for_good_waits_for_a_person_and_then_goes_on(
    client: Client, deal: Deal
) -> None:
    await held_without_payee(deal)
    await deal.act(deal.buyer, "ReleaseEscrow")
    alarmed = await deal.until(lambda event: event.escrow.attention)
    assert (alarmed.status, alarmed.held.amount_minor) == (deal.status("SETTLING"), AMOUNT_MINOR)
    assert "PAYEE_MISSING" in alarmed.attention
    await deal.register_payee("acc_inactive123456")
    refused = await deal.until(lambda event: "Razorpay refuses" in event.escrow.attention)
    assert refused.status == deal.status("SETTLING")
    await deal.register_payee()
    released = await deal.until_status("RELEASED")
    assert released.attention == ""
    check_end(deal, released, await deal.money(), AMOUNT_MINOR, 0)


@on_both("whole", is_long=True)
async def test_a_razorpay_that_is_away_refuses_the_start_of_a_payment_and_loses_nothing(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    for plan in ({"error": 1}, {"rate_limit": 1}):
        await client.faults(api=plan)
        refusal = await deal.buyer.refusal("StartPayment", escrow_id=deal.escrow_id)
        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "GATEWAY_UNAVAILABLE")
    await client.faults(api={"timeout_after_success": 1, "timeout_hold_s": 0.1})
    refusal = await deal.buyer.refusal("StartPayment", escrow_id=deal.escrow_id)
    assert refusal.reason == "GATEWAY_UNAVAILABLE"
    assert await deal.types() == ["ESCROW_CREATED"]
    await client.faults()
    await deal.order()
    # The order whose making was not heard of is found by its receipt.
    state = await client.state()
    assert [o["id"] for o in state["orders"] if o["receipt"] == deal.escrow_id] == [deal.order_id]


@on_both("whole", is_long=True)
@pytest.mark.parametrize("amount", [AMOUNT_MINOR - 1, AMOUNT_MINOR + 1])
async def test_a_payment_of_another_amount_is_not_held_but_refunded(
    client: Client, deal: Deal, amount: int
) -> None:
    await deal.register_payee()
    await deal.agree()
    await deal.order()
    first_order = deal.order_id
    await client.pay(deal.order_id, amount=amount, force=True)
    flagged = await deal.until(lambda event: event.escrow.attention)
    assert (flagged.status, flagged.held.amount_minor) == (deal.status("INITIATED"), 0)
    money = await until_money(deal, lambda m: m.refunded)
    assert (money.refunded, money.transfers) == (amount, [])
    # The buyer may still pay what was agreed.
    await deal.order()
    assert deal.order_id != first_order
    await client.pay(deal.order_id)
    held = await deal.until_status("HELD")
    assert held.held.amount_minor == AMOUNT_MINOR
