"""How far the checks of the books have come, and what they have found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=True),
        sa.Column("check_time_us", sa.BigInteger(), nullable=True),
        sa.Column("escrows_checked", sa.BigInteger(), nullable=False),
        sa.Column("changes_us", sa.BigInteger(), nullable=False),
        sa.Column("walk_begin_us", sa.BigInteger(), nullable=True),
        sa.Column("walk_after_id", sa.String(length=36), nullable=False),
        sa.Column("walk_checked", sa.BigInteger(), nullable=False),
        sa.Column("walk_total", sa.BigInteger(), nullable=False),
        sa.Column("whole_begin_us", sa.BigInteger(), nullable=True),
        sa.Column("whole_end_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("audit_id"),
    )
    op.create_table(
        "audit_findings",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("check_name", sa.String(length=32), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("escrow_id", "position"),
    )
