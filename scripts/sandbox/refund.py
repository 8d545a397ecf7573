"""Refunds: money back to the customer. A refund is pending first, and processed a moment later."""

import json
import re

from scripts.sandbox import check
from scripts.sandbox import transfer as transfers
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import Body
from scripts.sandbox.refusal import Refusal, short_of_balance

_KEY = re.compile(r"[A-Za-z0-9_-]{10,}")


def create(books: Books, payment_id: str, body: Body, key: str | None) -> Entity:
    """Refund a part of a payment, or all that is left of it if no amount is given.

    A repeated idempotency key answers its refund again, or 409 if the body is another.
    """
    if key is None:
        return _create(books, payment_id, body)
    if not _KEY.fullmatch(key):
        raise Refusal("The idempotency key must be at least 10 letters, digits, - or _.")
    fingerprint = json.dumps([payment_id, body], sort_keys=True)
    if key in books.refund_of_key:
        first, refund = books.refund_of_key[key]
        if first != fingerprint:
            raise Refusal(
                "Different request with the same idempotency key has already been processed.",
                status=409,
                reason="NA",
            )
        return refund
    refund = _create(books, payment_id, body)
    books.refund_of_key[key] = (fingerprint, refund)
    return refund


def refund_uncaptured(books: Books, payment: Entity) -> Entity:
    """Refund an authorized payment in full, as Razorpay does by itself."""
    return _refund(books, payment, payment["amount"], {})


def _create(books: Books, payment_id: str, body: Body) -> Entity:
    payment = books.find("payment", payment_id)
    # Razorpay keeps the fee that the customer bore.
    left = payment["amount"] - payment.get("customer_fee", 0) - payment["amount_refunded"]
    if not payment["captured"]:
        raise Refusal(
            "The payment status should be captured for action to be taken", field="status"
        )
    if left == 0:
        raise Refusal("The payment has been fully refunded already", field="payment_id")
    amount = left if body.get("amount") is None else check.amount(body)
    if amount > left:
        raise Refusal(
            "The total refund amount is greater than the refund payment amount", field="amount"
        )
    check.notes(body)
    reverse_all = check.flag(body, "reverse_all", default=False)
    if reverse_all and (payment["amount_refunded"] or amount != left):
        raise Refusal("reverse_all cannot be applied on partial refunds", field="reverse_all")
    if books.balance_is_short(amount, payment["currency"]):
        raise short_of_balance(
            "Your account does not have enough balance to carry out the refund operation."
        )
    if reverse_all:
        transfers.reverse_all(books, payment)
    return _refund(books, payment, amount, body)


def _refund(books: Books, payment: Entity, amount: int, body: Body) -> Entity:
    refund = books.new(
        "refund",
        {
            "amount": amount,
            "currency": payment["currency"],
            "payment_id": payment["id"],
            "notes": check.notes(body),
            "receipt": check.receipt(body),
            "acquirer_data": {"arn": None},
            "batch_id": None,
            "status": "pending",
            "speed_processed": None,
            "speed_requested": body.get("speed", "normal"),
        },
        parent=payment["id"],
    )
    # The money leaves the balance at once. What was only authorized was never in it.
    if payment["captured"]:
        books.statement.post(
            books,
            refund["id"],
            "refund",
            refund,
            net=-amount,
            payment_id=payment["id"],
            order_id=payment["order_id"],
        )
    payment["amount_refunded"] += amount
    whole = payment["amount_refunded"] == payment["amount"]
    payment["refund_status"] = "full" if whole else "partial"
    if whole:
        payment["status"] = "refunded"
    books.tell("refund.created", refund, payment, lane=payment["order_id"])
    books.later(lambda: _process(books, refund, payment))
    return refund


def _process(books: Books, refund: Entity, payment: Entity) -> None:
    refund.update(status="processed", speed_processed="normal")
    refund["acquirer_data"] = {"arn": refund["id"].removeprefix("rfnd_")}
    books.tell("refund.processed", refund, payment, lane=payment["order_id"])
