"""Leases: a row that one core works on until it gives it back, or is not heard of for a while."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

# What `take` is told: who takes it, what time it is, and how long it is his.
HOLDER, NOW_US, UNTIL_US = (
    sa.bindparam("holder", type_=sa.String),
    sa.bindparam("now_us", type_=sa.BigInteger),
    sa.bindparam("until_us", type_=sa.BigInteger),
)
NO_LEASE = {"lease_id": None, "lease_until_us": None}


def is_free(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether nobody works on a row."""
    until_us = table.c.lease_until_us
    return sa.or_(until_us.is_(None), until_us < NOW_US)


def take(table: sa.Table, which: sa.Select[Any]) -> sa.Update:
    """Lease those of some rows, selected by their key, that nobody has or is just taking."""
    (key,) = table.primary_key.columns
    # Apart, so that PostgreSQL looks for them once: each look would find others.
    free = which.where(is_free(table)).with_for_update(skip_locked=True).cte("free")
    return (
        sa.update(table)
        .where(key.in_(sa.select(free.c[key.name])))
        .values(lease_id=HOLDER, lease_until_us=UNTIL_US)
    )


def is_held(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether the lease of a row is the caller's."""
    return table.c.lease_id == HOLDER
