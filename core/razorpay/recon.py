"""Razorpay's settlement reports: the lines of a day, and the settlements that they belong to.

A report is the only complete word on what moved Razorpay's balance, so that one line which cannot
be read must not hide the others: it is handed on with what is wrong with it. Amounts are whole
minor units. Field names: RZP/api/settlements/fetch-recon and fetch-with-id; Razorpay's samples have
nulls, missing fields and numbers as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.razorpay import field
from core.razorpay.field import Entity

# Characters that the ledger takes of an id, and a line of a report of a text.
_ID_LIMIT = 36
_TEXT_LIMIT = 64


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
        return ReconLine("", "", problem=f"A line is no object but a {type(item).__name__}.")
    try:
        return _line(item)
    except ValueError as error:
        return ReconLine(
            field.remark(item, "entity_id")[:_TEXT_LIMIT],
            field.remark(item, "type")[:_TEXT_LIMIT],
            problem=str(error),
        )


def parse_settlement(entity: object) -> Settlement:
    """Read a settlement. Raises ValueError."""
    fields = field.object_of(entity, "settlement")
    return Settlement(
        settlement_id=_id(fields, "id"),
        amount_minor=field.amount(fields, "amount"),
        status=_text(fields, "status"),
        utr=_optional_text(fields, "utr"),
        create_time_s=_amount(fields, "created_at"),
    )


def _line(item: Entity) -> ReconLine:
    if not field.has(item, "debit") and not field.has(item, "credit"):
        raise ValueError("Razorpay's line has neither debit nor credit.")
    return ReconLine(
        entity_id=_id(item, "entity_id"),
        type=_text(item, "type"),
        debit_minor=_amount(item, "debit"),
        credit_minor=_amount(item, "credit"),
        amount_minor=_amount(item, "amount"),
        fee_minor=_amount(item, "fee"),
        tax_minor=_amount(item, "tax"),
        currency=field.currency(item),
        settlement_id=_optional_id(item, "settlement_id"),
        utr=_optional_text(item, "settlement_utr"),
        settle_time_s=_amount(item, "settled_at"),
        payment_id=_optional_id(item, "payment_id"),
        dispute_id=_optional_id(item, "dispute_id"),
    )


def _text(fields: Entity, name: str) -> str:
    return field.text(fields, name)[:_TEXT_LIMIT]


def _optional_text(fields: Entity, name: str) -> str:
    return _text(fields, name) if field.has(fields, name) else ""


def _id(fields: Entity, name: str) -> str:
    value = field.entity_id(fields, name, "")
    if len(value) > _ID_LIMIT:
        raise ValueError(
            f"Razorpay's field {name!r} must be an id of {_ID_LIMIT} characters at most."
        )
    return value


def _optional_id(fields: Entity, name: str) -> str:
    return _id(fields, name) if field.has(fields, name) else ""


def _amount(fields: Entity, name: str) -> int:
    return field.optional_amount(fields, name) or 0
