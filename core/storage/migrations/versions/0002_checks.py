"""When to ask Razorpay again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "checks",
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("escrow_id"),
    )
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.create_index("checks_due", ["due_us"], unique=False)

    op.add_column("owed", sa.Column("stirs", sa.Integer(), nullable=False, server_default="0"))
    # Escrows that have an order already are asked about at once.
    op.execute(
        "INSERT INTO checks (escrow_id, due_us, attempts)"
        " SELECT DISTINCT escrow_id, 0, 0 FROM orders"
    )
