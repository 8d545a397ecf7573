"""The tables. A test holds them against what the migrations make.

Times are whole microseconds since the epoch; amounts are whole minor units.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

# Ids of users, causes and Razorpay's ids are checked before they come here.
_ID = String(128)
_ESCROW_ID = String(36)
_CAUSE = String(300)
_NEWEST = ("create_time_us", "escrow_id")


def _where(condition: str) -> dict[str, Any]:
    """Have an index of some rows only; queries must say the same words."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


# Most escrows have no arbiter, and cost these indexes nothing.
_HAS_ARBITER = _where("arbiter_id > ''")

# The current fact, one row for each escrow.
escrows = Table(
    "escrows",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("buyer_id", _ID, nullable=False),
    Column("seller_id", _ID, nullable=False),
    Column("arbiter_id", _ID, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
    # When the clock has to look; null when it need not.
    Column("deadline_us", BigInteger),
    # The hash of the last event: the next one's previous_hash.
    Column("last_hash", LargeBinary(32), nullable=False),
    # core.law.escrow.Escrow as JSON.
    Column("body", Text, nullable=False),
    # Empty where it was created before this was recorded.
    Column("created_by", _ID, nullable=False, server_default=""),
    # Why a person has to look; empty where nobody has.
    Column("attention_code", String(24), nullable=False, server_default=""),
    # What lists are asked for: the caller's own id, sums, whom it waits for (core.law.turn), and
    # the words by which people look for it, as `listing.words` writes them.
    Column("external_id", _ID, nullable=False, server_default=""),
    Column("amount_minor", BigInteger, nullable=False, server_default="0"),
    Column("held_minor", BigInteger, nullable=False, server_default="0"),
    Column("needs_buyer", Integer, nullable=False, server_default="0"),
    Column("needs_seller", Integer, nullable=False, server_default="0"),
    Column("needs_arbiter", Integer, nullable=False, server_default="0"),
    Column("words", Text, nullable=False, server_default=""),
    # Lists of a user, of a user in one status, and of what two users share (see `listing`).
    Index("escrows_buyer", "buyer_id", *_NEWEST),
    Index("escrows_seller", "seller_id", *_NEWEST),
    Index("escrows_arbiter", "arbiter_id", *_NEWEST, **_HAS_ARBITER),
    Index("escrows_buyer_status", "buyer_id", "status", *_NEWEST),
    Index("escrows_seller_status", "seller_id", "status", *_NEWEST),
    Index("escrows_arbiter_status", "arbiter_id", "status", *_NEWEST, **_HAS_ARBITER),
    Index("escrows_buyer_and_seller", "buyer_id", "seller_id", *_NEWEST),
    Index("escrows_arbiter_and_buyer", "arbiter_id", "buyer_id", *_NEWEST, **_HAS_ARBITER),
    Index("escrows_arbiter_and_seller", "arbiter_id", "seller_id", *_NEWEST, **_HAS_ARBITER),
    Index("escrows_status", "status", *_NEWEST),
    Index("escrows_create_time", *_NEWEST),
    Index("escrows_deadline", "deadline_us"),
    Index("escrows_created_by", "created_by", "status"),
    # With the column that they are about, without which SQLite would look at each row to count.
    Index("escrows_needs_buyer", "buyer_id", *_NEWEST, "needs_buyer", **_where("needs_buyer > 0")),
    Index(
        "escrows_needs_seller", "seller_id", *_NEWEST, "needs_seller", **_where("needs_seller > 0")
    ),
    Index(
        "escrows_needs_arbiter",
        "arbiter_id",
        *_NEWEST,
        "needs_arbiter",
        **_where("needs_arbiter > 0"),
    ),
    # What is held for a user, added up without a look at the rows.
    Index("escrows_held_buyer", "buyer_id", "held_minor", **_where("held_minor > 0")),
    Index("escrows_held_seller", "seller_id", "held_minor", **_where("held_minor > 0")),
    Index(
        "escrows_held_arbiter",
        "arbiter_id",
        "held_minor",
        **_where("arbiter_id > '' AND held_minor > 0"),
    ),
    Index("escrows_worrying", *_NEWEST, **_where("attention_code > ''")),
    Index("escrows_external", "external_id", *_NEWEST, **_where("external_id > ''")),
    Index("escrows_update_time", "update_time_us"),
)

# Append only.
events = Table(
    "events",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    # What made it; that it is unique is what makes everything safe to repeat.
    Column("cause", _CAUSE, nullable=False, unique=True),
    # SHA-256 of the request, empty where there was none.
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("type", String(32), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    # escrow.v1.EscrowEvent, serialized.
    Column("body", LargeBinary, nullable=False),
)


def _place() -> tuple[Column[Any], ...]:
    """Which event it is, and by what its readers choose. The parties of an escrow never change."""
    return (
        Column("escrow_id", _ESCROW_ID, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("type", String(32), nullable=False),
        Column("new_status", String(16), nullable=False),
        Column("buyer_id", _ID, nullable=False),
        Column("seller_id", _ID, nullable=False),
        Column("arbiter_id", _ID, nullable=False),
    )


# Append only: where each event stands among those of all escrows, 1, 2, 3 … No position is seen
# before a smaller one (see `position`).
positions = Table(
    "positions",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    *_place(),
    Index("positions_event", "escrow_id", "version", unique=True),
    Index("positions_buyer", "buyer_id", "position"),
    Index("positions_seller", "seller_id", "position"),
    Index("positions_arbiter", "arbiter_id", "position", **_HAS_ARBITER),
)

# Events that are committed and have no position yet, as they will stand in `positions`. Empty
# on SQLite. Without an index, for it is short, and all of it is taken at once.
outbox = Table(
    "outbox",
    metadata,
    Column("create_time_us", BigInteger, nullable=False),
    *_place(),
)

# Append only. The postings of one event sum to zero in each currency. What belongs to no escrow
# stands under Razorpay's own id, as version 0.
postings = Table(
    "postings",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("account", String(160), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    # Razorpay's id of what the line is about; empty where Razorpay had no part in it.
    Column("entity_id", String(64), nullable=False, server_default=""),
    Index("postings_account", "account", "create_time_us"),
    # Queries must say `entity_id > ''` too, or PostgreSQL does not see that the index serves.
    Index(
        "postings_entity",
        "entity_id",
        postgresql_where=text("entity_id > ''"),
        sqlite_where=text("entity_id > ''"),
    ),
    Index(
        "postings_outside",
        "escrow_id",
        postgresql_where=text("version = 0"),
        sqlite_where=text("version = 0"),
    ),
)

# What an account stood at when its changes were last folded in. Only the folding writes here, so
# that no two commands ever wait for the same row. Accounts of one escrow are not kept.
balances = Table(
    "balances",
    metadata,
    Column("account", String(160), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
)

# What has been posted to kept accounts and is not folded in yet: one row for each transaction,
# account and currency, written with the postings.
balance_deltas = Table(
    "balance_deltas",
    metadata,
    Column("delta_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("account", String(160), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Index("balance_deltas_account", "account"),
)

# Days of Razorpay's settlement reports. Leased while a core fetches one.
recon_days = Table(
    "recon_days",
    metadata,
    # YYYY-MM-DD, a day of India.
    Column("day", String(10), primary_key=True),
    # When its report is to be fetched next; null when nothing more is expected of it.
    Column("due_us", BigInteger),
    Column("lease_id", String(64)),
    Column("lease_until_us", BigInteger),
    # When it was fetched last; null before the first time.
    Column("look_time_us", BigInteger),
    Index("recon_days_due", "due_us"),
)

# The lines of those reports as they were fetched last, and what the books say to each.
recon_lines = Table(
    "recon_lines",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("entity_id", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    # What the postings of it are named by: a dispute for the adjustments that it made.
    Column("subject_id", String(64), nullable=False),
    Column("debit_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("settlement_id", String(64), nullable=False),
    Column("utr", String(64), nullable=False),
    Column("settle_time_us", BigInteger, nullable=False),
    # MATCHED, POSTED, WAITING, or what is wrong.
    Column("outcome", String(16), nullable=False),
    # The finding, with both sides; empty where the line is explained.
    Column("message", String(500), nullable=False),
    # Whose escrow's books it was held against, and the event where it is one of several.
    Column("escrow_id", _ESCROW_ID, nullable=False),
    Column("version", BigInteger),
    Index("recon_lines_subject", "subject_id"),
    Index("recon_lines_settlement", "settlement_id"),
    Index(
        "recon_lines_finding",
        "day",
        postgresql_where=text("message > ''"),
        sqlite_where=text("message > ''"),
    ),
)

# Escrows that Razorpay does not yet stand where they want it. Leased while settlement works on one.
owed = Table(
    "owed",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    # The escrow's version that last changed what is owed.
    Column("version", BigInteger, nullable=False),
    # How often somebody has asked to look again, beside the events.
    Column("stirs", Integer, nullable=False, default=0, server_default="0"),
    # Null while it waits for a person or a payee.
    Column("due_us", BigInteger),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_id", String(64)),
    Column("lease_until_us", BigInteger),
    # A call that cannot be repeated blindly, made with no known outcome yet, and when.
    Column("asked", String(200)),
    Column("asked_us", BigInteger),
    Index("owed_due", "due_us"),
)

# When Razorpay is asked again about an escrow that has an order, whatever the webhooks said.
checks = Table(
    "checks",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("checks_due", "due_us"),
)

# Which escrow a Razorpay order belongs to; an escrow may have had several.
orders = Table(
    "orders",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("escrow_id", _ESCROW_ID, nullable=False),
    Index("orders_escrow", "escrow_id"),
)

# Append only: how a seller's payee stands after each of its events; the highest version counts.
payees = Table(
    "payees",
    metadata,
    Column("user_id", _ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("account_id", String(64), nullable=False),
    Column("cause", _CAUSE, nullable=False, unique=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    # core.law.payee.PayeeEventType.
    Column("type", String(24), nullable=False, server_default="REGISTERED"),
    # Empty where it was registered before this was recorded.
    Column("actor_id", _ID, nullable=False, server_default=""),
    Column("effective_us", BigInteger, nullable=False, server_default="0"),
    Column("pending_account_id", String(64), nullable=False, server_default=""),
    Column("pending_us", BigInteger),
    Column("note", String(1000), nullable=False, server_default=""),
)

# Which sellers' new accounts wait, and until when.
payee_changes = Table(
    "payee_changes",
    metadata,
    Column("user_id", _ID, primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Index("payee_changes_due", "due_us"),
)

# Work that one core at a time does for all of them.
leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("lease_id", String(64)),
    Column("lease_until_us", BigInteger),
)

# Append only: a user's tokens that were issued before a time are good no more.
revocations = Table(
    "revocations",
    metadata,
    Column("cause", _CAUSE, primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("user_id", _ID, nullable=False),
    Column("issued_before_us", BigInteger, nullable=False),
    Column("revoke_time_us", BigInteger, nullable=False),
    Index("revocations_time", "revoke_time_us"),
)

# Webhooks as they came.
inbox = Table(
    "inbox",
    metadata,
    Column("event_id", _ID, primary_key=True),
    Column("receive_time_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # Null until it has been worked off.
    Column("outcome", String(16)),
    Index("inbox_waiting", "outcome", "receive_time_us"),
)

# How far the hourly checks of the books have come: one row. Leased while a core checks.
audit = Table(
    "audit",
    metadata,
    Column("audit_id", Integer, primary_key=True, autoincrement=False),
    # When the next check is due.
    Column("due_us", BigInteger, nullable=False),
    Column("lease_id", String(64)),
    Column("lease_until_us", BigInteger),
    # When the last check ended, and how many escrows it looked at; null before the first.
    Column("check_time_us", BigInteger),
    Column("escrows_checked", BigInteger, nullable=False),
    # Escrows that changed after this are looked at by the next check.
    Column("changes_us", BigInteger, nullable=False),
    # The walk over all escrows: when it began, the last id it has passed, and how many of how many.
    Column("walk_begin_us", BigInteger),
    Column("walk_after_id", _ESCROW_ID, nullable=False),
    Column("walk_checked", BigInteger, nullable=False),
    Column("walk_total", BigInteger, nullable=False),
    # When the last walk that came to its end began and ended.
    Column("whole_begin_us", BigInteger),
    Column("whole_end_us", BigInteger),
)

# What the checks have found, until a later look at the same escrow finds otherwise. Under the
# empty id stands what belongs to no escrow.
audit_findings = Table(
    "audit_findings",
    metadata,
    Column("escrow_id", _ESCROW_ID, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("check_name", String(32), nullable=False),
    Column("message", String(500), nullable=False),
)

# One row that is written when nothing else is, to learn whether anything can be.
probe = Table(
    "probe",
    metadata,
    Column("probe_id", Integer, primary_key=True, autoincrement=False),
    Column("writes", BigInteger, nullable=False),
    # The latest time that core has lived through, as far as its clock was believed.
    Column("time_us", BigInteger, nullable=False, server_default="0"),
    # The time as an operator confirmed it last.
    Column("confirmed_us", BigInteger, nullable=False, server_default="0"),
)
