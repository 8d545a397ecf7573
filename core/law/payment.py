"""What was paid, what went back, and what the bank took. Pure values.

Times are whole microseconds since the epoch, amounts whole minor units.
"""

from __future__ import annotations

import msgspec

from core.law.status import PaymentStatus


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
