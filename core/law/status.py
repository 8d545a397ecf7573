"""The words of the law: statuses, events, and why a person has to look. Pure values."""

from __future__ import annotations

import enum


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
    MESSAGE_ADDED = "MESSAGE_ADDED"


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
