"""An admin divides anew what is settling while core dies: what Razorpay has done decides, once."""

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.fakes.chaos import mortal_stack
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of
from tests.fakes.gate import Gate
from tests.fakes.rpc import AWAY, Refused
from tests.fakes.stack import Client, Stack

END_LIMIT_S = 60.0
# An admin who is told to try again does so for so long.
INSIST_LIMIT_S = 60.0
# How long an override waits for a lease.
WAIT_S = 5.0
KILLS = 6
# Slows every call to Razorpay down, so that core dies between two of them.
LATENCY_S = 0.1
NET = AMOUNT_MINOR - fee_of(AMOUNT_MINOR)


async def override(deal: Deal, release: int = 0) -> Refused | None:
    """Ask for another division, under one request id, until core says yes or no for good."""
    admin = deal.client.caller("admin", "admin")
    fields = {
        "escrow_id": deal.escrow_id,
        "release_minor": release,
        "refund_minor": AMOUNT_MINOR - release,
        "note": "the account is closed for good",
        "request_id": secrets.token_hex(8),
    }
    async with asyncio.timeout(INSIST_LIMIT_S):
        while True:
            try:
                await admin.call("OverrideSettlement", **fields)
            except Refused as refusal:
                if refusal.code not in AWAY and refusal.reason != "SETTLEMENT_UNDER_WAY":
                    return refusal
                # Also where core is starting again: a busy loop would only slow it down.
                await asyncio.sleep(0.1)
            else:
                return None


async def check_end(deal: Deal, refusal: Refused | None) -> str:
    """Check that the override decided all, or nothing; answer how the escrow ended."""
    wanted = "RELEASED" if refusal else "REFUNDED"
    end = await deal.until_status(wanted, END_LIMIT_S)
    money = await deal.money()
    assert (money.on_hold, len(money.refunds)) == (0, 0 if refusal else 1)
    if refusal is None:
        assert (money.released, money.refunded) == (0, AMOUNT_MINOR)
    else:
        assert refusal.reason == "WRONG_STATUS", refusal
        assert (money.released, money.refunded) == (NET, 0)
    told = (end.released, end.refunded, end.held)
    assert [part.amount_minor for part in told] == [money.released, money.refunded, 0]
    types = await deal.types()
    assert types.count("SETTLEMENT_OVERRIDDEN") == (refusal is None)
    assert types.count("SETTLEMENT_COMPLETED") == 1
    return wanted


async def check_books(deals: list[Deal]) -> None:
    auditor = deals[0].client.caller("auditor", "service")
    for deal in deals:
        one = await auditor.call("CheckBooks", escrow_id=deal.escrow_id, with_razorpay=True)
        assert one.balanced, one.findings


async def waits_for_account(deal: Deal) -> None:
    """Bring an escrow to SETTLING whose seller has no account."""
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD")
    await deal.act(deal.buyer, "ReleaseEscrow")
    await deal.until(lambda event: "PAYEE_MISSING" in event.escrow.attention)


async def kill_between(deals: list[Deal]) -> list[str]:
    """Have these paid out, and kill core when it has let the first go and told nobody of it.

    Answers every transfer that is let go by then.
    """
    client = deals[0].client
    await client.stack.core_serves()
    before = await let_go(client)
    for deal in deals:
        await deal.buyer.insist("ReleaseEscrow", escrow_id=deal.escrow_id)
    async with asyncio.timeout(END_LIMIT_S):
        while await let_go(client) == before:  # noqa: ASYNC110 - it is the sandbox's
            await asyncio.sleep(0.01)
    client.stack.core.kill()
    gone = await let_go(client)
    client.stack.core.spawn()
    return gone


async def let_go(client: Client) -> list[str]:
    """List the transfers that are the sellers'."""
    transfers = (await client.state())["transfers"]
    return [t["id"] for t in transfers if not t["on_hold"] and not t["amount_reversed"]]


async def register_and_override(deal: Deal) -> Refused | None:
    """Race the seller, who gets an account at last, against the admin."""
    seller, account = deal.seller, "acc_" + secrets.token_hex(7)
    refusal, _ = await asyncio.gather(
        override(deal),
        seller.insist("RegisterPayee", user_id=seller.user_id, account_id=account),
    )
    return refusal


@pytest.mark.timeout(240)
async def test_of_an_override_and_an_unhold_one_wins_whenever_core_dies(
    tmp_path: Path, own_url: str | None
) -> None:
    """Some are paid out as core dies, some get their account, some have none at all."""
    async with mortal_stack(tmp_path, own_url) as client:
        held, late, never = ([Deal(client) for _ in range(n)] for n in (3 * KILLS, 6, 3))
        await asyncio.gather(
            *(deal.hold() for deal in held), *(waits_for_account(deal) for deal in late + never)
        )
        await client.faults(api={"latency_s": LATENCY_S})
        overriding: dict[Deal, asyncio.Task[Refused | None]] = {}
        for number in range(KILLS):
            falling = held[3 * number : 3 * number + 3]
            gone = await kill_between(falling)
            for deal in falling:
                overriding[deal] = asyncio.create_task(override(deal))
        overriding |= {deal: asyncio.create_task(override(deal)) for deal in never}
        overriding |= {deal: asyncio.create_task(register_and_override(deal)) for deal in late}
        await asyncio.sleep(LATENCY_S)  # The last death meets all of them.
        client.stack.core.restart()
        await client.stack.core_serves()
        answers = {deal: await task for deal, task in overriding.items()}
        await client.faults()
        ends = {deal: await check_end(deal, refusal) for deal, refusal in answers.items()}
        assert {ends[deal] for deal in never} == {"REFUNDED"}
        # What core had let go when it died stays with the sellers.
        assert len(gone) >= KILLS
        assert set(gone) <= set(await let_go(client))
        await check_books(list(ends))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("is_delivered", [True, False], ids=["arrives late", "is lost"])
async def test_an_unhold_on_its_way_when_core_died_wins_if_it_arrives(
    tmp_path: Path, own_url: str | None, is_delivered: bool
) -> None:
    async with Gate() as gate:
        stack = Stack(tmp_path, database_url=own_url, razorpay_url=gate.url)
        gate.opens_to = stack.sandbox_url
        try:
            await stack.start()
            async with stack.client() as client:
                await late_unhold(Deal(client), gate, is_delivered=is_delivered)
        finally:
            stack.stop()


async def late_unhold(deal: Deal, gate: Gate, *, is_delivered: bool) -> None:
    """Core dies with an un-hold on its way; meanwhile an admin wants the money refunded."""
    await deal.hold()
    transfer = (await deal.money()).standing[0]["id"]
    gate.shut("PATCH")
    await deal.act(deal.buyer, "ReleaseEscrow")
    await gate.waiting(transfer)
    # The bank's dispute keeps every core from asking for it again.
    await dispute(deal)
    await deal.until(lambda event: "the bank's dispute" in event.escrow.attention)
    deal.client.stack.core.kill()
    await deal.client.stack.start()
    await until_only_the_call_is_in_the_way(deal)
    await (gate.open() if is_delivered else gate.lose())
    refusal = await override(deal)
    assert (refusal is not None) == is_delivered, refusal
    await check_end(deal, refusal)


async def until_only_the_call_is_in_the_way(deal: Deal) -> None:
    """Override in vain until the lease of the dead core is over, which is waited for each time."""
    admin = deal.client.caller("admin", "admin")
    shares = {"release_minor": 0, "refund_minor": AMOUNT_MINOR, "note": "it never arrived"}
    while True:
        begin_s = asyncio.get_running_loop().time()
        early = await admin.refusal("OverrideSettlement", escrow_id=deal.escrow_id, **shares)
        assert early.reason == "SETTLEMENT_UNDER_WAY", early
        if asyncio.get_running_loop().time() - begin_s < WAIT_S / 2:
            return


async def dispute(deal: Deal) -> None:
    """Let the buyer's bank open a dispute."""
    paid = (await deal.money()).payments[0]["id"]
    url = f"{deal.client.stack.sandbox_url}/sandbox/payments/{paid}/dispute"
    async with deal.client.http.post(url, json={"event": "created"}) as answer:
        assert answer.status == 200
