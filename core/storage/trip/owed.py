"""What settlement owes: who works on it, until when, and what was asked of Razorpay."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.plan import Plan
from core.storage.row import Owed
from core.storage.trip.lease import NO_LEASE, NOW_US, UNTIL_US, is_held, take
from core.storage.trip.step import Rows, Step, found, write

_C = t.owed.c
_ESCROW = _C.escrow_id == sa.bindparam("of_escrow")
_OWED = [_C[name] for name in Owed.__dataclass_fields__]
_AT_US = sa.bindparam("at_us", type_=sa.BigInteger)
_SEEN = sa.bindparam("seen_version", type_=sa.BigInteger)
_DUE = {"due_us": NOW_US, "attempts": 0, "stirs": _C.stirs + 1}


def lease(*, lease_id: str, now_us: int, until_us: int, limit: int) -> Step[list[Owed]]:
    """Take up to `limit` pieces of work that are due and nobody's, the longest due first."""
    given = {"holder": lease_id, "now_us": now_us, "until_us": until_us, "most": limit}
    return Step(_LEASE, given, _read)


def lease_one(escrow_id: str, *, lease_id: str, now_us: int, until_us: int) -> Step[Owed | None]:
    """Take the work on one escrow, due or not; None while somebody else has it."""
    given = {"of_escrow": escrow_id, "holder": lease_id, "now_us": now_us, "until_us": until_us}
    return Step(_LEASE_ONE, given, lambda rows: next(iter(_read(rows)), None))


def renew(
    work: Owed,
    *,
    until_us: int,
    asked: str | None,
    asked_us: int | None,
    seen_version: int | None = None,
) -> Step[bool]:
    """Keep a lease and remember the call about to be made; False when it is ours no more.

    False, too, where more was owed after `seen_version`.
    """
    return found(
        _RENEW if seen_version is None else _RENEW_UNCHANGED,
        **_mine(work),
        until_us=until_us,
        call=asked,
        at_us=asked_us,
        seen_version=seen_version,
    )


def give_back(work: Owed, *, due_us: int | None, attempts: int, seen_version: int) -> Step[None]:
    """End a lease and say when to look again; what was owed anew meanwhile stays due."""
    more = {"at_us": due_us, "tries": attempts, "seen_version": seen_version}
    return write(_GIVE_BACK, **_mine(work), seen_stirs=work.stirs, **more)


def drop(work: Owed, *, seen_version: int) -> Step[None]:
    """Forget a piece of work that turned out to be done."""
    return write(_DROP, **_mine(work), seen_stirs=work.stirs, seen_version=seen_version)


def make_due(*, now_us: int, escrow_id: str = "", seller_id: str = "") -> Step[None]:
    """Make what is owed for an escrow, or to a seller, due now."""
    if seller_id:
        return write(_STIR_SELLERS, now_us=now_us, seller_id=seller_id)
    return write(_STIR, now_us=now_us, of_escrow=escrow_id)


def _mine(work: Owed) -> dict[str, str]:
    return {"of_escrow": work.escrow_id, "holder": work.lease_id}


def _read(rows: Rows) -> list[Owed]:
    """Read what was taken, which comes in no order."""
    return [Owed(*row[:-1]) for row in sorted(rows, key=lambda row: (row[-1] or 0, row[0]))]


def _lease(_is_postgres: bool) -> Any:
    due = sa.select(_C.escrow_id).where(_C.due_us <= NOW_US).order_by(_C.due_us)
    return take(t.owed, due.limit(sa.bindparam("most"))).returning(*_OWED, _C.due_us)


def _lease_one(_is_postgres: bool) -> Any:
    return take(t.owed, sa.select(_C.escrow_id).where(_ESCROW)).returning(*_OWED, _C.due_us)


def _renew(*more: sa.ColumnElement[bool]) -> Any:
    call = sa.bindparam("call", type_=sa.String)
    kept = sa.update(t.owed).where(_ESCROW, is_held(t.owed), *more)
    return kept.values(lease_until_us=UNTIL_US, asked=call, asked_us=_AT_US).returning(_C.escrow_id)


def _is_as_seen() -> sa.ColumnElement[bool]:
    return sa.and_(_C.version <= _SEEN, _C.stirs == sa.bindparam("seen_stirs"))


def _give_back(_is_postgres: bool) -> Any:
    tries = sa.bindparam("tries", type_=sa.Integer)
    return (
        sa.update(t.owed)
        .where(_ESCROW, is_held(t.owed))
        .values(
            due_us=sa.case((_is_as_seen(), _AT_US), else_=_C.due_us),
            attempts=sa.case((_is_as_seen(), tries), else_=_C.attempts),
            **NO_LEASE,
        )
    )


def _stir_sellers(_is_postgres: bool) -> Any:
    of_seller = t.escrows.c.seller_id == sa.bindparam("seller_id")
    # Locked in the order of their ids, as everywhere: others may lock several of them too.
    mine = (
        sa.select(_C.escrow_id)
        .where(_C.escrow_id.in_(sa.select(t.escrows.c.escrow_id).where(of_seller)))
        .order_by(_C.escrow_id)
        .with_for_update()
        .cte("mine")
    )
    return sa.update(t.owed).where(_C.escrow_id.in_(sa.select(mine.c.escrow_id))).values(_DUE)


_LEASE, _LEASE_ONE = Plan(_lease), Plan(_lease_one)
_RENEW = Plan(lambda _: _renew())
_RENEW_UNCHANGED = Plan(lambda _: _renew(_C.version <= _SEEN))
_GIVE_BACK = Plan(_give_back)
_DROP = Plan(lambda _: sa.delete(t.owed).where(_ESCROW, is_held(t.owed), _is_as_seen()))
_STIR = Plan(lambda _: sa.update(t.owed).where(_ESCROW).values(_DUE))
_STIR_SELLERS = Plan(_stir_sellers)
