"""The commands: what is asked of an escrow, and what the payment provider reports. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.law.part import Move
from core.law.status import AttentionCode


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
    acceptance_required: bool = False
    remind_before_us: int = 0
    external_id: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CancelEscrow:
    note: str = ""


@dataclass(frozen=True, slots=True)
class AcceptEscrow:
    """The party that did not create the escrow agrees to it."""


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
class RetrySettlement:
    """Try again what has stopped, in the direction that was decided."""

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
class File:
    """A file that was uploaded for an escrow and not sent yet. `sha256` is hexadecimal."""

    file_id: str
    escrow_id: str
    uploader_id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AddDisputeMessage:
    """Say something in a dispute.

    `file_ids` are the files that it shows. Whoever runs the command adds `files`: those of them
    that are stored and were not sent, as of the same transaction.
    """

    text: str
    file_ids: tuple[str, ...] = ()
    part_id: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class OverrideSettlement:
    """Divide anew what is settling.

    Only settlement may say that nothing of it has been done: it looks at the provider's listings
    under its lease, and names the version that it saw.
    """

    release_minor: int
    refund_minor: int
    note: str
    part_id: str = ""
    seen_version: int = 0


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
    """The provider reports the status of a payment, in the provider's own word.

    `order_amount_minor` is what the provider's order asks for; 0 where the order is not known.
    """

    payment_id: str
    order_id: str
    status: str
    amount_minor: int
    currency: str
    gateway_fee_minor: int = 0
    gateway_tax_minor: int = 0
    error_reason: str = ""
    order_amount_minor: int = 0
    order_is_paid: bool = False
    offer_id: str = ""


@dataclass(frozen=True, slots=True)
class ReportHold:
    """The provider holds so much for the seller of a part, by all these transfers and reversals."""

    transfer_id: str
    amount_minor: int
    part_id: str = ""
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportRefund:
    """The provider has processed a refund. `part_id` is None when Holdfast did not ask for it.

    `is_adopted` marks one that somebody made by hand, and that settlement takes for a share of what
    it has to refund.
    """

    refund_id: str
    payment_id: str
    amount_minor: int
    part_id: str | None
    fee_minor: int = 0
    tax_minor: int = 0
    bank_reference: str = ""
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class ReportBankDispute:
    """The bank has opened or ended a dispute. `phase` is the end of the provider's event name.

    `deducted_minor` is what the provider has taken for it.
    """

    dispute_id: str
    payment_id: str
    phase: str
    amount_minor: int
    reason: str = ""
    deducted_minor: int = 0


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A lost chargeback is taken from what is held.

    It is taken from the part `part_id`, or from the surplus payment `payment_id`. Settlement says
    so after it has seen that nothing of it was paid out or refunded.
    """

    dispute_id: str
    amount_minor: int
    part_id: str = ""
    payment_id: str = ""


@dataclass(frozen=True, slots=True)
class WriteOff:
    """Nothing is held that a lost chargeback could be taken from: the platform bears the rest."""

    dispute_id: str


@dataclass(frozen=True, slots=True)
class CompleteSettlement:
    """The provider has done everything that the settlement of a part asks for."""

    part_id: str = ""
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class FailSettlement:
    """The provider refuses a step for good, or a person has to decide."""

    problem: str
    part_id: str = ""
    code: AttentionCode = AttentionCode.GATEWAY_REFUSED
    subject: str = ""


@dataclass(frozen=True, slots=True)
class EndAttention:
    """What a person had to look at is over."""

    code: AttentionCode
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PassDeadline:
    """A deadline is near or has passed.

    Near: remind. Passed: cancel what was not paid, release what was not inspected in time.
    """


Command = (
    CreateEscrow
    | CancelEscrow
    | AcceptEscrow
    | AddConfirmation
    | ReleaseEscrow
    | RefundEscrow
    | RetrySettlement
    | RaiseDispute
    | WithdrawDispute
    | ResolveDispute
    | AddDisputeMessage
    | OverrideSettlement
    | PublishUpdate
    | RecordOrder
    | ReportPayment
    | ReportHold
    | ReportRefund
    | ReportBankDispute
    | TakeBack
    | WriteOff
    | CompleteSettlement
    | FailSettlement
    | EndAttention
    | PassDeadline
)
