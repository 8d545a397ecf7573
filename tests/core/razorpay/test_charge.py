"""Fees, offers and chargebacks, as the gateway reads them from the sandbox."""

from typing import Any

import pytest

from core.razorpay import Gateway, GatewayRefused
from scripts.sandbox import order
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import Body
from scripts.sandbox.statement import day_of
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until

ACCOUNT = "acc_12345678901234"
AMOUNT = 100_000


async def order_id(gateway: Gateway) -> str:
    made = await gateway.create_order(
        receipt="escrow-1", amount_minor=AMOUNT, currency="INR", notes={}
    )
    return made.order_id


async def test_an_order_names_no_offer_and_takes_no_part_of_its_amount(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    create = order.create

    def spy(books: Books, body: Body) -> Entity:
        sent.append(body)
        return create(books, body)

    monkeypatch.setattr(order, "create", spy)
    await order_id(gateway)
    assert sent == [
        {
            "amount": AMOUNT,
            "currency": "INR",
            "receipt": "escrow-1",
            "notes": {},
            "payment": {"capture": "automatic"},
            "partial_payment": False,
        }
    ]


async def test_a_fee_on_top_leaves_the_order_paid_with_its_own_amount(
    gateway: Gateway, buyer: Visitor
) -> None:
    made = await order_id(gateway)
    payment = await gateway.fetch_payment(await buyer.pay(made, customer_fee=2_500))
    paid = await gateway.fetch_order(made)
    assert (payment.amount_minor, payment.fee_minor) == (AMOUNT + 2_500, 2_500)
    assert (paid.status, paid.amount_minor, paid.paid_minor) == ("paid", AMOUNT, AMOUNT)
    with pytest.raises(GatewayRefused):
        await gateway.refund(
            payment_id=payment.payment_id,
            amount_minor=AMOUNT + 1,
            idempotency_key="refund-of-escrow-1",
            notes={},
        )


async def test_an_offer_and_a_part_are_told_apart(gateway: Gateway, buyer: Visitor) -> None:
    made = await order_id(gateway)
    part = await gateway.fetch_payment(await buyer.pay(made, amount=AMOUNT - 5_000))
    paid = await gateway.fetch_order(made)
    assert (part.offer_id, paid.status, paid.paid_minor) == ("", "attempted", AMOUNT - 5_000)
    other = await buyer.order(AMOUNT)
    offered = await gateway.fetch_payment(await buyer.pay(other, discount=5_000))
    assert offered.amount_minor == part.amount_minor
    assert offered.offer_id.startswith("offer_")
    assert (await gateway.fetch_order(other)).status == "paid"


async def test_a_transfer_tells_its_fee_and_a_refund_the_banks_number(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment_id = await buyer.pay(await order_id(gateway))
    transfer = await gateway.create_transfer(
        payment_id=payment_id,
        account_id=ACCOUNT,
        amount_minor=50_000,
        currency="INR",
        on_hold=True,
        notes={},
    )
    assert (transfer.fee_minor, transfer.tax_minor) == (148, 23)
    refund = await gateway.refund(
        payment_id=payment_id,
        amount_minor=10_000,
        idempotency_key="refund-of-escrow-1",
        notes={},
    )
    assert (refund.fee_minor, refund.tax_minor, refund.bank_reference) == (0, 0, "")
    entity = buyer.sandbox.books.find("refund", refund.refund_id)
    await until(lambda: entity["status"] == "processed")
    (refund,) = await gateway.refunds(payment_id)
    assert refund.bank_reference == entity["acquirer_data"]["arn"]


async def test_a_chargeback_tells_what_it_took(gateway: Gateway, buyer: Visitor) -> None:
    path = f"/payments/{await buyer.pay(await order_id(gateway))}/dispute"
    body = {"event": "created", "amount": 30_000, "deduct_at_onset": True}
    _, made = await buyer.door("POST", path, body)
    for event, taken in (("under_review", 30_000), ("won", 0)):
        await buyer.door("POST", path, {"event": event})
        dispute = await gateway.fetch_dispute(made["id"])
        assert (dispute.status, dispute.deducted_minor) == (event, taken)
        assert (dispute.amount_minor, dispute.phase) == (30_000, "chargeback")


async def test_a_settlement_brings_the_lines_of_a_day_to_the_bank(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment_id = await buyer.pay(await order_id(gateway))
    _, told = await buyer.door("POST", "/settle", {})
    settlement = await gateway.settlement(told["settlement"]["id"])
    assert (settlement.amount_minor, settlement.status) == (97_640, "processed")
    on = day_of(told["settlement"]["created_at"])
    (line,) = await gateway.recon(on.year, on.month, on.day)
    assert (line.entity_id, line.net_minor, line.fee_minor, line.tax_minor, line.problem) == (
        payment_id,
        97_640,
        2_360,
        360,
        "",
    )
    assert (line.settlement_id, line.utr) == (settlement.settlement_id, settlement.utr)
