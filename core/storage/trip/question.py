"""Which escrows Razorpay is to be asked about, and when (the table `checks`)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.plan import Plan
from core.storage.trip.step import Step, write

_C = t.checks.c
_ESCROW = _C.escrow_id == sa.bindparam("of_escrow")
_NEXT_US = sa.bindparam("next_us", type_=sa.BigInteger)


def claim(*, now_us: int, until_us: int, limit: int) -> Step[list[tuple[str, int]]]:
    """Take escrows that are to be asked about: (escrow id, how often it was answered).

    Others leave them alone until `until_us`.
    """
    given = {"now_us": now_us, "next_us": until_us, "most": limit}
    return Step(_CLAIM, given, lambda rows: [(row[0], row[1]) for row in rows])


def ask_at(escrow_id: str, *, due_us: int, attempts: int) -> Step[None]:
    """Say when to ask next about an escrow that has an order."""
    return write(_ASK_AT, of_escrow=escrow_id, next_us=due_us, tries=attempts)


def ask_no_more(escrow_id: str) -> Step[None]:
    return write(_ASK_NO_MORE, of_escrow=escrow_id)


def _claim(_is_postgres: bool) -> Any:
    due = (
        sa.select(_C.escrow_id)
        .where(_C.due_us <= sa.bindparam("now_us", type_=sa.BigInteger))
        .order_by(_C.due_us)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = sa.update(t.checks).where(_C.escrow_id.in_(sa.select(due.c.escrow_id)))
    return claimed.values(due_us=_NEXT_US).returning(_C.escrow_id, _C.attempts)


def _ask_at(_is_postgres: bool) -> Any:
    next_ = {"due_us": _NEXT_US, "attempts": sa.bindparam("tries", type_=sa.Integer)}
    return sa.update(t.checks).where(_ESCROW).values(next_)


_CLAIM, _ASK_AT = Plan(_claim), Plan(_ask_at)
_ASK_NO_MORE = Plan(lambda _: sa.delete(t.checks).where(_ESCROW))
