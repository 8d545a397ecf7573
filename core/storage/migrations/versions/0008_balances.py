"""Balances that are kept, and what each posting is about at Razorpay.

Both are worked out for what is there already, some thousand escrows at a time, with a line in the
log for each of them.
"""

from __future__ import annotations

import logging
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

from core.storage import migrations

revision = "0008"
down_revision = "0006"

log = logging.getLogger(migrations.__name__)

_SLICE_END = sa.text(
    "SELECT MAX(escrow_id), COUNT(*) FROM (SELECT escrow_id FROM escrows"
    " WHERE escrow_id > :after ORDER BY escrow_id LIMIT :size) AS slice"
)
_SUMS = sa.text(
    "SELECT account, currency, SUM(amount_minor) FROM postings"
    " WHERE escrow_id > :after AND escrow_id <= :last AND account NOT LIKE 'escrow:%'"
    " GROUP BY account, currency"
)
# A cause is razorpay:<id>:<effect> or settle:<refund's id>:processed where it names something of
# Razorpay's. A refund's event has the lines of a reversal too, whose id nobody wrote down.
_NAME_BY_CAUSE = """
    UPDATE postings SET entity_id = {second} FROM events
    WHERE events.escrow_id = postings.escrow_id AND events.version = postings.version
    AND postings.escrow_id > :after AND postings.escrow_id <= :last
    AND events.type IN
        ('PAYMENT_CAPTURED', 'FUNDS_HELD', 'PAYMENT_REFUNDED', 'ATTENTION_RAISED')
    AND (events.cause LIKE 'razorpay:%' OR events.cause LIKE 'settle:rfnd%')
    AND NOT (events.type = 'PAYMENT_REFUNDED' AND (postings.account = 'razorpay:on_hold'
        OR (postings.account = 'razorpay:balance' AND postings.amount_minor > 0)))
"""
# Checkout's callback brings payments under a cause of its own; the escrow's row has the payment.
_NAME_BY_ROW = """
    UPDATE postings SET entity_id = COALESCE({payment_id}, '') FROM events, escrows
    WHERE events.escrow_id = postings.escrow_id AND events.version = postings.version
    AND escrows.escrow_id = postings.escrow_id
    AND postings.escrow_id > :after AND postings.escrow_id <= :last
    AND events.type = 'PAYMENT_CAPTURED' AND postings.entity_id = ''
"""
_WORDS = {
    "postgresql": {
        "second": "split_part(events.cause, ':', 2)",
        "payment_id": "CAST(escrows.body AS json) -> 'payment' ->> 'payment_id'",
    },
    "sqlite": {
        "second": (
            "substr(substr(events.cause, instr(events.cause, ':') + 1), 1,"
            " instr(substr(events.cause, instr(events.cause, ':') + 1), ':') - 1)"
        ),
        "payment_id": "json_extract(escrows.body, '$.payment.payment_id')",
    },
}


def upgrade() -> None:
    op.add_column(
        "postings", sa.Column("entity_id", sa.String(length=64), nullable=False, server_default="")
    )
    balances = op.create_table(
        "balances",
        sa.Column("account", sa.String(length=160), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "currency"),
    )
    op.create_table(
        "balance_deltas",
        sa.Column("delta_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=160), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delta_id"),
    )
    op.create_index("balance_deltas_account", "balance_deltas", ["account"])
    kept = _work_off(op.get_bind())
    if kept:
        op.bulk_insert(
            balances,
            [
                {"account": account, "currency": currency, "amount_minor": amount}
                for (account, currency), amount in sorted(kept.items())
            ],
        )
    op.create_index(
        "postings_entity",
        "postings",
        ["entity_id"],
        postgresql_where=sa.text("entity_id > ''"),
        sqlite_where=sa.text("entity_id > ''"),
    )


def _work_off(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """Name what old postings are about, and answer what their accounts stand at."""
    words = _WORDS[connection.dialect.name]
    naming = [sa.text(text.format(**words)) for text in (_NAME_BY_CAUSE, _NAME_BY_ROW)]
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    after, done = "", 0
    while True:
        size = migrations.SLICE
        last, count = connection.execute(_SLICE_END, {"after": after, "size": size}).one()
        if not count:
            return totals
        bounds = {"after": after, "last": last}
        for account, currency, amount in connection.execute(_SUMS, bounds):
            totals[account, currency] += int(amount)
        for statement in naming:
            connection.execute(statement, bounds)
        after, done = last, done + count
        log.info("balances: the postings of %d escrows are summed", done)
