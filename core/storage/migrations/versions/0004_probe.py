"""One row that is written to learn whether anything can be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "probe",
        sa.Column("probe_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("probe_id"),
    )
