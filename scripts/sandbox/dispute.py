"""Disputes: the customer's bank contests a captured payment."""

from scripts.sandbox.books import Books, Entity
from scripts.sandbox.refusal import Refusal

# By event: the status of the dispute after it.
STATUS_AFTER = {
    "created": "open",
    "under_review": "under_review",
    "action_required": "open",
    "won": "won",
    "lost": "lost",
    "closed": "closed",
}
_ENDED = ("won", "lost", "closed")
_RESPOND_WITHIN_S = 7 * 24 * 3600


def advance(
    books: Books,
    payment_id: str,
    event: str,
    *,
    amount: int | None = None,
    deduct_at_onset: bool = False,
) -> Entity:
    """Open a dispute of a captured payment, or apply an event to its newest one.

    Razorpay takes the amount when it is lost, or at once where it is `deduct_at_onset`; it comes
    back when the dispute is won or closed.
    """
    payment = books.find("payment", payment_id)
    if event == "created":
        dispute = _open(books, payment, amount or payment["amount"])
    else:
        disputes = books.of("dispute", payment_id)
        if not disputes:
            raise Refusal("This payment has no dispute", field="payment_id")
        dispute = disputes[-1]
        if dispute["status"] in _ENDED:
            raise Refusal(f"The dispute is {dispute['status']} already", field="event")
    dispute["status"] = STATUS_AFTER[event]
    if event == "lost" or (event == "created" and deduct_at_onset):
        _deduct(books, dispute, dispute["amount"])
    elif event in ("won", "closed"):
        _deduct(books, dispute, 0)
    books.tell(f"payment.dispute.{event}", payment, dispute, lane=payment["order_id"])
    return dispute


def _deduct(books: Books, dispute: Entity, amount: int) -> None:
    net = dispute["amount_deducted"] - amount
    dispute["amount_deducted"] = amount
    if net:
        books.statement.post(
            books,
            books.new_id("adjustment"),
            "adjustment",
            dispute,
            net=net,
            dispute_id=dispute["id"],
            payment_id=dispute["payment_id"],
            description="Debit of a dispute" if net < 0 else "Credit of a dispute",
        )


def _open(books: Books, payment: Entity, amount: int) -> Entity:
    if not payment["captured"]:
        raise Refusal("Only a captured payment can be disputed", field="payment_id")
    if amount > payment["amount"]:
        raise Refusal("The amount is greater than the payment's", field="amount")
    return books.new(
        "dispute",
        {
            "payment_id": payment["id"],
            "amount": amount,
            "currency": payment["currency"],
            "amount_deducted": 0,
            "reason_code": "goods_or_services_not_received",
            "respond_by": books.now_s() + _RESPOND_WITHIN_S,
            "status": "open",
            "phase": "chargeback",
            "evidence": {"amount": amount, "summary": None, "submitted_at": None},
        },
        parent=payment["id"],
    )
