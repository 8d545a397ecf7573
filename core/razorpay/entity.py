"""Razorpay's entities, read strictly from its JSON.

The same readers serve API answers and webhook payloads. Amounts are whole minor units. A reader
raises ValueError with a sentence that names the field; it never guesses an amount or a status.
Field names and statuses: razorpay.com/docs/api (orders, payments, refunds, route, disputes).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_ORDER_STATUSES = frozenset({"created", "attempted", "paid"})
_PAYMENT_STATUSES = frozenset({"created", "authorized", "captured", "refunded", "failed"})
_REFUND_STATUSES = frozenset({"pending", "processed", "failed"})
_TRANSFER_STATUSES = frozenset(
    {"created", "pending", "processed", "failed", "reversed", "partially_reversed"}
)
# Far above any payment, and below what a signed 64-bit column and a JSON number hold.
_MAX_AMOUNT_MINOR = 10**15
# Characters that are kept of a text; Razorpay states no length. A dispute's status becomes part of
# a cause, whose column holds 300.
_MAX_TEXT = 200
_DIGITS = re.compile(r"[0-9]{1,16}")
# Razorpay's ids are a prefix and 14 letters or digits.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Razorpay writes this when it has no value.
_ABSENT = "NA"

Entity = Mapping[str, object]


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


def parse_order(entity: object) -> Order:
    """Read an order."""
    fields = _fields(entity, "order")
    return Order(
        order_id=_id(fields, "id", "order_"),
        receipt=_optional_text(fields, "receipt"),
        amount_minor=_amount(fields, "amount"),
        currency=_currency(fields),
        status=_status(fields, ("status",), _ORDER_STATUSES),
        paid_minor=_optional_amount(fields, "amount_paid") or 0,
    )


def parse_payment(entity: object) -> Payment:
    """Read a payment; `order_id` is empty for one that was made without an order."""
    fields = _fields(entity, "payment")
    return Payment(
        payment_id=_id(fields, "id", "pay_"),
        order_id=_id(fields, "order_id", "order_") if _has(fields, "order_id") else "",
        status=_status(fields, ("status",), _PAYMENT_STATUSES),
        amount_minor=_amount(fields, "amount"),
        currency=_currency(fields),
        fee_minor=_optional_amount(fields, "fee"),
        tax_minor=_optional_amount(fields, "tax"),
        refunded_minor=_optional_amount(fields, "amount_refunded") or 0,
        error_reason=_optional_text(fields, "error_reason"),
        offer_id=_optional_text(fields, "offer_id"),
    )


def parse_transfer(entity: object) -> Transfer:
    """Read a transfer, with its status under either of the two names that Razorpay uses."""
    fields = _fields(entity, "transfer")
    error = fields.get("error")
    return Transfer(
        transfer_id=_id(fields, "id", "trf_"),
        payment_id=_text(fields, "source"),
        account_id=_id(fields, "recipient", "acc_"),
        amount_minor=_amount(fields, "amount"),
        reversed_minor=_optional_amount(fields, "amount_reversed") or 0,
        currency=_currency(fields),
        on_hold=_flag(fields, "on_hold"),
        status=_status(fields, ("status", "transfer_status"), _TRANSFER_STATUSES),
        settlement_status=_optional_text(fields, "settlement_status"),
        notes=_notes(fields),
        error_reason=_optional_text(error, "reason") if isinstance(error, Mapping) else "",
        fee_minor=_optional_amount(fields, "fees") or 0,
        tax_minor=_optional_amount(fields, "tax") or 0,
    )


def parse_reversal(entity: object) -> Reversal:
    """Read a reversal."""
    fields = _fields(entity, "reversal")
    return Reversal(
        reversal_id=_id(fields, "id", "rvrsl_"),
        transfer_id=_id(fields, "transfer_id", "trf_"),
        amount_minor=_amount(fields, "amount"),
        notes=_notes(fields),
    )


def parse_refund(entity: object) -> Refund:
    """Read a refund."""
    fields = _fields(entity, "refund")
    return Refund(
        refund_id=_id(fields, "id", "rfnd_"),
        payment_id=_id(fields, "payment_id", "pay_"),
        amount_minor=_amount(fields, "amount"),
        currency=_currency(fields),
        status=_status(fields, ("status",), _REFUND_STATUSES),
        notes=_notes(fields),
        fee_minor=_optional_amount(fields, "fee") or 0,
        tax_minor=_optional_amount(fields, "tax") or 0,
        bank_reference=_bank_reference(fields.get("acquirer_data")),
    )


def parse_dispute(entity: object) -> Dispute:
    """Read a dispute as the API answers it."""
    fields = _fields(entity, "dispute")
    return Dispute(
        dispute_id=_id(fields, "id", "disp_"),
        payment_id=_id(fields, "payment_id", "pay_"),
        amount_minor=_amount(fields, "amount"),
        reason_code=_optional_text(fields, "reason_code"),
        # Any word is read: a status that is not known to end a dispute goes on stopping a release.
        status=_text(fields, "status"),
        deducted_minor=_optional_amount(fields, "amount_deducted") or 0,
    )


def _bank_reference(data: object) -> str:
    """Read the bank's number out of `acquirer_data`, whose fields depend on the method."""
    if not isinstance(data, Mapping):
        return ""
    return next((_text(data, name) for name in ("arn", "rrn", "utr") if _has(data, name)), "")


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


def _fields(entity: object, kind: str) -> Entity:
    if not isinstance(entity, Mapping):
        raise ValueError(f"A {kind} of Razorpay must be an object.")
    named = entity.get("entity", kind)
    if named != kind:
        raise ValueError(f"Expected a {kind} of Razorpay, got {named!r:.40}.")
    return entity


def _text(fields: Entity, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value in ("", _ABSENT):
        raise ValueError(f"Razorpay's field {name!r} must be a text, got {value!r:.60}.")
    # JSON can spell half a surrogate pair and NUL: neither protobuf nor PostgreSQL take them.
    return value[:_MAX_TEXT].encode(errors="replace").decode().replace("\0", "?")


def _has(fields: Entity, name: str) -> bool:
    return fields.get(name) not in (None, "", _ABSENT)


def _optional_text(fields: Entity, name: str) -> str:
    return _text(fields, name) if _has(fields, name) else ""


def _id(fields: Entity, name: str, prefix: str) -> str:
    value = _text(fields, name)
    if not value.startswith(prefix) or not _ID.fullmatch(value):
        raise ValueError(
            f"Razorpay's field {name!r} must be an id of {prefix!r}, got {value!r:.60}."
        )
    return value


def _currency(fields: Entity) -> str:
    value = _text(fields, "currency")
    if len(value) != 3 or not (value.isascii() and value.isalpha() and value.isupper()):
        raise ValueError(f"Razorpay's field 'currency' must be an ISO code, got {value!r:.60}.")
    return value


def _amount(fields: Entity, name: str) -> int:
    value = fields.get(name)
    # Some of Razorpay's own samples write a number as a text.
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_AMOUNT_MINOR:
        raise ValueError(f"Razorpay's field {name!r} must be a whole number, got {value!r:.60}.")
    return value


def _optional_amount(fields: Entity, name: str) -> int | None:
    return _amount(fields, name) if _has(fields, name) else None


def _flag(fields: Entity, name: str) -> bool:
    value = fields.get(name)
    # Razorpay's own samples write it as 0 and 1 too.
    if value is None or value in (0, 1):
        return bool(value)
    raise ValueError(f"Razorpay's field {name!r} must be true or false, got {value!r:.60}.")


def _status(fields: Entity, names: Collection[str], known: Collection[str]) -> str:
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"Razorpay's status must be one of {sorted(known)}, got {value!r:.60}.")
    return value


def _notes(fields: Entity) -> Mapping[str, str]:
    notes = fields.get("notes")
    # Empty notes come as an empty list.
    if notes is None or notes == []:
        return {}
    if not isinstance(notes, Mapping):
        raise ValueError(f"Razorpay's field 'notes' must be an object, got {notes!r:.60}.")
    return {str(key): str(value) for key, value in notes.items()}
