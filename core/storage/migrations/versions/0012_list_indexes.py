"""Indexes by which a list of escrows is read no further than it is long, by every filter."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import op

from core.storage import migrations

revision = "0012"
down_revision = "0011"

log = logging.getLogger(migrations.__name__)

_REPLACED = ("escrows_buyer", "escrows_seller", "escrows_arbiter", "escrows_status")
_INDEXES = {
    "escrows_buyer": ("buyer_id",),
    "escrows_seller": ("seller_id",),
    "escrows_arbiter": ("arbiter_id",),
    "escrows_buyer_status": ("buyer_id", "status"),
    "escrows_seller_status": ("seller_id", "status"),
    "escrows_arbiter_status": ("arbiter_id", "status"),
    "escrows_buyer_and_seller": ("buyer_id", "seller_id"),
    "escrows_arbiter_and_buyer": ("arbiter_id", "buyer_id"),
    "escrows_arbiter_and_seller": ("arbiter_id", "seller_id"),
    "escrows_status": ("status",),
}
_HAS_ARBITER = sa.text("arbiter_id > ''")


def upgrade() -> None:
    """Make each anew; where there are escrows, with a line in the log, for each reads them all."""
    has_escrows = op.get_bind().execute(sa.text("SELECT 1 FROM escrows LIMIT 1")).first()
    for number, (name, columns) in enumerate(_INDEXES.items(), start=1):
        if name in _REPLACED:
            op.drop_index(name, "escrows")
        which = _HAS_ARBITER if "arbiter_id" in columns else None
        op.create_index(
            name,
            "escrows",
            [*columns, "create_time_us", "escrow_id"],
            postgresql_where=which,
            sqlite_where=which,
        )
        if has_escrows:
            log.info("lists: %d of %d indexes of the escrows are made", number, len(_INDEXES))
