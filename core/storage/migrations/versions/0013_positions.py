"""The place of each event among those of all escrows.

What is there already is put in order here, and gets its positions after this step, a slice at a
time, before core serves (see `core.storage.backlog`).
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import op

from core.storage import migrations

revision = "0013"
down_revision = "0012"

log = logging.getLogger(migrations.__name__)

# By time, but never a version of an escrow before the one before it, whatever its time says:
# earlier releases took the time of a replica's clock as it was.
_BACKLOG = """
    CREATE TABLE position_backlog AS
    SELECT ROW_NUMBER() OVER (ORDER BY at_us, escrow_id, version) AS position, escrow_id, version
    FROM (
        SELECT escrow_id, version,
            MAX(create_time_us) OVER (PARTITION BY escrow_id ORDER BY version) AS at_us
        FROM events
    ) AS timed
"""


def upgrade() -> None:
    op.create_table(
        "positions",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        *_event(),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("positions_event", "positions", ["escrow_id", "version"], unique=True)
    op.create_index("positions_buyer", "positions", ["buyer_id", "position"])
    op.create_index("positions_seller", "positions", ["seller_id", "position"])
    has_arbiter = sa.text("arbiter_id > ''")
    op.create_index(
        "positions_arbiter",
        "positions",
        ["arbiter_id", "position"],
        postgresql_where=has_arbiter,
        sqlite_where=has_arbiter,
    )
    op.create_table(
        "outbox", sa.Column("create_time_us", sa.BigInteger(), nullable=False), *_event()
    )
    connection = op.get_bind()
    if connection.execute(sa.text("SELECT 1 FROM events LIMIT 1")).first():
        log.info("positions: the events are put in order")
        op.execute(_BACKLOG)
        op.create_index("position_backlog_position", "position_backlog", ["position"], unique=True)


def _event() -> list[sa.Column[str] | sa.Column[int]]:
    return [
        sa.Column("escrow_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("new_status", sa.String(length=16), nullable=False),
        *(
            sa.Column(name, sa.String(length=128), nullable=False)
            for name in ("buyer_id", "seller_id", "arbiter_id")
        ),
    ]
