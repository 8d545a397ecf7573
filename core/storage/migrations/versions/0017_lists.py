"""What lists are asked for: whom an escrow waits for, sums, the caller's own id, and words."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from core.law.record import load_row
from core.storage import migrations
from core.storage.listing import listed_row

revision = "0017"
down_revision = "0016"

log = logging.getLogger(migrations.__name__)

# Escrows that are read and written at once.
PAGE = 1_000
_COLUMNS: dict[str, sa.Column[Any]] = {
    "external_id": sa.Column("external_id", sa.String(128), nullable=False, server_default=""),
    **{
        name: sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        for name in ("amount_minor", "held_minor")
    },
    **{
        name: sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        for name in ("needs_buyer", "needs_seller", "needs_arbiter")
    },
    "words": sa.Column("words", sa.Text(), nullable=False, server_default=""),
}
_INDEXES = {
    "escrows_needs_buyer": (["buyer_id"], "needs_buyer > 0"),
    "escrows_needs_seller": (["seller_id"], "needs_seller > 0"),
    "escrows_needs_arbiter": (["arbiter_id"], "needs_arbiter > 0"),
    "escrows_worrying": ([], "attention_code > ''"),
    "escrows_external": (["external_id"], "external_id > ''"),
}


def upgrade() -> None:
    """Add them and fill them in, a page of escrows at a time, with a line in the log for each."""
    for column in _COLUMNS.values():
        op.add_column("escrows", column)
    _fill()
    op.drop_index("escrows_attention", "escrows")
    for name, (columns, which) in _INDEXES.items():
        op.create_index(
            name,
            "escrows",
            [*columns, "create_time_us", "escrow_id"],
            postgresql_where=sa.text(which),
            sqlite_where=sa.text(which),
        )


def _fill() -> None:
    connection = op.get_bind()
    page = sa.text(
        "SELECT escrow_id, body FROM escrows"
        " WHERE escrow_id > :after ORDER BY escrow_id LIMIT :most"
    )
    changes = ", ".join(f"{name} = :{name}" for name in _COLUMNS)
    change = sa.text(f"UPDATE escrows SET {changes} WHERE escrow_id = :escrow_id")  # noqa: S608
    after, done = "", 0
    while rows := connection.execute(page, {"after": after, "most": PAGE}).all():
        after, done = rows[-1].escrow_id, done + len(rows)
        filled = [one for row in rows if (one := _filled(row.escrow_id, row.body))]
        if filled:
            connection.execute(change, filled)
        log.info("lists: %d escrows are read", done)


def _filled(escrow_id: str, body: str) -> dict[str, Any] | None:
    try:
        escrow = load_row(body)
    except msgspec.DecodeError:  # It must not keep core from starting; CheckBooks tells of it too.
        log.warning("lists: the row of escrow %s cannot be read", escrow_id)
        return None
    return {"escrow_id": escrow_id, **listed_row(escrow)}
