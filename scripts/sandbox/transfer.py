"""Transfers to linked accounts, their holds and their reversals (Razorpay Route)."""

import re

from scripts.sandbox import check
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import Body
from scripts.sandbox.refusal import Refusal, short_of_balance, unknown_id

MAX_TRANSFERS_PER_CALL = 20
# Razorpay's fee on a transfer in basis points, and the GST on it in per cent.
_FEE_BPS = 25
_GST_PERCENT = 18
# What the KYC of a linked account may come to.
ACCOUNT_STATUSES = ("activated", "under_review", "rejected")
_ACCOUNT = re.compile(r"acc_[A-Za-z0-9]{14}")
_INACTIVE = "acc_inactive"
_NO_ERROR = {
    "code": None,
    "description": None,
    "field": None,
    "source": None,
    "step": None,
    "reason": None,
}
_SHORT_OF_BALANCE = {
    "code": "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE",
    "description": "Transfer failed due to insufficient balance",
    "field": None,
    "source": "transfer",
    "step": "balance_check",
    "reason": "insufficient_balance",
}


def create(books: Books, payment_id: str, body: Body) -> list[Entity]:
    """Transfer parts of a captured payment to linked accounts: all of the parts or none.

    Razorpay's fee does not reduce what can be transferred: the platform pays it.
    """
    payment = books.find("payment", payment_id)
    parts = _parts(books, body)
    if not payment["captured"]:
        raise Refusal("The payment status should be captured for action to be taken")
    if books.of("refund", payment_id):
        raise Refusal("A transfer cannot be requested on a payment once a refund is initiated")
    moved = sum(_left(t) for t in books.of("transfer", payment_id) if t["status"] != "failed")
    if moved + sum(part["amount"] for part in parts) > payment["amount"]:
        raise Refusal(
            "The sum of amount requested for transfer is greater than the captured amount",
            field="amount",
        )
    return [_transfer(books, payment, part) for part in parts]


def set_hold(books: Books, transfer_id: str, body: Body) -> Entity:
    """Put a transfer on hold or release it. A repeated call changes nothing."""
    transfer = books.find("transfer", transfer_id)
    on_hold = check.flag(body, "on_hold", default=transfer["on_hold"])
    until = body.get("on_hold_until")
    if until is not None and not isinstance(until, int):
        raise Refusal("The on_hold_until must be an integer.", field="on_hold_until")
    if transfer["status"] in ("failed", "reversed"):
        raise Refusal(f"The hold of a {transfer['status']} transfer cannot be changed")
    transfer.update(on_hold=on_hold, on_hold_until=until if on_hold else None)
    if transfer["processed_at"] is not None:
        transfer["settlement_status"] = _settlement_status(transfer)
    return transfer


def reverse(books: Books, transfer_id: str, body: Body) -> Entity:
    """Reverse a part of a transfer, or all that is left of it if no amount is given."""
    transfer = books.find("transfer", transfer_id)
    left = _left(transfer)
    if transfer["status"] == "failed" or left == 0:
        raise Refusal(f"A {transfer['status']} transfer has nothing to reverse")
    amount = left if body.get("amount") is None else check.amount(body)
    if amount > left:
        raise Refusal(
            "The amount to be reversed is greater than the amount left in the transfer",
            field="amount",
        )
    notes = check.notes(body)
    # Money on hold is still in the account; released money may have been paid out.
    if not transfer["on_hold"] and books.balance_is_short():
        raise short_of_balance(
            "The linked account does not have sufficient balance to process reversal"
        )
    return _reverse(books, transfer, amount, notes)


def reverse_all(books: Books, payment: Entity) -> None:
    """Reverse all that a payment has transferred."""
    for transfer in books.of("transfer", payment["id"]):
        if transfer["status"] != "failed" and _left(transfer):
            _reverse(books, transfer, _left(transfer), [])


def _parts(books: Books, body: Body) -> list[Entity]:
    parts = body.get("transfers")
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_TRANSFERS_PER_CALL:
        raise Refusal("The transfers field is required.", field="transfers")
    return [_part(books, part) for part in parts]


def _part(books: Books, part: object) -> Entity:
    if not isinstance(part, dict):
        raise Refusal("A transfer must be an object.", field="transfers")
    if check.currency(part) != "INR":
        raise Refusal("Transfers are supported in INR only", field="currency")
    return {
        "recipient": _account(books, part.get("account")),
        "amount": check.amount(part),
        "currency": "INR",
        "notes": check.notes(part),
        "linked_account_notes": part.get("linked_account_notes") or [],
        "on_hold": check.flag(part, "on_hold", default=False),
        "on_hold_until": part.get("on_hold_until"),
    }


def _account(books: Books, account: object) -> str:
    if not isinstance(account, str):
        raise unknown_id()
    if account_status(books, account) != "activated":
        raise Refusal(
            "The linked account is not activated", reason="account_not_activated", field="account"
        )
    if not _ACCOUNT.fullmatch(account):
        raise unknown_id()
    return account


def account_status(books: Books, account: str) -> str:
    """Answer the KYC of a linked account; those of the name `acc_inactive…` have failed it."""
    usual = "rejected" if account.startswith(_INACTIVE) else "activated"
    return books.account_status.get(account, usual)


def set_account(books: Books, account: str, body: Body) -> Entity:
    """Let the KYC of a linked account come to another end."""
    status = body.get("status")
    if status not in ACCOUNT_STATUSES:
        raise Refusal(f"The status must be one of {', '.join(ACCOUNT_STATUSES)}.", field="status")
    if not _ACCOUNT.fullmatch(account):
        raise unknown_id()
    books.account_status[account] = str(status)
    return {"id": account, "entity": "account", "status": status}


def _fees(amount: int) -> dict[str, int]:
    fee = (amount * _FEE_BPS + 5_000) // 10_000
    tax = (fee * _GST_PERCENT + 50) // 100
    return {"fees": fee + tax, "tax": tax}


def _transfer(books: Books, payment: Entity, part: Entity) -> Entity:
    transfer = books.new(
        "transfer",
        {
            "status": "pending",
            "settlement_status": None,
            "source": payment["id"],
            **part,
            "amount_reversed": 0,
            **_fees(part["amount"]),
            "recipient_settlement_id": None,
            "processed_at": None,
            "error": dict(_NO_ERROR),
        },
        parent=payment["id"],
    )
    payment["amount_transferred"] += part["amount"]
    fails = books.balance_is_short(transfer["amount"] + transfer["fees"])
    if not fails:
        _debit(books, transfer)
    books.later(lambda: _finish(books, transfer, payment, fails=fails))
    return transfer


def _finish(books: Books, transfer: Entity, payment: Entity, *, fails: bool) -> None:
    # A transfer that was reversed meanwhile cannot fail any more.
    if fails and transfer["status"] == "pending":
        _fail(books, transfer, payment)
        return
    if fails:
        _debit(books, transfer)
    _process(books, transfer)


def _debit(books: Books, transfer: Entity) -> None:
    books.statement.post(
        books,
        transfer["id"],
        "transfer",
        transfer,
        net=-transfer["amount"] - transfer["fees"],
        fee=transfer["fees"],
        tax=transfer["tax"],
        payment_id=transfer["source"],
        on_hold=transfer["on_hold"],
    )


def _process(books: Books, transfer: Entity) -> None:
    transfer.update(processed_at=books.now_s(), settlement_status=_settlement_status(transfer))
    transfer["status"] = _status(transfer)
    books.tell("transfer.processed", transfer, lane=transfer["id"])


def _fail(books: Books, transfer: Entity, payment: Entity) -> None:
    payment["amount_transferred"] -= _left(transfer)
    transfer.update(status="failed", error=dict(_SHORT_OF_BALANCE), fees=0, tax=0)
    books.tell("transfer.failed", transfer, lane=transfer["id"])


def _reverse(books: Books, transfer: Entity, amount: int, notes: object) -> Entity:
    reversal = books.new(
        "reversal",
        {
            "transfer_id": transfer["id"],
            "amount": amount,
            "fee": 0,
            "tax": 0,
            "currency": transfer["currency"],
            "notes": notes,
            "initiator_id": None,
            "customer_refund_id": None,
            "utr": None,
        },
        parent=transfer["id"],
    )
    books.statement.post(
        books, reversal["id"], "reversal", reversal, net=amount, payment_id=transfer["source"]
    )
    transfer["amount_reversed"] += amount
    transfer["status"] = _status(transfer)
    books.find("payment", transfer["source"])["amount_transferred"] -= amount
    return reversal


def _left(transfer: Entity) -> int:
    return int(transfer["amount"] - transfer["amount_reversed"])


def _status(transfer: Entity) -> str:
    if transfer["amount_reversed"]:
        return "partially_reversed" if _left(transfer) else "reversed"
    return "pending" if transfer["processed_at"] is None else "processed"


def _settlement_status(transfer: Entity) -> str:
    return "on_hold" if transfer["on_hold"] else "pending"
