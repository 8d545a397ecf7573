"""Payments: a customer pays an order, and the payment is authorized and captured, or fails."""

from scripts.sandbox import check
from scripts.sandbox import order as orders
from scripts.sandbox import refund as refunds
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.refusal import Refusal

OUTCOMES = ("captured", "authorized", "failed")
# Razorpay's fee, and the GST on it, in per cent.
_FEE_PERCENT = 2
_GST_PERCENT = 18


def pay(
    books: Books,
    order_id: str,
    outcome: str,
    *,
    amount: int | None = None,
    currency: str | None = None,
    force: bool = False,
    customer_fee: int = 0,
    discount: int = 0,
) -> Entity:
    """Act as the customer. `force` pays an order that takes no more payments.

    The customer pays `customer_fee` on top where the account lets customers bear Razorpay's fee,
    and `discount` less with an offer of the whole account, which an order cannot refuse.
    """
    order = books.find("order", order_id)
    if customer_fee or discount:
        if (amount is not None) + (customer_fee > 0) + (discount > 0) > 1:
            raise Refusal("Give one of amount, customer_fee and discount.", field="amount")
        if customer_fee and (currency or order["currency"]) != "INR":
            raise Refusal("Customers bear the fee in INR only", field="customer_fee")
        amount = order["amount"] + customer_fee - discount
        if amount < check.MIN_AMOUNT_MINOR:
            raise Refusal("The discount leaves too little to pay.", field="discount")
    if not force:
        _check_payable(books, order)
    order["attempts"] += 1
    if order["status"] == "created":
        order["status"] = "attempted"
    payment = books.new(
        "payment",
        _fresh(order, amount or order["amount"], currency or order["currency"]),
        parent=order_id,
    )
    if customer_fee:
        payment.update(fee_bearer="customer", customer_fee=customer_fee)
    if discount:
        payment["offer_id"] = f"offer_{order_id.removeprefix('order_')}"
    if outcome == "failed":
        _fail(books, payment)
        return payment
    _authorize(books, payment)
    if outcome == "captured" and order_id not in books.manual_capture:
        _capture(books, payment)
    return payment


def capture(books: Books, payment_id: str, amount: int, currency: str) -> Entity:
    """Capture an authorized payment in full."""
    payment = books.find("payment", payment_id)
    if payment["captured"]:
        raise Refusal("This payment has already been captured", field="payment_id")
    if payment["status"] != "authorized":
        raise Refusal(
            "Only payments which have been authorized and not yet captured can be captured",
            field="status",
        )
    if books.find("order", payment["order_id"])["status"] == "paid":
        raise Refusal("The order is already paid", reason="order_already_paid")
    if (amount, currency) != (payment["amount"], payment["currency"]):
        raise Refusal("Capture amount must be equal to the amount authorized", field="amount")
    _capture(books, payment)
    return payment


def authorize_late(books: Books, payment_id: str, *, then_capture: bool) -> Entity:
    """Let the bank authorize a failed payment late.

    If another payment has paid the order meanwhile, Razorpay refunds the late one at once.
    """
    payment = books.find("payment", payment_id)
    if payment["status"] != "failed":
        raise Refusal("Only a failed payment can be authorized late", field="status")
    for name in ("code", "description", "source", "step", "reason"):
        payment[f"error_{name}"] = None
    _authorize(books, payment)
    if books.find("order", payment["order_id"])["status"] == "paid":
        refunds.refund_uncaptured(books, payment)
    elif then_capture:
        _capture(books, payment)
    return payment


def _check_payable(books: Books, order: Entity) -> None:
    if order["status"] == "paid":
        raise Refusal(
            "This order has already been paid", reason="order_already_paid", field="order_id"
        )
    if any(payment["status"] == "authorized" for payment in books.of("payment", order["id"])):
        raise Refusal(
            "A payment of this order is already authorized",
            reason="payment_already_authorized",
            field="order_id",
        )


def _fresh(order: Entity, amount: int, currency: str) -> Entity:
    return {
        "amount": amount,
        "currency": currency,
        "status": "created",
        "order_id": order["id"],
        "invoice_id": None,
        "international": False,
        "method": "upi",
        "amount_refunded": 0,
        "amount_transferred": 0,
        "refund_status": None,
        "captured": False,
        "description": None,
        "card_id": None,
        "bank": None,
        "wallet": None,
        "vpa": "customer@upi",
        "email": "customer@example.com",
        "contact": "+919000090000",
        "notes": [],
        "fee": None,
        "tax": None,
        "error_code": None,
        "error_description": None,
        "error_source": None,
        "error_step": None,
        "error_reason": None,
        "acquirer_data": {"rrn": None},
        "offer_id": None,
    }


def _authorize(books: Books, payment: Entity) -> None:
    payment["status"] = "authorized"
    books.tell("payment.authorized", payment, lane=payment["order_id"])


def _capture(books: Books, payment: Entity) -> None:
    fee = (payment["amount"] * _FEE_PERCENT + 50) // 100
    tax = (fee * _GST_PERCENT + 50) // 100
    whole = fee + tax
    borne = payment.get("customer_fee", 0)
    if borne > whole:
        whole = borne
        tax = borne * _GST_PERCENT // (100 + _GST_PERCENT)
    payment.update(status="captured", captured=True, fee=whole, tax=tax)
    books.statement.post(
        books,
        payment["id"],
        "payment",
        payment,
        net=payment["amount"] - whole,
        fee=whole,
        tax=tax,
        method=payment["method"],
        order_id=payment["order_id"],
        order_receipt=books.find("order", payment["order_id"])["receipt"],
    )
    books.tell("payment.captured", payment, lane=payment["order_id"])
    order = books.find("order", payment["order_id"])
    if orders.note_payment(order, payment):
        books.tell("order.paid", payment, order, lane=order["id"])


def _fail(books: Books, payment: Entity) -> None:
    payment.update(
        status="failed",
        error_code="BAD_REQUEST_ERROR",
        error_description="Payment was unsuccessful, as the bank declined it.",
        error_source="bank",
        error_step="payment_authorization",
        error_reason="payment_failed",
    )
    books.tell("payment.failed", payment, lane=payment["order_id"])
