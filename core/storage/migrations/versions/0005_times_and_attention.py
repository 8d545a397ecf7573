"""How far time has come, what an operator confirmed of it, and why escrows need attention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("time_us", "confirmed_us"):
        op.add_column("probe", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(
        "escrows",
        sa.Column("attention_code", sa.String(length=24), nullable=False, server_default=""),
    )
    op.create_index("escrows_attention", "escrows", ["attention_code"])
    op.create_index("escrows_update_time", "escrows", ["update_time_us"])
