"""The first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "escrows",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("buyer_id", sa.String(length=128), nullable=False),
        sa.Column("seller_id", sa.String(length=128), nullable=False),
        sa.Column("arbiter_id", sa.String(length=128), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("update_time_us", sa.BigInteger(), nullable=False),
        sa.Column("deadline_us", sa.BigInteger(), nullable=True),
        sa.Column("last_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("escrow_id"),
    )
    with op.batch_alter_table("escrows", schema=None) as batch_op:
        batch_op.create_index("escrows_arbiter", ["arbiter_id", "create_time_us"], unique=False)
        batch_op.create_index("escrows_buyer", ["buyer_id", "create_time_us"], unique=False)
        batch_op.create_index("escrows_create_time", ["create_time_us", "escrow_id"], unique=False)
        batch_op.create_index("escrows_deadline", ["deadline_us"], unique=False)
        batch_op.create_index("escrows_seller", ["seller_id", "create_time_us"], unique=False)
        batch_op.create_index("escrows_status", ["status", "create_time_us"], unique=False)

    op.create_table(
        "events",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=300), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("escrow_id", "version"),
        sa.UniqueConstraint("cause"),
    )
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("receive_time_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("event_id"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("inbox_waiting", ["outcome", "receive_time_us"], unique=False)

    op.create_table(
        "orders",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index("orders_escrow", ["escrow_id"], unique=False)

    op.create_table(
        "owed",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=True),
        sa.Column("asked", sa.String(length=200), nullable=True),
        sa.Column("asked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("escrow_id"),
    )
    with op.batch_alter_table("owed", schema=None) as batch_op:
        batch_op.create_index("owed_due", ["due_us"], unique=False)

    op.create_table(
        "payees",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=300), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "version"),
        sa.UniqueConstraint("cause"),
    )
    op.create_table(
        "postings",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=160), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("escrow_id", "version", "position"),
    )
    with op.batch_alter_table("postings", schema=None) as batch_op:
        batch_op.create_index("postings_account", ["account", "create_time_us"], unique=False)
