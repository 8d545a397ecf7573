"""Razorpay's settlement reports: the lines of a day, and the settlements that they belong to.

A report is the only complete word on what moved Razorpay's balance, so that one line which cannot
be read must not hide the others: it is handed on with what is wrong with it. Amounts are whole
minor units. Field names: RZP/api/settlements/fetch-recon and fetch-with-id; Razorpay's samples have
nulls, missing fields and numbers as text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Far above any payment, and below what a signed 64-bit column holds.
_MAX_AMOUNT_MINOR = 10**15
# Ids are a prefix and 14 letters or digits; the ledger takes up to 36 characters.
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIGITS = re.compile(r"[0-9]{1,16}")
_TEXT_LIMIT = 64
_NOTHING = (None, "", "NA")


@dataclass(frozen=True, slots=True)
class ReconLine:
    """One line of a day's report: what an entity did to Razorpay's balance.

    Where it cannot be read, `problem` says why, and the rest is what could be read of it.
    """

    entity_id: str
    # `payment`, `refund`, `transfer`, `reversal`, `adjustment`; Razorpay may add others.
    type: str
    debit_minor: int = 0
    credit_minor: int = 0
    amount_minor: int = 0
    fee_minor: int = 0
    tax_minor: int = 0
    currency: str = ""
    # Which bank transfer has brought it, and that transfer's reference; empty while none has.
    settlement_id: str = ""
    utr: str = ""
    # Seconds since the epoch; 0 while it is not settled.
    settle_time_s: int = 0
    payment_id: str = ""
    dispute_id: str = ""
    problem: str = ""

    @property
    def net_minor(self) -> int:
        """What it adds to the balance."""
        return self.credit_minor - self.debit_minor


@dataclass(frozen=True, slots=True)
class Settlement:
    """A transfer of Razorpay's to the platform's bank account."""

    settlement_id: str
    amount_minor: int
    # `created`, `processed` or `failed`.
    status: str
    utr: str
    create_time_s: int


def parse_recon_line(item: object) -> ReconLine:
    """Read a line of a report. Never raises: see `ReconLine.problem`."""
    if not isinstance(item, Mapping):
        return ReconLine("", "", problem=f"A line is no object: {item!r:.60}")
    try:
        return _line(item)
    except ValueError as error:
        return ReconLine(_shown(item, "entity_id"), _shown(item, "type"), problem=str(error))


def parse_settlement(entity: object) -> Settlement:
    """Read a settlement. Raises ValueError."""
    if not isinstance(entity, Mapping) or entity.get("entity", "settlement") != "settlement":
        raise ValueError("A settlement of Razorpay must be an object.")
    return Settlement(
        settlement_id=_id(entity, "id"),
        amount_minor=_whole(entity, "amount"),
        status=_text(entity, "status"),
        utr=_text(entity, "utr") if _has(entity, "utr") else "",
        create_time_s=_whole(entity, "created_at", default=0),
    )


def _line(item: Mapping[str, object]) -> ReconLine:
    if not _has(item, "debit") and not _has(item, "credit"):
        raise ValueError("Razorpay's line has neither debit nor credit.")
    return ReconLine(
        entity_id=_id(item, "entity_id"),
        type=_text(item, "type"),
        debit_minor=_whole(item, "debit", default=0),
        credit_minor=_whole(item, "credit", default=0),
        amount_minor=_whole(item, "amount", default=0),
        fee_minor=_whole(item, "fee", default=0),
        tax_minor=_whole(item, "tax", default=0),
        currency=_currency(item),
        settlement_id=_optional_id(item, "settlement_id"),
        utr=_text(item, "settlement_utr") if _has(item, "settlement_utr") else "",
        settle_time_s=_whole(item, "settled_at", default=0),
        payment_id=_optional_id(item, "payment_id"),
        dispute_id=_optional_id(item, "dispute_id"),
    )


def _has(fields: Mapping[str, object], name: str) -> bool:
    return fields.get(name) not in _NOTHING


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value in _NOTHING:
        raise ValueError(f"Razorpay's field {name!r} must be a text, got {value!r:.60}.")
    return _safe(value)


def _safe(value: str) -> str:
    # JSON can spell half a surrogate pair and NUL: neither protobuf nor PostgreSQL take them.
    return value[:_TEXT_LIMIT].encode(errors="replace").decode().replace("\0", "?")


def _shown(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return _safe(value) if isinstance(value, str) else ""


def _id(fields: Mapping[str, object], name: str) -> str:
    value = _text(fields, name)
    if not _ID.fullmatch(value):
        raise ValueError(f"Razorpay's field {name!r} must be an id, got {value!r:.60}.")
    return value


def _optional_id(fields: Mapping[str, object], name: str) -> str:
    return _id(fields, name) if _has(fields, name) else ""


def _currency(fields: Mapping[str, object]) -> str:
    value = _text(fields, "currency")
    if not _CURRENCY.fullmatch(value):
        raise ValueError(f"Razorpay's field 'currency' must be an ISO code, got {value!r:.60}.")
    return value


def _whole(fields: Mapping[str, object], name: str, *, default: int | None = None) -> int:
    value = fields.get(name)
    if default is not None and not _has(fields, name):
        return default
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_AMOUNT_MINOR:
        raise ValueError(f"Razorpay's field {name!r} must be a whole number, got {value!r:.60}.")
    return value
