"""Disputes: the customer's bank contests a captured payment."""

from scripts.sandbox.books import Books, Entity, now_s
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
_RESPOND_WITHIN_S = 7 * 24 * 3600


def advance(books: Books, payment_id: str, event: str) -> Entity:
    """Open a dispute of a captured payment, or apply an event to its newest one."""
    payment = books.find("payment", payment_id)
    if event == "created":
        dispute = _open(books, payment)
    else:
        disputes = books.of("dispute", payment_id)
        if not disputes:
            raise Refusal("This payment has no dispute", field="payment_id")
        dispute = disputes[-1]
    dispute["status"] = STATUS_AFTER[event]
    if event == "lost":
        dispute["amount_deducted"] = dispute["amount"]
    books.tell(f"payment.dispute.{event}", payment, dispute, lane=payment["order_id"])
    return dispute


def _open(books: Books, payment: Entity) -> Entity:
    if not payment["captured"]:
        raise Refusal("Only a captured payment can be disputed", field="payment_id")
    return books.new(
        "dispute",
        {
            "payment_id": payment["id"],
            "amount": payment["amount"],
            "currency": payment["currency"],
            "amount_deducted": 0,
            "reason_code": "goods_or_services_not_received",
            "respond_by": now_s() + _RESPOND_WITHIN_S,
            "status": "open",
            "phase": "chargeback",
            "evidence": {"amount": payment["amount"], "summary": None, "submitted_at": None},
        },
        parent=payment["id"],
    )
