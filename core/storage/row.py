"""What comes out of the tables, and the queries that reading and writing share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.law.escrow import Escrow
from core.law.payee import Payee, PayeeEventType
from core.storage import tables as t

# Parameters of one IN list; SQLite allows 32,766 in all, PostgreSQL 32,767.
IN_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Known:
    """An event that a cause has made before."""

    escrow_id: str
    version: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """An escrow with the hash of its last event."""

    escrow: Escrow
    last_hash: bytes


@dataclass(frozen=True, slots=True)
class Owed:
    """A leased piece of settlement's work."""

    escrow_id: str
    version: int
    stirs: int
    attempts: int
    lease_id: str
    asked: str | None
    asked_us: int | None


@dataclass(frozen=True, slots=True)
class PayeeRow:
    """A payee after one of its events, and what made that event."""

    payee: Payee
    cause: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class PostingRow:
    """A line of the ledger as it was written; debit is positive."""

    escrow_id: str
    version: int
    position: int
    account: str
    amount_minor: int
    currency: str
    create_time_us: int
    entity_id: str = ""
    # The settlement to the platform's bank that it was part of, as far as that is known, and the
    # bank's reference of that.
    settlement_id: str = ""
    utr: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether it belongs to no escrow; `escrow_id` is then Razorpay's own id."""
        return self.version == 0


@dataclass(frozen=True, slots=True)
class Movement:
    """What one event has posted to Razorpay's balance under one of Razorpay's ids."""

    entity_id: str
    escrow_id: str
    version: int
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ReconRow:
    """A line of a settlement report, and what the books say to it."""

    entity_id: str
    type: str
    subject_id: str
    debit_minor: int
    credit_minor: int
    amount_minor: int
    fee_minor: int
    tax_minor: int
    currency: str
    settlement_id: str
    utr: str
    settle_time_us: int
    outcome: str
    message: str
    escrow_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """How far the checks have come."""

    due_us: int
    check_time_us: int | None
    escrows_checked: int
    changes_us: int
    walk_begin_us: int | None
    walk_after_id: str
    walk_checked: int
    walk_total: int
    whole_begin_us: int | None
    whole_end_us: int | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something that a check has found."""

    escrow_id: str
    check_name: str
    message: str


@dataclass(frozen=True, slots=True)
class ReconFinding:
    """A line that the books do not explain."""

    day: str
    escrow_id: str
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class Drift:
    """An account whose kept balance is not the sum of its postings."""

    account: str
    currency: str
    kept_minor: int
    posted_minor: int


@dataclass(frozen=True, slots=True)
class Book:
    """All that is written about one escrow, read in one go."""

    escrow: Escrow
    last_hash: bytes
    events: Sequence[bytes]
    postings: Sequence[PostingRow]
    is_owed: bool
    # Versions that have a position, in the order of positions; then those that wait for one.
    placed: Sequence[int]
    unplaced: Sequence[int]


def payee_row(row: Sequence[Any]) -> PayeeRow:
    """Read a whole row of the table `payees`."""
    fields = dict(zip(t.payees.columns.keys(), row, strict=True))
    cause, fingerprint = fields.pop("cause"), bytes(fields.pop("fingerprint"))
    kind = PayeeEventType(fields.pop("type"))
    return PayeeRow(Payee(type=kind, **fields), cause, fingerprint)


def chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    """Cut a list into pieces that fit an IN list."""
    return (items[i : i + IN_LIMIT] for i in range(0, len(items), IN_LIMIT))
