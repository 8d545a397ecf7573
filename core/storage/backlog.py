"""Positions for the events of a database that had none: after its migration, before core serves.

Each slice is a transaction of its own, so that a start that is broken off is gone on with by the
next one. Until the last slice is done no core runs a command, so none gives a later position.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from escrow.v1 import escrow_pb2 as pb

from core.storage import tables as t

log = logging.getLogger(__name__)

# Events that get their positions in one transaction.
SLICE = 5_000

# Made by migration 0013, and dropped at the end: no part of the schema.
_BACKLOG = sa.table(
    "position_backlog", sa.column("position"), sa.column("escrow_id"), sa.column("version")
)
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(t.positions.c.position), 0)).scalar_subquery()


def place_slice(connection: sa.Connection) -> bool:
    """Give the next events their positions; answer whether there may be more."""
    if not sa.inspect(connection).has_table(_BACKLOG.name):
        return False
    rows = connection.execute(_slice()).all()
    if not rows:
        _BACKLOG_TABLE.drop(connection)
        return False
    connection.execute(sa.insert(t.positions), [_row(row) for row in rows])
    total = connection.execute(sa.select(sa.func.max(_BACKLOG.c.position))).scalar_one()
    log.info("positions: %d of %d events have theirs", rows[-1].position, total)
    return True


_BACKLOG_TABLE = sa.Table(_BACKLOG.name, sa.MetaData())


def _slice() -> sa.Select[Any]:
    waiting, event, escrow = _BACKLOG.c, t.events.c, t.escrows.c
    # First the slice, then what belongs to it: no planner may join everything.
    few = (
        sa.select(_BACKLOG)
        .where(waiting.position > _NEWEST)
        .order_by(waiting.position)
        .limit(SLICE)
        .subquery()
    )
    return (
        sa.select(
            few.c.position,
            few.c.escrow_id,
            few.c.version,
            event.type,
            event.body,
            escrow.buyer_id,
            escrow.seller_id,
            escrow.arbiter_id,
        )
        .join(t.events, sa.and_(event.escrow_id == few.c.escrow_id, event.version == few.c.version))
        .join(t.escrows, escrow.escrow_id == few.c.escrow_id)
        .order_by(few.c.position)
    )


def _row(row: Sequence[Any]) -> dict[str, Any]:
    position, escrow_id, version, kind, body, buyer_id, seller_id, arbiter_id = row
    status = pb.EscrowEvent.FromString(body).new_status
    return {
        "position": position,
        "escrow_id": escrow_id,
        "version": version,
        "type": kind,
        "new_status": pb.EscrowStatus.Name(status).removeprefix("ESCROW_STATUS_"),
        "buyer_id": buyer_id,
        "seller_id": seller_id,
        "arbiter_id": arbiter_id,
    }
