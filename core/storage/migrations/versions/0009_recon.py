"""Razorpay's settlement reports, line by line, and what the books say to each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index(
        "postings_outside",
        "postings",
        ["escrow_id"],
        postgresql_where=sa.text("version = 0"),
        sqlite_where=sa.text("version = 0"),
    )
    op.create_table(
        "recon_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=True),
        sa.Column("look_time_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_index("recon_days_due", "recon_days", ["due_us"])
    op.create_table(
        "recon_lines",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("settlement_id", sa.String(length=64), nullable=False),
        sa.Column("utr", sa.String(length=64), nullable=False),
        sa.Column("settle_time_us", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("day", "position"),
    )
    op.create_index("recon_lines_subject", "recon_lines", ["subject_id"])
    op.create_index("recon_lines_settlement", "recon_lines", ["settlement_id"])
    op.create_index(
        "recon_lines_finding",
        "recon_lines",
        ["day"],
        postgresql_where=sa.text("message > ''"),
        sqlite_where=sa.text("message > ''"),
    )
