"""Files that are shown in disputes, and their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("uploader_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("place", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=300), nullable=False),
        sa.Column("create_time_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id"),
        sa.UniqueConstraint("cause"),
    )
    op.create_index("attachments_uploader", "attachments", ["uploader_id", "escrow_id"])
    waiting = sa.text("state <> 'SENT'")
    op.create_index(
        "attachments_waiting",
        "attachments",
        ["state", "create_time_us"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_table(
        "attachment_chunks",
        sa.Column("file_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "position"),
    )
