"""The nouns of the law: an escrow, its parts, its payment, and what happened to it. Pure values.

Times are whole microseconds since the epoch, durations whole microseconds, amounts whole minor
units of the escrow's currency. An escrow always has at least one part: its milestones, or one part
with the empty id that is the whole of it, so that one law serves both.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from core.law.money import fee_minor

# The present form of the public message; see core.law.record.
FORM = 1

# Ids of escrows are made by CreateEscrow: a UUID in lower case.
ESCROW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Status(enum.StrEnum):
    """Where an escrow, or a part of it, stands."""

    INITIATED = "INITIATED"
    HELD = "HELD"
    DISPUTED = "DISPUTED"
    SETTLING = "SETTLING"
    RELEASED = "RELEASED"
    REFUNDED = "REFUNDED"
    SPLIT = "SPLIT"
    CANCELLED = "CANCELLED"


FINAL = frozenset({Status.RELEASED, Status.REFUNDED, Status.SPLIT, Status.CANCELLED})


class PaymentStatus(enum.StrEnum):
    """Where a payment stands at the payment provider."""

    CREATED = "CREATED"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    FAILED = "FAILED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class EventType(enum.StrEnum):
    """What happened."""

    ESCROW_CREATED = "ESCROW_CREATED"
    ESCROW_CANCELLED = "ESCROW_CANCELLED"
    PAYMENT_STARTED = "PAYMENT_STARTED"
    PAYMENT_AUTHORIZED = "PAYMENT_AUTHORIZED"
    PAYMENT_CAPTURED = "PAYMENT_CAPTURED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAYMENT_REFUNDED = "PAYMENT_REFUNDED"
    FUNDS_HELD = "FUNDS_HELD"
    CONFIRMATION_ADDED = "CONFIRMATION_ADDED"
    DISPUTE_RAISED = "DISPUTE_RAISED"
    DISPUTE_WITHDRAWN = "DISPUTE_WITHDRAWN"
    DISPUTE_RESOLVED = "DISPUTE_RESOLVED"
    SETTLEMENT_STARTED = "SETTLEMENT_STARTED"
    SETTLEMENT_COMPLETED = "SETTLEMENT_COMPLETED"
    SETTLEMENT_FAILED = "SETTLEMENT_FAILED"
    ATTENTION_RAISED = "ATTENTION_RAISED"
    UPDATE_PUBLISHED = "UPDATE_PUBLISHED"
    ESCROW_ACCEPTED = "ESCROW_ACCEPTED"
    SETTLEMENT_OVERRIDDEN = "SETTLEMENT_OVERRIDDEN"
    DEADLINE_NEAR = "DEADLINE_NEAR"


class DeadlineAction(enum.StrEnum):
    """What the clock does when a deadline passes."""

    CANCEL = "CANCEL"
    RELEASE = "RELEASE"


class DisputeStatus(enum.StrEnum):
    """Where a dispute stands."""

    OPEN = "OPEN"
    WITHDRAWN = "WITHDRAWN"
    RESOLVED = "RESOLVED"


class Party(enum.StrEnum):
    """A side whose confirmation counts."""

    BUYER = "BUYER"
    SELLER = "SELLER"


class Confirmation(msgspec.Struct, frozen=True):
    """One party says that the deal is done."""

    party: Party
    time_us: int


class Acceptance(msgspec.Struct, frozen=True):
    """The party that did not create an escrow agrees to it."""

    party: Party
    time_us: int


class Dispute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An objection, the latest one of its part."""

    raised_by: str
    reason: str
    raise_time_us: int
    status: DisputeStatus = DisputeStatus.OPEN
    end_time_us: int | None = None
    note: str = ""


class Settlement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the held money of a part goes: release (fee included) + refund = what was held."""

    release_minor: int
    refund_minor: int
    fee_minor: int
    decided_by: str
    start_time_us: int
    note: str = ""
    complete_time_us: int | None = None
    # What of the refund the bank has given to the buyer already.
    bank_minor: int = 0
    # How often it was divided anew.
    turn: int = 0

    @property
    def transfer_minor(self) -> int:
        """What the seller's transfer must come to."""
        return self.release_minor - self.fee_minor

    @property
    def repay_minor(self) -> int:
        """What the provider must refund."""
        return self.refund_minor - self.bank_minor


# Who decides and refunds where a chargeback was lost.
BANK = "bank"


class AttentionCode(enum.StrEnum):
    """Why a person has to look at an escrow, the most pressing first."""

    BANK_DISPUTE = "BANK_DISPUTE"
    PLATFORM_LOSS = "PLATFORM_LOSS"
    FOREIGN_TRANSFER = "FOREIGN_TRANSFER"
    FOREIGN_REFUND = "FOREIGN_REFUND"
    GATEWAY_REFUSED = "GATEWAY_REFUSED"
    PAYEE_REFUSED = "PAYEE_REFUSED"
    PAYEE_MISSING = "PAYEE_MISSING"
    BOOKS_DIFFER = "BOOKS_DIFFER"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"


class Attention(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a person has to look at."""

    code: AttentionCode
    message: str
    since_us: int
    part_id: str = ""
    # The provider's id of what it is about: a dispute, a payment, a refund.
    subject: str = ""


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transfer to the seller, or the reversal of one, as the provider lists it.

    A transfer is positive, a reversal negative. The provider's fee includes its tax.
    """

    entity_id: str
    amount_minor: int
    fee_minor: int = 0
    tax_minor: int = 0


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of an escrow that is decided by itself."""

    part_id: str
    amount_minor: int
    title: str = ""
    # The platform's fee if all of it is released: its share of the fee on the whole escrow.
    full_fee_minor: int = 0
    status: Status = Status.INITIATED
    held_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    fee_minor: int = 0
    confirmations: tuple[Confirmation, ...] = ()
    dispute: Dispute | None = None
    settlement: Settlement | None = None
    # The seller's transfer that the provider holds, as settlement last reported it.
    on_hold_minor: int = 0
    # The end of the inspection period, once the seller has confirmed.
    inspect_until_us: int | None = None
    # The deadline of which the parties have been reminded.
    reminded_us: int | None = None
    # What of `refunded_minor` the bank gave back after a lost chargeback.
    bank_minor: int = 0
    # The transfers and reversals that settlement has reported, in its order.
    moves: tuple[Move, ...] = ()

    def fee_on(self, release_minor: int, fee_bps: int) -> int:
        """Answer the platform's fee on a release of this part."""
        if release_minor == self.amount_minor:
            return self.full_fee_minor
        return fee_minor(release_minor, fee_bps)

    @property
    def repaid_minor(self) -> int:
        """What the provider has refunded."""
        return self.refunded_minor - self.bank_minor

    @property
    def owing_minor(self) -> int:
        """What the provider has still to refund, as decided."""
        return self.settlement.repay_minor - self.repaid_minor if self.settlement else 0

    @property
    def payout_minor(self) -> int:
        """What the seller gets if all of it is released."""
        return self.amount_minor - self.full_fee_minor

    def has_confirmed(self, party: Party) -> bool:
        return any(c.party is party for c in self.confirmations)

    @property
    def deadline_us(self) -> int | None:
        """When the inspection period ends, while it runs."""
        return self.inspect_until_us if self.status is Status.HELD else None


class RefundMade(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refund that the provider has processed."""

    refund_id: str
    amount_minor: int
    time_us: int
    # The bank's own number of it, where the provider tells one.
    bank_reference: str = ""


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payment of an escrow as the payment provider last reported it."""

    status: PaymentStatus | None = None
    order_id: str = ""
    payment_id: str = ""
    amount_minor: int = 0
    refunded_minor: int = 0
    gateway_fee_minor: int = 0
    gateway_tax_minor: int = 0
    # What the customer paid on top of `amount_minor`, as the bearer of the provider's fee.
    customer_fee_minor: int = 0
    # How much of it the bank gave back after a lost chargeback.
    charged_back_minor: int = 0
    refunds: tuple[RefundMade, ...] = ()

    @property
    def is_captured(self) -> bool:
        return self.status in (
            PaymentStatus.CAPTURED,
            PaymentStatus.PARTIALLY_REFUNDED,
            PaymentStatus.REFUNDED,
        )


class Surplus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A captured payment that the escrow cannot use. It is refunded in full."""

    payment_id: str
    amount_minor: int
    currency: str
    why: str
    refunded_minor: int = 0
    # What of `refunded_minor` the bank gave back after a lost chargeback.
    bank_minor: int = 0
    # What was paid on top of `amount_minor` and stays with the provider.
    customer_fee_minor: int = 0
    refund: RefundMade | None = None
    # Every refund that was reported of it.
    refund_ids: tuple[str, ...] = ()
    # A rest that the provider cannot move, and that stays with the platform.
    kept_minor: int = 0

    @property
    def rest_minor(self) -> int:
        """What is still to go back."""
        return self.amount_minor - self.refunded_minor - self.kept_minor

    @property
    def is_returned(self) -> bool:
        return self.rest_minor <= 0


class Chargeback(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dispute of the buyer's bank, and what it did to the money."""

    dispute_id: str
    payment_id: str
    amount_minor: int
    # What the provider has taken for it and not given back.
    deducted_minor: int = 0
    is_over: bool = False
    is_lost: bool = False
    # What of a lost one is not yet taken from anybody.
    unsettled_minor: int = 0


class Escrow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An escrow at one version. Everything that the law needs to judge the next command."""

    escrow_id: str
    version: int
    buyer_id: str
    seller_id: str
    arbiter_id: str
    title: str
    description: str
    amount_minor: int
    currency: str
    # Kept from creation, so that a later change of the platform's fee changes no agreement.
    fee_bps: int
    payment_window_us: int
    inspection_period_us: int
    create_time_us: int
    update_time_us: int
    parts: tuple[Part, ...]
    payment: Payment = Payment()
    # Orders whose payment could not be taken; the next order's receipt counts them.
    spent_orders: int = 0
    surplus: tuple[Surplus, ...] = ()
    # The bank's open disputes (chargebacks). While there is one, nothing is released.
    bank_disputes: tuple[str, ...] = ()
    # Disputes that are over. The report of an opening may arrive after that of its end.
    ended_bank_disputes: tuple[str, ...] = ()
    # Disputes that were lost: the bank took the money for the buyer. Nothing ends them.
    lost_bank_disputes: tuple[str, ...] = ()
    # What a person has to look at, the most pressing first.
    attentions: tuple[Attention, ...] = ()
    # How often a person has had a settlement tried again.
    retries: int = 0
    # The caller that created it; empty where that was not recorded yet.
    created_by: str = ""
    acceptance_required: bool = False
    acceptances: tuple[Acceptance, ...] = ()
    chargebacks: tuple[Chargeback, ...] = ()
    # How long before a deadline the parties are reminded; 0 for not at all.
    remind_before_us: int = 0
    # Whether they have been reminded of the end of the payment window.
    is_reminded: bool = False
    # The caller's own id and data.
    external_id: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    # Which fields of the public message its last event has (core.law.record).
    form: int = 0

    @property
    def status(self) -> Status:
        return fold(self.parts)

    @property
    def held_minor(self) -> int:
        return sum(p.held_minor for p in self.parts)

    @property
    def released_minor(self) -> int:
        return sum(p.released_minor for p in self.parts)

    @property
    def refunded_minor(self) -> int:
        return sum(p.refunded_minor for p in self.parts)

    @property
    def fee_minor(self) -> int:
        return sum(p.fee_minor for p in self.parts)

    @property
    def has_milestones(self) -> bool:
        return bool(self.parts[0].part_id)

    @property
    def party_ids(self) -> tuple[str, ...]:
        """Buyer, seller, and the arbiter where there is one. They never change."""
        ids = (self.buyer_id, self.seller_id, self.arbiter_id)
        return ids if self.arbiter_id else ids[:2]

    @property
    def has_order(self) -> bool:
        return bool(self.payment.order_id) or self.spent_orders > 0

    @property
    def attention(self) -> str:
        """The most pressing of what a person has to look at; empty where there is nothing."""
        return self.attentions[0].message if self.attentions else ""

    @property
    def attention_code(self) -> str:
        return self.attentions[0].code.value if self.attentions else ""

    def is_told(self, problem: str) -> bool:
        """Whether a person has been told of exactly this."""
        return any(one.message == problem for one in self.attentions)

    @property
    def payout_minor(self) -> int:
        """What the seller gets if all is released."""
        return sum(p.payout_minor for p in self.parts)

    @property
    def refunded_by(self) -> str:
        """BANK where the bank gave the buyer everything back."""
        is_whole = all(0 < p.bank_minor == p.refunded_minor for p in self.parts)
        return BANK if is_whole and self.status is Status.REFUNDED else ""

    @property
    def deadline_us(self) -> int | None:
        """The next moment at which a deadline passes, or None."""
        if self.status is Status.INITIATED:
            return self.create_time_us + self.payment_window_us
        ends = [part.deadline_us for part in self.parts]
        return min((end for end in ends if end is not None), default=None)

    @property
    def deadline_action(self) -> DeadlineAction | None:
        """What happens then."""
        if self.deadline_us is None:
            return None
        is_unpaid = self.status is Status.INITIATED
        return DeadlineAction.CANCEL if is_unpaid else DeadlineAction.RELEASE

    @property
    def look_us(self) -> int | None:
        """The next moment at which the clock has something to do: a deadline, or a reminder."""
        moments = (self.deadline_us, self.reminder_us, *map(self.reminder_of, self.parts))
        return min((one for one in moments if one is not None), default=None)

    @property
    def reminder_us(self) -> int | None:
        """When the parties are to be reminded of the payment window, or None."""
        if self.status is not Status.INITIATED or self.is_reminded:
            return None
        return self._before(self.create_time_us + self.payment_window_us, self.payment_window_us)

    def reminder_of(self, part: Part) -> int | None:
        """When the parties are to be reminded of a part's inspection period, or None."""
        end_us = part.deadline_us
        if end_us is None or part.reminded_us == end_us:
            return None
        return self._before(end_us, self.inspection_period_us)

    def _before(self, end_us: int, span_us: int) -> int | None:
        # What is near from its start is known to everybody.
        is_long = 0 < self.remind_before_us < span_us
        return end_us - self.remind_before_us if is_long else None

    def part(self, part_id: str) -> Part | None:
        return next((p for p in self.parts if p.part_id == part_id), None)

    def with_part(self, part: Part) -> Escrow:
        """Answer the escrow with this part in place of the one of the same id."""
        parts = tuple(part if p.part_id == part.part_id else p for p in self.parts)
        return msgspec.structs.replace(self, parts=parts)


# The status of one part that decides the status of the whole, most pressing first. When all
# parts are final, they are judged together.
_PRESSING = (Status.DISPUTED, Status.SETTLING, Status.HELD, Status.INITIATED)


def fold(parts: Sequence[Part]) -> Status:
    """Answer the status of the whole: the most pressing of its parts, or how they all ended."""
    statuses = {p.status for p in parts}
    for status in _PRESSING:
        if status in statuses:
            return status
    return statuses.pop() if len(statuses) == 1 else Status.SPLIT


class Event(msgspec.Struct, frozen=True):
    """One thing that happened, and the escrow right after it."""

    type: EventType
    actor_id: str
    old_status: Status | None
    escrow: Escrow
    payment_status: PaymentStatus | None = None
    part_id: str = ""
    update_type: str = ""
    data: dict[str, Any] = {}

    @property
    def new_status(self) -> Status:
        return self.escrow.status

    @property
    def version(self) -> int:
        return self.escrow.version
