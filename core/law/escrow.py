"""The noun of the law: an escrow at one version, and what happened to it. Pure values.

Times are whole microseconds since the epoch, durations whole microseconds, amounts whole minor
units of the escrow's currency. An escrow always has at least one part: its milestones, or one part
with the empty id that is the whole of it, so that one law serves both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from core.law.part import BANK, Acceptance, Part
from core.law.payment import Chargeback, Payment, Surplus
from core.law.status import (
    AttentionCode,
    DeadlineAction,
    EventType,
    PaymentStatus,
    Status,
)

# The present form of the public message; see core.law.record.
FORM = 1

# Ids of escrows are made by CreateEscrow: a UUID in lower case.
ESCROW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Attention(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a person has to look at."""

    code: AttentionCode
    message: str
    since_us: int
    part_id: str = ""
    # The provider's id of what it is about: a dispute, a payment, a refund, a refused account.
    subject: str = ""


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
    # Refunds by hand beside which an admin has had a settlement go on as it was decided.
    borne_refunds: tuple[str, ...] = ()
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
        return sum([p.held_minor for p in self.parts])

    @property
    def released_minor(self) -> int:
        return sum([p.released_minor for p in self.parts])

    @property
    def refunded_minor(self) -> int:
        return sum([p.refunded_minor for p in self.parts])

    @property
    def fee_minor(self) -> int:
        return sum([p.fee_minor for p in self.parts])

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
        return sum([p.payout_minor for p in self.parts])

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
        return _first([part.deadline_us for part in self.parts])

    @property
    def deadline_action(self) -> DeadlineAction | None:
        """What happens then."""
        if self.status is Status.INITIATED:
            return DeadlineAction.CANCEL
        return DeadlineAction.RELEASE if self.deadline_us is not None else None

    @property
    def look_us(self) -> int | None:
        """The next moment at which the clock has something to do: a deadline, or a reminder."""
        return _first([self.deadline_us, self.reminder_us, *map(self.reminder_of, self.parts)])

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


def _first(moments: Iterable[int | None]) -> int | None:
    return min([one for one in moments if one is not None], default=None)


# The status of one part that decides the status of the whole, most pressing first. When all
# parts are final, they are judged together.
_PRESSING = (Status.DISPUTED, Status.SETTLING, Status.HELD, Status.INITIATED)


def fold(parts: Sequence[Part]) -> Status:
    """Answer the status of the whole: the most pressing of its parts, or how they all ended."""
    if len(parts) == 1:
        return parts[0].status
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
