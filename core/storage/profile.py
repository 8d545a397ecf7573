"""The names by which people are shown, and who may read whose.

A name that is deleted is gone: what is remembered of a call is no more than its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from core.storage import tables as t
from core.storage.database import insert_into
from core.storage.plan import Plan, one_of
from core.storage.trip.step import Step, Steps, found, write

profiles = Table(
    "profiles",
    t.metadata,
    Column("user_id", String(128), primary_key=True),
    Column("display_name", String(80), nullable=False),
    Column("update_time_us", BigInteger, nullable=False),
)

# Calls that have put a name, so that a late repeat of one does not undo what was put since.
calls = Table(
    "profile_calls",
    t.metadata,
    Column("cause", String(300), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("call_time_us", BigInteger, nullable=False),
)

_P, _C, _E = profiles.c, calls.c, t.escrows.c
# Indexes of some rows serve only who says which, in the same words.
_HAS_ARBITER = sa.text("arbiter_id > ''")


@dataclass(frozen=True, slots=True)
class Put:
    """What one call writes; an empty name deletes. `cause` is that of the call."""

    user_id: str
    display_name: str
    cause: str
    fingerprint: bytes
    now_us: int


def put(wanted: Put) -> Steps[bytes]:
    """Write a name once for its cause; answer the fingerprint that the cause has."""
    is_first = yield from found(
        _REMEMBER,
        cause=wanted.cause,
        fingerprint=wanted.fingerprint,
        call_time_us=wanted.now_us,
    )
    if not is_first:
        known: bytes = yield Step(_RECALL, {"by": wanted.cause}, lambda rows: bytes(rows[0][0]))
        return known
    if wanted.display_name:
        yield from write(
            _WRITE,
            user_id=wanted.user_id,
            display_name=wanted.display_name,
            update_time_us=wanted.now_us,
        )
    else:
        yield from write(_DELETE, of_user=wanted.user_id)
    return wanted.fingerprint


def _remember(is_postgres: bool) -> Any:
    values: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in calls.columns}
    added = insert_into(calls, is_postgres).values(values).on_conflict_do_nothing()
    return added.returning(_C.cause)


def _write(is_postgres: bool) -> Any:
    values: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in profiles.columns}
    new = insert_into(profiles, is_postgres).values(values)
    changed = {name: new.excluded[name] for name in ("display_name", "update_time_us")}
    return new.on_conflict_do_update(
        index_elements=["user_id"],
        set_=changed,
        where=_P.display_name != new.excluded.display_name,
    )


def _named(is_postgres: bool, *more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    which = one_of(_P.user_id, "ids", is_postgres)
    return sa.select(_P.user_id, _P.display_name).where(which, *more)


def _known_to(is_postgres: bool) -> sa.Select[Any]:
    """Those of the reader, and of whom the reader shares an escrow with, each pair by its index."""
    reader: sa.BindParameter[str] = sa.bindparam("reader", type_=sa.String)
    # PostgreSQL would answer an EXISTS by reading all that the reader has.
    shared = [
        sa.select(sa.literal(1))
        .where(one == reader, other == _P.user_id, *more)
        .limit(1)
        .scalar_subquery()
        .is_not(None)
        for pair, more in (
            ((_E.buyer_id, _E.seller_id), ()),
            ((_E.arbiter_id, _E.buyer_id), (_HAS_ARBITER,)),
            ((_E.arbiter_id, _E.seller_id), (_HAS_ARBITER,)),
        )
        for one, other in (pair, pair[::-1])
    ]
    return _named(is_postgres, sa.or_(_P.user_id == reader, *shared))


_REMEMBER, _WRITE = Plan(_remember), Plan(_write)
_RECALL = Plan(lambda _: sa.select(_C.fingerprint).where(_C.cause == sa.bindparam("by")))
_DELETE = Plan(lambda _: sa.delete(profiles).where(_P.user_id == sa.bindparam("of_user")))
NAMED, KNOWN_TO = Plan(_named), Plan(_known_to)
