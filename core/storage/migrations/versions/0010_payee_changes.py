"""Changes of a payee that wait, and what happened to a payee beside being registered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # What is there was registered, and counted at once.
    for column in (
        sa.Column("type", sa.String(length=24), nullable=False, server_default="REGISTERED"),
        sa.Column("actor_id", sa.String(length=128), nullable=False, server_default=""),
        sa.Column("effective_us", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("pending_account_id", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("pending_us", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(length=1000), nullable=False, server_default=""),
    ):
        op.add_column("payees", column)
    op.execute("UPDATE payees SET effective_us = create_time_us")
    op.create_table(
        "payee_changes",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index("payee_changes_due", "payee_changes", ["due_us"])
