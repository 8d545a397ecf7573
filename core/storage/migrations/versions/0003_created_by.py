"""Who created an escrow, so that the unpaid ones of one user can be counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Empty for escrows from before this step: they count against nobody.
    op.add_column(
        "escrows", sa.Column("created_by", sa.String(length=128), nullable=False, server_default="")
    )
    op.create_index("escrows_created_by", "escrows", ["created_by", "status"])
