"""No money without a way out: overrides, chargebacks, fees that customers bear, absent sellers."""

import secrets
from typing import Any

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of
from tests.fakes.stack import Client

pytestmark = on_both("stack")
NET_MINOR = AMOUNT_MINOR - fee_of(AMOUNT_MINOR)


async def sandbox(client: Client, method: str, path: str, body: dict[str, Any]) -> Any:
    url = f"{client.stack.sandbox_url}/sandbox{path}"
    async with client.http.request(method, url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def bank(client: Client, deal: Deal, event: str, **more: Any) -> None:
    payment_id = (await deal.get()).payment.payment_id
    await sandbox(client, "POST", f"/payments/{payment_id}/dispute", {"event": event, **more})


async def test_a_failed_kyc_is_overridden(client: Client, deal: Deal) -> None:
    account_id = "acc_" + secrets.token_hex(7)
    await sandbox(client, "PUT", f"/accounts/{account_id}", {"status": "rejected"})
    await deal.register_payee(account_id)
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD")
    for who in (deal.seller, deal.buyer):
        await deal.act(who, "AddConfirmation")
    stuck = await deal.until(
        lambda event: event.escrow.attentions and event.new_status == deal.status("SETTLING")
    )
    code = deal.client.stack.api.number("AttentionCode", "PAYEE_REFUSED")
    assert [one.code for one in stuck.attentions] == [code]
    admin = client.caller("admin", "admin")
    await deal.act(
        admin,
        "OverrideSettlement",
        release_minor=0,
        refund_minor=AMOUNT_MINOR,
        note="The account is closed for good",
    )
    refunded = await deal.until_status("REFUNDED")
    assert (refunded.settlement.note, list(refunded.attentions)) == (
        "The account is closed for good",
        [],
    )
    assert (await deal.money()).refunded == AMOUNT_MINOR
    refusal = await admin.refusal(
        "OverrideSettlement",
        escrow_id=deal.escrow_id,
        release_minor=AMOUNT_MINOR,
        refund_minor=0,
        note="Again",
    )
    assert refusal.reason == "WRONG_STATUS"


async def test_a_lost_chargeback_ends_the_escrow(client: Client, deal: Deal) -> None:
    await deal.hold()
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    await bank(client, deal, "created", deduct_at_onset=True)
    await deal.until(lambda event: event.escrow.attentions)
    await bank(client, deal, "lost")
    ended = await deal.until_status("REFUNDED")
    await socket.saw_status(deal.escrow_id, "REFUNDED")
    assert (ended.refunded_by, ended.settlement.refunded_by) == ("bank", "bank")
    assert socket.updates(deal.escrow_id)[-1]["data"]["refunded_by"] == "bank"
    money = await deal.money()
    assert (money.standing, money.refunds) == ([], [])


async def test_a_chargeback_that_is_won_lets_the_release_go_on(client: Client, deal: Deal) -> None:
    await deal.hold()
    await bank(client, deal, "created")
    await deal.until(lambda event: event.escrow.attentions)
    await deal.act(deal.buyer, "ReleaseEscrow")
    await bank(client, deal, "won")
    released = await deal.until_status("RELEASED")
    assert list(released.attentions) == []
    assert (await deal.money()).released == NET_MINOR


async def test_a_partial_chargeback_leaves_the_rest(client: Client, deal: Deal) -> None:
    await deal.hold()
    await bank(client, deal, "created", amount=50_000)
    await deal.until(lambda event: event.escrow.attentions)
    await bank(client, deal, "lost")
    rest = await deal.until(lambda event: event.escrow.payment.charged_back.amount_minor)
    assert (rest.status, rest.held.amount_minor) == (deal.status("HELD"), AMOUNT_MINOR - 50_000)
    await deal.act(deal.buyer, "ReleaseEscrow")
    split = await deal.until_status("SPLIT")
    left = AMOUNT_MINOR - 50_000
    assert split.released.amount_minor == left - fee_of(left)
    money = await deal.money()
    assert (money.released, money.refunds) == (left - fee_of(left), [])


async def test_a_chargeback_after_the_release_is_the_platforms(client: Client, deal: Deal) -> None:
    await deal.hold()
    await deal.act(deal.buyer, "ReleaseEscrow")
    await deal.until_status("RELEASED")
    await bank(client, deal, "created")
    await bank(client, deal, "lost")
    code = deal.client.stack.api.number("AttentionCode", "PLATFORM_LOSS")
    lost = await deal.until(lambda event: [one.code for one in event.escrow.attentions] == [code])
    assert lost.status == deal.status("RELEASED")
    entries = await client.caller("admin", "admin").call("ListEntries", escrow_id=deal.escrow_id)
    losses = [e.amount.amount_minor for e in entries.entries if "losses" in e.account]
    assert losses == [AMOUNT_MINOR]


async def test_a_fee_that_the_customer_bears_is_on_top(client: Client, deal: Deal) -> None:
    await deal.register_payee()
    await deal.agree()
    await client.pay(await deal.order(), customer_fee=2_500)
    held = await deal.until_status("HELD")
    assert (held.held.amount_minor, held.payment.amount.amount_minor) == (AMOUNT_MINOR,) * 2
    assert held.payment.customer_fee.amount_minor == 2_500
    await deal.act(deal.seller, "RefundEscrow")
    refunded = await deal.until_status("REFUNDED")
    assert (await deal.money()).refunded == AMOUNT_MINOR
    (refund,) = refunded.payment.refunds
    assert refund.refund_id.startswith("rfnd_")
    assert refund.bank_reference


@pytest.mark.parametrize("less", [{"discount": 5_000}, {"amount": 50_000}], ids=["offer", "part"])
async def test_what_is_too_little_goes_back_with_the_reason(
    client: Client, deal: Deal, less: dict[str, Any]
) -> None:
    await deal.agree()
    await client.pay(await deal.order(), **less)
    back = await deal.until(
        lambda event: (
            event.escrow.returned_payments and event.escrow.returned_payments[0].refund.refund_id
        )
    )
    assert back.status == deal.status("INITIATED")
    (returned,) = back.returned_payments
    assert returned.refunded == returned.amount
    assert ("offer" if "discount" in less else "one payment") in returned.why
    # Another order can be paid in full.
    await deal.pay()
    await deal.until_status("HELD")


async def test_a_payment_waits_for_the_acceptance_that_was_asked_for(deal: Deal) -> None:
    agreed = await deal.agree(terms={"acceptance_required": True})
    assert (agreed.fee_bps, agreed.payout.amount_minor) == (250, NET_MINOR)
    refusal = await deal.buyer.refusal("StartPayment", escrow_id=deal.escrow_id)
    assert refusal.reason == "ACCEPTANCE_MISSING"
    accepted = await deal.act(deal.seller, "AcceptEscrow")
    assert len(accepted.acceptances) == 1
    refusal = await deal.seller.refusal("AcceptEscrow", escrow_id=deal.escrow_id)
    assert refusal.reason == "ALREADY_ACCEPTED"
    await deal.pay()
    await deal.until_status("HELD")
    refusal = await deal.buyer.refusal("RefundEscrow", escrow_id=deal.escrow_id)
    assert refusal.reason == "NOT_A_PARTY"


async def test_a_buyer_takes_back_what_nobody_answers_for(client: Client, deal: Deal) -> None:
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD")
    await deal.act(deal.buyer, "RefundEscrow", note="The seller does not exist")
    await deal.until_status("REFUNDED")
    assert (await deal.money()).refunded == AMOUNT_MINOR


async def test_deadlines_are_in_message_and_frames(client: Client, deal: Deal) -> None:
    agreed = await deal.agree()
    assert agreed.deadline.seconds - agreed.create_time.seconds == 3 * 86_400
    socket = await client.viewer(deal.seller)
    seen = (await socket.subscribe(deal.escrow_id))["data"]
    assert (seen["deadline_action"], seen["fee_bps"]) == ("CANCEL", 250)
    assert seen["deadline"].startswith("20")
    await deal.pay()
    await deal.until_status("HELD")
    await deal.act(deal.seller, "AddConfirmation")
    await socket.until(
        lambda: any(
            one["data"]["event_type"] == "confirmation_added"
            for one in socket.updates(deal.escrow_id)
        )
    )
    last = socket.updates(deal.escrow_id)[-1]["data"]
    assert (last["deadline_action"], last["payout_minor"]) == ("RELEASE", NET_MINOR)
    assert [one["party"] for one in last["acceptances"]] == ["seller"]
