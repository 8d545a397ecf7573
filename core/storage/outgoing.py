"""The tables of webhooks out, and their rows. Times are whole microseconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from core.storage.tables import metadata

# A delivery is one of these.
PENDING, DELIVERED, FAILED = "PENDING", "DELIVERED", "FAILED"

# Whoever changes an endpoint's row or its deliveries has locked that row: it is what writers of one
# endpoint wait for, and they never lock two out of the order of their ids.
endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint_id", String(36), primary_key=True),
    Column("url", String(2000), nullable=False),
    # Types of events, separated by commas; empty for all.
    Column("types", Text, nullable=False),
    Column("description", String(500), nullable=False),
    Column("unordered", Boolean, nullable=False),
    # They sign, so they must be readable here. The previous one is empty where there is none.
    Column("secret", String(100), nullable=False),
    Column("previous_secret", String(100), nullable=False),
    Column("previous_until_us", BigInteger),
    Column("create_time_us", BigInteger, nullable=False),
    # Up to which position of the feed events have become deliveries.
    Column("position", BigInteger, nullable=False),
    # Deliveries that are PENDING.
    Column("pending", BigInteger, nullable=False),
    # Null while it is enabled.
    Column("disabled_us", BigInteger),
    Column("disabled_reason", String(300), nullable=False),
    # Since when no try has succeeded; null while the last one did.
    Column("failing_since_us", BigInteger),
    Column("last_success_us", BigInteger),
    # Its deliveries are being forgotten; then the row goes too.
    Column("deleted_us", BigInteger),
)

# One event for one endpoint.
deliveries = Table(
    "webhook_deliveries",
    metadata,
    # The receiver's `webhook-id`. Random, because after a restored backup positions may come again.
    Column("delivery_id", String(36), primary_key=True),
    Column("endpoint_id", String(36), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("escrow_id", String(36), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    # Whether it waits for earlier events of its escrow, and later ones for it.
    Column("in_order", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    # When to try next, or until when the lease lasts; null where it is ended or waits for another.
    Column("due_us", BigInteger),
    Column("lease_id", String(64)),
    # When the first of its present tries began; null before.
    Column("first_us", BigInteger),
    Column("last_us", BigInteger),
    # 0 where the last try got no answer.
    Column("last_status", Integer, nullable=False),
    Column("last_problem", String(300), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("end_time_us", BigInteger),
    Index("webhook_deliveries_position", "endpoint_id", "position", unique=True),
    Index("webhook_deliveries_state", "endpoint_id", "state", "position"),
    Index("webhook_deliveries_escrow", "endpoint_id", "escrow_id", "position"),
    Index(
        "webhook_deliveries_due",
        "endpoint_id",
        "due_us",
        postgresql_where=sa.text("due_us IS NOT NULL"),
        sqlite_where=sa.text("due_us IS NOT NULL"),
    ),
)

# What calls with a request id have answered.
calls = Table(
    "webhook_calls",
    metadata,
    Column("cause", String(300), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("endpoint_id", String(36), nullable=False),
    # The answer as a message, without the secret, which goes with its endpoint.
    Column("answer", LargeBinary, nullable=False),
    Column("secret", String(100), nullable=False),
    Index("webhook_calls_endpoint", "endpoint_id"),
)


class _Row:
    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Take the fields out of a row that has them."""
        return cls(**{one.name: row._mapping[one.name] for one in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Endpoint(_Row):
    """An address that gets events."""

    endpoint_id: str
    url: str
    types: str
    description: str
    unordered: bool
    secret: str
    previous_secret: str
    previous_until_us: int | None
    create_time_us: int
    position: int
    pending: int
    disabled_us: int | None
    disabled_reason: str
    failing_since_us: int | None
    last_success_us: int | None

    @property
    def wants(self) -> frozenset[str]:
        """The types of events that it gets; empty for all."""
        return frozenset(filter(None, self.types.split(",")))

    def secrets(self, now_us: int) -> tuple[str, ...]:
        """The secrets that sign at this time."""
        is_both = self.previous_until_us is not None and now_us < self.previous_until_us
        return (self.secret, self.previous_secret) if is_both else (self.secret,)


@dataclass(frozen=True, slots=True)
class Delivery(_Row):
    """One event for one endpoint."""

    delivery_id: str
    endpoint_id: str
    position: int
    escrow_id: str
    version: int
    type: str
    state: str
    in_order: bool
    attempts: int
    due_us: int | None
    lease_id: str | None
    first_us: int | None
    last_us: int | None
    last_status: int
    last_problem: str
    create_time_us: int
    end_time_us: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """What a call with a request id has answered."""

    cause: str
    fingerprint: bytes
    endpoint_id: str
    answer: bytes
    secret: str = ""
