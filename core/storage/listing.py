"""Lists of escrows, newest first, as statements that an index answers however many there are.

A user may be buyer, seller or arbiter, and an OR of the three makes a planner sort all that the
user has, or walk over what others have. So each part of the question is read by an index of its
own, no further than the list is long, and the parts are put together.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from core.law.status import Status
from core.storage import tables as t

_E = t.escrows.c
# Most escrows have no arbiter, and are not in the indexes of arbiters. Planners must be told.
_HAS_ARBITER = sa.text("arbiter_id > ''")
_ROLES = (_E.buyer_id, _E.seller_id, _E.arbiter_id)
_Terms = tuple[Any, ...]
_MOST = sa.bindparam("most", type_=sa.Integer)


def newest(
    column: sa.Column[str],
    *,
    parties: Sequence[str],
    statuses: Collection[Status] = (),
    before: tuple[int, str] | None = None,
    limit: int,
) -> tuple[sa.Select[Any], dict[str, Any]]:
    """Select a column, as `found`, of the newest escrows that all of at most two parties share.

    Without `statuses`, whatever their status; `before` is the key of the last one that is known.
    Answers the statement, and what is bound to it.
    """
    bound: dict[str, Any] = {f"user_{at}": user for at, user in enumerate(parties)}
    if before is not None:
        bound |= {"before_us": before[0], "before_id": before[1]}
    form = _newest(column, len(parties), tuple(sorted(statuses)), before is not None)
    return form, bound | {"most": limit}


@functools.cache
def _newest(
    column: sa.Column[str], users: int, statuses: tuple[Status, ...], goes_on: bool
) -> sa.Select[Any]:
    """Make each form once: to build one costs more than to run it."""
    states: list[_Terms] = [(_E.status == status.value,) for status in statuses]
    parties = [sa.bindparam(f"user_{at}", type_=sa.String) for at in range(users)]
    parts = [
        _part(column, (*roles, *state), goes_on)
        for roles in _roles(parties)
        for state in states or [()]
    ]
    if len(parts) == 1:
        return parts[0]
    rows = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    key = (rows.c.create_time_us.desc(), rows.c.escrow_id.desc())
    return sa.select(rows.c.found).order_by(*key).limit(_MOST)


def _part(column: sa.Column[str], terms: _Terms, goes_on: bool) -> sa.Select[Any]:
    """Select what one walk over one index finds."""
    key = (_E.create_time_us, _E.escrow_id)
    statement = sa.select(column.label("found"), *key).where(*terms)
    if goes_on:
        # The time is said beside the pair, for which not every planner takes an index.
        time_us = sa.bindparam("before_us", type_=sa.BigInteger)
        pair = sa.tuple_(time_us, sa.bindparam("before_id", type_=sa.String))
        statement = statement.where(_E.create_time_us <= time_us, sa.tuple_(*key) < pair)
    return statement.order_by(*(one.desc() for one in key)).limit(_MOST)


def _roles(parties: Sequence[Any]) -> list[_Terms]:
    """Answer the ways in which all of these users may be in one escrow; no escrow fits two."""
    if not parties:
        return [()]
    if len(parties) == 1:
        (user,) = parties
        judges = (*_judges(user), _E.buyer_id != user, _E.seller_id != user)
        return [(_E.buyer_id == user,), (_E.seller_id == user, _E.buyer_id != user), judges]
    one, other = parties
    pairs = ((one, other), (other, one))
    return [way for pair in pairs for way in _shared(*pair)]


def _shared(user: Any, other: Any) -> list[_Terms]:
    """Answer the ways in which a user buys from another, or has him as arbiter."""
    judges = _judges(other)
    return [
        (_E.buyer_id == user, _E.seller_id == other),
        (_E.buyer_id == user, *judges, _E.seller_id != other),
        (_E.seller_id == user, *judges, _E.buyer_id != user, _E.buyer_id != other),
    ]


def _judges(user: Any) -> _Terms:
    return (_E.arbiter_id == user, _HAS_ARBITER)
