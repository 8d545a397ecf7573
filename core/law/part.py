"""A part of an escrow, which is decided by itself, and what was said about it. Pure values.

Times are whole microseconds since the epoch, amounts whole minor units.
"""

from __future__ import annotations

import msgspec

from core.law.money import fee_minor
from core.law.status import DisputeStatus, Party, Status


class Confirmation(msgspec.Struct, frozen=True):
    """One party says that the deal is done."""

    party: Party
    time_us: int


class Acceptance(msgspec.Struct, frozen=True):
    """The party that did not create an escrow agrees to it."""

    party: Party
    time_us: int


class Said(msgspec.Struct, frozen=True):
    """How many messages one person has written in a dispute."""

    user_id: str
    count: int


class Dispute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An objection, the latest one of its part."""

    raised_by: str
    reason: str
    raise_time_us: int
    status: DisputeStatus = DisputeStatus.OPEN
    end_time_us: int | None = None
    note: str = ""
    said: tuple[Said, ...] = ()

    def said_by(self, user_id: str) -> int:
        """How many messages this person has written in it."""
        return next((one.count for one in self.said if one.user_id == user_id), 0)


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
    def may_divide_anew(self) -> bool:
        """Whether what settles may still be decided otherwise: until the buyer has money of it."""
        settlement = self.settlement
        return settlement is not None and not self.repaid_minor and not settlement.bank_minor

    @property
    def may_give_more(self) -> bool:
        """Whether the buyer could still get more of it than is decided."""
        is_fixed = self.settlement is not None and not self.may_divide_anew
        return not is_fixed and self.held_minor > self.owing_minor

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
