"""The commands: what is asked of an escrow, and what the payment provider reports. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.law.escrow import Attention


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: a user with the roles of the token, or a part of Holdfast itself."""

    user_id: str
    roles: frozenset[str] = frozenset({"user"})

    @property
    def sees_all(self) -> bool:
        return not self.roles.isdisjoint(_SEES_ALL)


_SEES_ALL = frozenset({"admin", "service", "razorpay", "settlement", "clock"})

# No token can name one of these or carry its role (holdfast.subject).
RAZORPAY = Caller("razorpay", frozenset({"razorpay"}))
SETTLEMENT = Caller("settlement", frozenset({"settlement"}))
CLOCK = Caller("clock", frozenset({"clock"}))


@dataclass(frozen=True, slots=True)
class NewMilestone:
    title: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CreateEscrow:
    escrow_id: str
    buyer_id: str
    seller_id: str
    arbiter_id: str
    title: str
    description: str
    amount_minor: int
    currency: str
    fee_bps: int
    payment_window_us: int
    inspection_period_us: int
    milestones: tuple[NewMilestone, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelEscrow:
    note: str = ""


@dataclass(frozen=True, slots=True)
class AddConfirmation:
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseEscrow:
    """`milestone_id` names one milestone. When it is empty, all that is held is meant."""

    note: str = ""
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class RefundEscrow:
    """`milestone_id` names one milestone. When it is empty, all that is held is meant."""

    note: str = ""
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class RaiseDispute:
    reason: str
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class WithdrawDispute:
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class ResolveDispute:
    release_minor: int
    refund_minor: int
    note: str = ""
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class PublishUpdate:
    update_type: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordOrder:
    """StartPayment has made an order at the payment provider.

    `spent_orders` is what the escrow said when the order was made. A surplus payment may have used
    the order up since. None means that the caller does not know.
    """

    order_id: str
    spent_orders: int | None = None


@dataclass(frozen=True, slots=True)
class ReportPayment:
    """The provider reports the status of a payment, in the provider's own word."""

    payment_id: str
    order_id: str
    status: str
    amount_minor: int
    currency: str
    gateway_fee_minor: int = 0
    gateway_tax_minor: int = 0
    error_reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportHold:
    """The provider holds the seller's transfer of a part."""

    transfer_id: str
    amount_minor: int
    part_id: str = ""


@dataclass(frozen=True, slots=True)
class ReportRefund:
    """The provider has processed a refund. `part_id` is None when Holdfast did not ask for it."""

    refund_id: str
    payment_id: str
    amount_minor: int
    part_id: str | None


@dataclass(frozen=True, slots=True)
class ReportBankDispute:
    """The bank has opened or ended a dispute. `phase` is the end of the provider's event name."""

    dispute_id: str
    payment_id: str
    phase: str
    amount_minor: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CompleteSettlement:
    """The provider has done everything that the settlement of a part asks for."""

    part_id: str = ""


@dataclass(frozen=True, slots=True)
class FailSettlement:
    """The provider refuses a step for good, or a person has to decide."""

    problem: str
    part_id: str = ""
    code: Attention = Attention.GATEWAY_REFUSED


@dataclass(frozen=True, slots=True)
class PassDeadline:
    """A deadline has passed: cancel what was not paid, release what was not inspected in time."""


Command = (
    CreateEscrow
    | CancelEscrow
    | AddConfirmation
    | ReleaseEscrow
    | RefundEscrow
    | RaiseDispute
    | WithdrawDispute
    | ResolveDispute
    | PublishUpdate
    | RecordOrder
    | ReportPayment
    | ReportHold
    | ReportRefund
    | ReportBankDispute
    | CompleteSettlement
    | FailSettlement
    | PassDeadline
)
