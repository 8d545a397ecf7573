"""Orders: what a customer is asked to pay."""

from typing import Any

from scripts.sandbox import check
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import Body
from scripts.sandbox.refusal import Refusal

# The fields of a new order (RZP/api/orders/create, RZP/payments/offers and capture-settings/api).
# None of them keeps an order free of the offers that the Dashboard shows for all orders.
_FIELDS = frozenset(
    {
        "amount",
        "currency",
        "receipt",
        "unique_receipt",
        "notes",
        "payment",
        "payment_capture",
        "partial_payment",
        "first_payment_min_amount",
        "offer_id",
        "offers",
        "force_offer",
        "transfers",
    }
)
_UNSUPPORTED = ("transfers", "partial_payment", "offer_id", "offers", "force_offer")


def create(books: Books, body: Body) -> Entity:
    """Create an order. A receipt is for one order; with `unique_receipt` it is answered again."""
    currency = check.currency(body)
    amount = check.amount(body, currency=currency)
    receipt = check.receipt(body)
    notes = check.notes(body)
    manual = _wants_manual_capture(body)
    _check_fields(body)
    if receipt is not None and receipt in books.order_of_receipt:
        return _order_of_receipt(books, receipt, amount, currency, body)
    order = books.new(
        "order",
        {
            "amount": amount,
            "amount_paid": 0,
            "amount_due": amount,
            "currency": currency,
            "receipt": receipt,
            "offer_id": None,
            "status": "created",
            "attempts": 0,
            "notes": notes,
        },
    )
    if receipt is not None:
        books.order_of_receipt[receipt] = order
    if manual:
        books.manual_capture.add(order["id"])
    return order


def note_payment(order: Entity, payment: Entity) -> bool:
    """Count a captured payment; answer whether it has made the order paid.

    One of another amount, or in another currency, leaves the order unpaid, unless an offer or the
    customer's fee makes up for it. What is less is counted as a part.
    """
    if order["status"] == "paid" or payment["currency"] != order["currency"]:
        return False
    amount = payment["amount"] - payment.get("customer_fee", 0)
    if amount < order["amount_due"] and not payment["offer_id"]:
        order["amount_paid"] += amount
        order["amount_due"] -= amount
        return False
    if amount > order["amount_due"] and amount != order["amount"]:
        return False
    order.update(status="paid", amount_paid=order["amount"], amount_due=0)
    return True


def _check_fields(body: Body) -> None:
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        raise Refusal(f"{', '.join(unknown)} is/are not required and should not be sent")
    for unsupported in _UNSUPPORTED:
        if body.get(unsupported):
            raise Refusal(
                f"The sandbox does not support orders with {unsupported}.", field=unsupported
            )


def _order_of_receipt(books: Books, receipt: str, amount: int, currency: str, body: Body) -> Entity:
    order = books.order_of_receipt[receipt]
    same = (order["amount"], order["currency"]) == (amount, currency)
    if same and body.get("unique_receipt") is True:
        return order
    raise Refusal("Order receipt should be unique.", field="receipt")


def _wants_manual_capture(body: Body) -> bool:
    payment: Any = body.get("payment")
    if payment is None:
        return body.get("payment_capture") in (0, "0")
    capture = payment.get("capture") if isinstance(payment, dict) else None
    if capture not in ("automatic", "manual"):
        raise Refusal("The selected payment.capture is invalid.", field="payment.capture")
    return bool(capture == "manual")
