"""What a comparison is made of, and what it may answer: one step, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.law.escrow import Escrow
from core.law.status import AttentionCode
from core.razorpay import Order, Payment, Refund, Reversal, Transfer
from core.settlement.report import WHOLE, Report

# How often a transfer or refund that Razorpay fails is made again before a person has to look, and
# as often again each time that one has it tried again.
MAX_FAILED = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What Razorpay's listings say about one payment."""

    payment: Payment
    transfers: Sequence[Transfer] = ()
    reversals: Mapping[str, Sequence[Reversal]] = field(default_factory=dict)
    refunds: Sequence[Refund] = ()
    # Its order, where the amounts alone do not tell whether it is paid.
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    payment_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Make the seller's transfer, on hold. Razorpay knows no idempotency key for it."""

    payment_id: str
    part_id: str
    account_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take back from the seller's transfer. Razorpay knows no idempotency key for it."""

    transfer_id: str
    part_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Repay:
    """Give back to the buyer, under an idempotency key."""

    payment_id: str
    part_id: str
    amount_minor: int
    key: str


@dataclass(frozen=True, slots=True)
class Unhold:
    transfer_id: str
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Razorpay is still at it; look again soon."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Somebody else has to act first, and nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A person has to look. `subject` is Razorpay's id of what it is about, if it is no part."""

    part_id: str
    problem: str
    code: AttentionCode = AttentionCode.GATEWAY_REFUSED
    subject: str = ""


Act = Capture | Hold | Reverse | Repay | Unhold | Report
Step = Act | Wait | Stuck | Blocked


def transfers_of(escrow: Escrow, part_id: str, have: Found) -> list[Transfer]:
    """List our transfers of a part, failed ones too."""
    return [t for t in have.transfers if _is_of(t.notes, escrow.escrow_id, part_id)]


def live(transfers: Sequence[Transfer]) -> list[Transfer]:
    """List those of which something still stands."""
    return [t for t in transfers if t.status != "failed" and t.amount_minor > t.reversed_minor]


def refunds_of(part_id: str, have: Found) -> list[Refund]:
    """List our refunds of a part, failed ones too."""
    return [r for r in have.refunds if r.notes.get("part") == (part_id or WHOLE)]


def is_alive(refund: Refund) -> bool:
    return refund.status != "failed"


def must_wait(escrow: Escrow, failed: int, problem: str) -> bool:
    """Whether a person has to be told of so many failures before the next try.

    Afterwards they are tried again when somebody asks for it or registers the account again, and
    every hour when nobody can ask.
    """
    return failed >= MAX_FAILED * (1 + escrow.retries) and not escrow.is_told(problem)


def _is_of(notes: Mapping[str, str], escrow_id: str, part_id: str) -> bool:
    return notes.get("escrow_id") == escrow_id and notes.get("part") == (part_id or WHOLE)
