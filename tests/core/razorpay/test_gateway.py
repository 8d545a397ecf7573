"""The gateway against the sandbox, through the official package and real HTTP."""

import asyncio
import sys

import pytest

from core.razorpay import Gateway, GatewayRefused, GatewayUnavailable, Order, Payment
from scripts.sandbox import Sandbox
from scripts.sandbox import transfer as sandbox_transfers
from tests.fakes.visitor import Visitor
from tests.fakes.wait import until

ACCOUNT = "acc_12345678901234"
KEY = "refund-of-escrow-1"


async def make_order(gateway: Gateway, receipt: str = "escrow-1", amount: int = 100_000) -> Order:
    return await gateway.create_order(
        receipt=receipt, amount_minor=amount, currency="INR", notes={"escrow_id": receipt}
    )


async def paid(gateway: Gateway, buyer: Visitor) -> Payment:
    order = await make_order(gateway)
    return await gateway.fetch_payment(await buyer.pay(order.order_id))


async def hold(gateway: Gateway, payment: Payment, amount: int = 97_500) -> str:
    transfer = await gateway.create_transfer(
        payment_id=payment.payment_id,
        account_id=ACCOUNT,
        amount_minor=amount,
        currency="INR",
        on_hold=True,
        notes={"escrow_id": "escrow-1"},
    )
    return transfer.transfer_id


async def test_an_order_is_made_once_for_each_receipt(gateway: Gateway, buyer: Visitor) -> None:
    first = await make_order(gateway)
    assert await make_order(gateway) == first
    assert first.status == "created"
    assert await gateway.fetch_order(first.order_id) == first
    assert await gateway.find_order("escrow-1") == first
    assert await gateway.find_order("escrow-2") is None
    assert len((await buyer.state())["orders"]) == 1


async def test_callers_who_race_for_a_receipt_get_the_same_order(gateway: Gateway) -> None:
    orders = await asyncio.gather(*(make_order(gateway) for _ in range(8)))
    assert len(set(orders)) == 1


async def test_an_order_found_with_another_amount_is_refused(gateway: Gateway) -> None:
    await make_order(gateway)
    with pytest.raises(GatewayRefused) as refusal:
        await make_order(gateway, amount=100_001)
    assert refusal.value.reason == "order_amount_mismatch"


async def test_a_captured_payment_tells_amount_fee_and_tax(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment = await paid(gateway, buyer)
    assert (payment.status, payment.amount_minor, payment.currency) == ("captured", 100_000, "INR")
    assert (payment.fee_minor, payment.tax_minor) == (2_360, 360)
    assert await gateway.payments_of_order(payment.order_id) == [payment]
    assert (await gateway.fetch_order(payment.order_id)).status == "paid"


async def test_all_attempts_of_an_order_are_listed_newest_first(
    gateway: Gateway, buyer: Visitor
) -> None:
    order = await make_order(gateway)
    ids = [await buyer.pay(order.order_id, "failed") for _ in range(12)]
    payments = await gateway.payments_of_order(order.order_id)
    assert [payment.payment_id for payment in payments] == ids[::-1]
    assert {(p.status, p.error_reason, p.fee_minor) for p in payments} == {
        ("failed", "payment_failed", None)
    }


async def test_an_authorized_payment_is_captured_once(gateway: Gateway, buyer: Visitor) -> None:
    order = await make_order(gateway)
    payment_id = await buyer.pay(order.order_id, "authorized")
    with pytest.raises(GatewayRefused, match="equal to the amount authorized"):
        await gateway.capture(payment_id, 99_999, "INR")
    captured = await gateway.capture(payment_id, 100_000, "INR")
    assert captured.status == "captured"
    with pytest.raises(GatewayRefused, match="already been captured"):
        await gateway.capture(payment_id, 100_000, "INR")
    assert await gateway.fetch_payment(payment_id) == captured


async def test_many_captures_at_once_each_carry_their_own_amount(
    gateway: Gateway, buyer: Visitor
) -> None:
    amounts = [1_000 + n for n in range(48)]
    orders = [await make_order(gateway, f"escrow-{amount}", amount) for amount in amounts]
    ids = [await buyer.pay(order.order_id, "authorized") for order in orders]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        captured = await asyncio.gather(
            *(gateway.capture(i, a, "INR") for i, a in zip(ids, amounts, strict=True))
        )
    finally:
        sys.setswitchinterval(interval)
    assert [payment.amount_minor for payment in captured] == amounts


async def test_a_transfer_stands_on_hold_until_it_is_released(
    gateway: Gateway, buyer: Visitor, sandbox: Sandbox
) -> None:
    payment = await paid(gateway, buyer)
    transfer_id = await hold(gateway, payment)
    entity = sandbox.books.find("transfer", transfer_id)
    await until(lambda: entity["status"] == "processed")
    (held,) = await gateway.transfers(payment.payment_id)
    assert (held.on_hold, held.settlement_status, held.amount_minor) == (True, "on_hold", 97_500)
    assert held.notes == {"escrow_id": "escrow-1"}
    for _ in range(2):
        released = await gateway.release_transfer(transfer_id)
        assert (released.on_hold, released.settlement_status) == (False, "pending")
    assert await gateway.transfers(payment.payment_id) == [released]


async def test_a_long_list_is_read_to_its_end(
    gateway: Gateway, buyer: Visitor, sandbox: Sandbox
) -> None:
    payment = await paid(gateway, buyer)
    parts = [{"account": ACCOUNT, "amount": 100 + n, "currency": "INR"} for n in range(20)]
    for _ in range(11):
        sandbox_transfers.create(sandbox.books, payment.payment_id, {"transfers": parts})
    transfers = await gateway.transfers(payment.payment_id)
    assert len({transfer.transfer_id for transfer in transfers}) == 220


async def test_a_transfer_is_reversed_in_part_and_never_beyond(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment = await paid(gateway, buyer)
    transfer_id = await hold(gateway, payment)
    first = await gateway.reverse(
        transfer_id=transfer_id, amount_minor=40_000, notes={"step": "split"}
    )
    assert await gateway.reversals(transfer_id) == [first]
    assert first.notes == {"step": "split"}
    (transfer,) = await gateway.transfers(payment.payment_id)
    assert (transfer.reversed_minor, transfer.status) == (40_000, "partially_reversed")
    with pytest.raises(GatewayRefused, match="greater than the amount left"):
        await gateway.reverse(transfer_id=transfer_id, amount_minor=57_501, notes={})
    await gateway.reverse(transfer_id=transfer_id, amount_minor=57_500, notes={})
    (transfer,) = await gateway.transfers(payment.payment_id)
    assert transfer.status == "reversed"


async def test_disputes_are_listed_for_the_account_from_a_time_on(
    gateway: Gateway, buyer: Visitor
) -> None:
    told = []
    for number in range(12):
        order = await make_order(gateway, f"escrow-{number}")
        path = f"/payments/{await buyer.pay(order.order_id)}/dispute"
        told.append((await buyer.door("POST", path, {"event": "created"}))[1])
    listed = await gateway.disputes(0)
    assert [dispute.dispute_id for dispute in listed] == [one["id"] for one in told[::-1]]
    assert await gateway.disputes(told[-1]["created_at"] + 1) == []
    await buyer.door("POST", path, {"event": "lost"})
    lost = await gateway.fetch_dispute(told[-1]["id"])
    assert (lost.payment_id, lost.amount_minor) == (told[-1]["payment_id"], 100_000)
    assert (lost.status, lost.reason_code) == ("lost", "goods_or_services_not_received")
    with pytest.raises(GatewayRefused, match="does not exist"):
        await gateway.fetch_dispute("disp_unknown1234567")


async def test_a_refund_with_one_key_is_made_once(gateway: Gateway, buyer: Visitor) -> None:
    payment = await paid(gateway, buyer)

    async def refund(amount: int) -> str:
        made = await gateway.refund(
            payment_id=payment.payment_id,
            amount_minor=amount,
            idempotency_key=KEY,
            notes={"escrow_id": "escrow-1"},
        )
        return made.refund_id

    assert len({await refund(30_000) for _ in range(3)}) == 1
    with pytest.raises(GatewayRefused) as refusal:
        await refund(30_001)
    assert refusal.value.status == 409
    (listed,) = await gateway.refunds(payment.payment_id)
    assert (listed.amount_minor, listed.notes) == (30_000, {"escrow_id": "escrow-1"})
    assert (await gateway.fetch_payment(payment.payment_id)).refunded_minor == 30_000


async def test_a_refund_key_that_razorpay_would_refuse_is_not_sent(gateway: Gateway) -> None:
    for key in ("short", "with spaces in it", "x" * 65):
        with pytest.raises(ValueError, match="10 to 64"):
            await gateway.refund(
                payment_id="pay_12345678901234", amount_minor=100, idempotency_key=key, notes={}
            )


async def test_no_transfer_is_made_once_a_refund_has_begun(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment = await paid(gateway, buyer)
    await gateway.refund(
        payment_id=payment.payment_id, amount_minor=100, idempotency_key=KEY, notes={}
    )
    with pytest.raises(GatewayRefused, match="once a refund is initiated"):
        await hold(gateway, payment)


async def test_a_refusal_keeps_status_code_reason_and_description(
    gateway: Gateway, buyer: Visitor
) -> None:
    payment = await paid(gateway, buyer)
    with pytest.raises(GatewayRefused) as refusal:
        await gateway.create_transfer(
            payment_id=payment.payment_id,
            account_id="acc_inactive123456",
            amount_minor=100,
            currency="INR",
            on_hold=True,
            notes={},
        )
    error = refusal.value
    assert (error.status, error.code) == (400, "BAD_REQUEST_ERROR")
    assert error.reason == "account_not_activated"
    assert error.description == "The linked account is not activated"


@pytest.mark.parametrize(
    "odd_id", ["pay_unknown1234567", "", "../orders", "pay_1?x=1", "päy", "x" * 65, "pay_\n"]
)
async def test_an_id_that_does_not_exist_is_refused(gateway: Gateway, odd_id: str) -> None:
    with pytest.raises(GatewayRefused, match="does not exist"):
        await gateway.fetch_payment(odd_id)


async def test_wrong_keys_are_no_refusal_of_what_was_asked(sandbox: Sandbox) -> None:
    gateway = Gateway(key_id="rzp_test_other", key_secret="wrong", base_url=sandbox.base_url)
    with pytest.raises(GatewayUnavailable, match="does not know our keys"):
        await gateway.find_order("escrow-1")
    with pytest.raises(GatewayUnavailable, match="does not know our keys"):
        await gateway.release_transfer("trf_00000000000001")
    await gateway.close()


async def test_checkout_signs_the_pair_of_order_and_payment(
    gateway: Gateway, buyer: Visitor
) -> None:
    order = await make_order(gateway)
    _, told = await buyer.door("POST", f"/orders/{order.order_id}/pay", {"outcome": "captured"})
    payment_id, signature = told["razorpay_payment_id"], told["razorpay_signature"]
    assert gateway.verify_checkout(order.order_id, payment_id, signature)
    assert not gateway.verify_checkout(order.order_id, payment_id + "x", signature)
    assert not gateway.verify_checkout("order_other123456", payment_id, signature)
    assert not gateway.verify_checkout(order.order_id, payment_id, "\ud800ö")
