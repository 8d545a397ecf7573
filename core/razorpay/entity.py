"""Razorpay's entities, read strictly from its JSON.

The same readers serve API answers and webhook payloads. Amounts are whole minor units. A reader
raises ValueError with a sentence that names the field; it never guesses an amount or a status.
Field names and statuses: razorpay.com/docs/api (orders, payments, refunds, route, disputes).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.razorpay import field

_ORDER_STATUSES = frozenset({"created", "attempted", "paid"})
_PAYMENT_STATUSES = frozenset({"created", "authorized", "captured", "refunded", "failed"})
_REFUND_STATUSES = frozenset({"pending", "processed", "failed"})
_TRANSFER_STATUSES = frozenset(
    {"created", "pending", "processed", "failed", "reversed", "partially_reversed"}
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a buyer is asked to pay. It stays `paid` even after a refund."""

    order_id: str
    receipt: str
    amount_minor: int
    currency: str
    status: str
    # What was paid of it: a fee that the customer bore is not counted.
    paid_minor: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay. `failed` is not final: a bank may still authorize it later."""

    payment_id: str
    order_id: str
    status: str
    amount_minor: int
    currency: str
    # Razorpay's own fee, GST included, and the GST in it; None until captured.
    fee_minor: int | None
    tax_minor: int | None
    refunded_minor: int
    error_reason: str
    # The offer with which it was paid, `offer_…`; empty without one.
    offer_id: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money moved from a payment to a linked account, perhaps on hold there."""

    transfer_id: str
    payment_id: str
    account_id: str
    amount_minor: int
    reversed_minor: int
    currency: str
    on_hold: bool
    status: str
    # `pending`, `on_hold` or `settled`; empty while there is nothing to settle.
    settlement_status: str
    notes: Mapping[str, str]
    error_reason: str
    # Razorpay's own fee for it, GST included, and the GST in it.
    fee_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money taken back from a transfer."""

    reversal_id: str
    transfer_id: str
    amount_minor: int
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back to the buyer; only `processed` means that it went."""

    refund_id: str
    payment_id: str
    amount_minor: int
    currency: str
    status: str
    notes: Mapping[str, str]
    # Razorpay's own fee for it, GST included, and the GST in it.
    fee_minor: int = 0
    tax_minor: int = 0
    # The bank's own number of it (ARN, RRN or UTR), as soon as Razorpay has one.
    bank_reference: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that the buyer's bank has taken up again; `won` is won by the merchant."""

    dispute_id: str
    payment_id: str
    amount_minor: int
    reason_code: str
    status: str
    # What Razorpay has taken for it.
    deducted_minor: int = 0
    # `fraud`, `retrieval`, `chargeback`, `pre_arbitration` or `arbitration`; empty where not told.
    phase: str = ""


def parse_order(entity: object) -> Order:
    """Read an order."""
    fields = field.object_of(entity, "order")
    return Order(
        order_id=field.entity_id(fields, "id", "order_"),
        receipt=field.optional_text(fields, "receipt"),
        amount_minor=field.amount(fields, "amount"),
        currency=field.currency(fields),
        status=field.status(fields, ("status",), _ORDER_STATUSES),
        paid_minor=field.optional_amount(fields, "amount_paid") or 0,
    )


def parse_payment(entity: object) -> Payment:
    """Read a payment; `order_id` is empty for one that was made without an order."""
    fields = field.object_of(entity, "payment")
    return Payment(
        payment_id=field.entity_id(fields, "id", "pay_"),
        order_id=field.optional_id(fields, "order_id", "order_"),
        status=field.status(fields, ("status",), _PAYMENT_STATUSES),
        amount_minor=field.amount(fields, "amount"),
        currency=field.currency(fields),
        fee_minor=field.optional_amount(fields, "fee"),
        tax_minor=field.optional_amount(fields, "tax"),
        refunded_minor=field.optional_amount(fields, "amount_refunded") or 0,
        error_reason=field.remark(fields, "error_reason"),
        offer_id=field.remark(fields, "offer_id"),
    )


def parse_transfer(entity: object) -> Transfer:
    """Read a transfer, with its status under either of the two names that Razorpay uses."""
    fields = field.object_of(entity, "transfer")
    error = fields.get("error")
    return Transfer(
        transfer_id=field.entity_id(fields, "id", "trf_"),
        payment_id=field.text(fields, "source"),
        account_id=field.entity_id(fields, "recipient", "acc_"),
        amount_minor=field.amount(fields, "amount"),
        reversed_minor=field.optional_amount(fields, "amount_reversed") or 0,
        currency=field.currency(fields),
        on_hold=field.flag(fields, "on_hold"),
        status=field.status(fields, ("status", "transfer_status"), _TRANSFER_STATUSES),
        settlement_status=field.optional_text(fields, "settlement_status"),
        notes=field.notes(fields),
        error_reason=field.remark(error, "reason") if isinstance(error, Mapping) else "",
        fee_minor=field.optional_amount(fields, "fees") or 0,
        tax_minor=field.optional_amount(fields, "tax") or 0,
    )


def parse_reversal(entity: object) -> Reversal:
    """Read a reversal."""
    fields = field.object_of(entity, "reversal")
    return Reversal(
        reversal_id=field.entity_id(fields, "id", "rvrsl_"),
        transfer_id=field.entity_id(fields, "transfer_id", "trf_"),
        amount_minor=field.amount(fields, "amount"),
        notes=field.notes(fields),
    )


def parse_refund(entity: object) -> Refund:
    """Read a refund."""
    fields = field.object_of(entity, "refund")
    return Refund(
        refund_id=field.entity_id(fields, "id", "rfnd_"),
        payment_id=field.entity_id(fields, "payment_id", "pay_"),
        amount_minor=field.amount(fields, "amount"),
        currency=field.currency(fields),
        status=field.status(fields, ("status",), _REFUND_STATUSES),
        notes=field.notes(fields),
        fee_minor=field.optional_amount(fields, "fee") or 0,
        tax_minor=field.optional_amount(fields, "tax") or 0,
        bank_reference=_bank_reference(fields.get("acquirer_data")),
    )


def parse_dispute(entity: object) -> Dispute:
    """Read a dispute as the API answers it."""
    fields = field.object_of(entity, "dispute")
    return Dispute(
        dispute_id=field.entity_id(fields, "id", "disp_"),
        payment_id=field.entity_id(fields, "payment_id", "pay_"),
        amount_minor=field.amount(fields, "amount"),
        reason_code=field.remark(fields, "reason_code"),
        # Any word is read: a status that is not known to end a dispute goes on stopping a release.
        status=field.text(fields, "status"),
        deducted_minor=field.optional_amount(fields, "amount_deducted") or 0,
        phase=field.remark(fields, "phase"),
    )


def _bank_reference(data: object) -> str:
    """Read the bank's number out of `acquirer_data`, whose fields depend on the method."""
    if not isinstance(data, Mapping):
        return ""
    found = (field.remark(data, name) for name in ("arn", "rrn", "utr"))
    return next((one for one in found if one), "")


def items_of(answer: object) -> list[object]:
    """Read the items of a list, unread themselves."""
    items = answer.get("items") if isinstance(answer, Mapping) else None
    if not isinstance(items, list):
        raise ValueError("A list of Razorpay must have items.")
    return items


def only_item(answer: object) -> object:
    """Read the one item of a list that must have no other."""
    items = items_of(answer)
    if len(items) != 1:
        raise ValueError(f"Expected one item, got {len(items)}.")
    return items[0]
