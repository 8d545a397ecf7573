"""The reads that are made all the time, each compiled once (see `Plan`)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.plan import Plan, one_of

_E, _V, _O = t.escrows.c, t.events.c, t.owed.c

ESCROW = Plan(lambda _: sa.select(_E.body).where(_E.escrow_id == sa.bindparam("escrow_id")))
SEVERAL = Plan(
    lambda is_postgres: sa.select(_E.body).where(one_of(_E.escrow_id, "ids", is_postgres))
)
VERSIONS = Plan(
    lambda is_postgres: sa.select(_E.escrow_id, _E.version).where(
        one_of(_E.escrow_id, "ids", is_postgres)
    )
)
KNOWN = Plan(
    lambda _: sa.select(_V.escrow_id, _V.version, _V.fingerprint).where(
        _V.cause == sa.bindparam("cause")
    )
)


def _event(_is_postgres: bool) -> sa.Select[Any]:
    which = (_V.escrow_id == sa.bindparam("escrow_id"), _V.version == sa.bindparam("version"))
    return sa.select(_V.body).where(*which)


def _events_after(_is_postgres: bool) -> sa.Select[Any]:
    which = (_V.escrow_id == sa.bindparam("escrow_id"), _V.version > sa.bindparam("after"))
    return sa.select(_V.body).where(*which).order_by(_V.version).limit(sa.bindparam("most"))


def _is_owed(_is_postgres: bool) -> sa.Select[Any]:
    now_us = sa.bindparam("now_us", type_=sa.BigInteger)
    free = sa.or_(_O.lease_until_us.is_(None), _O.lease_until_us < now_us)
    return sa.select(_O.escrow_id).where(_O.due_us <= now_us, free).limit(1)


def _after_each(places: int) -> Plan:
    after = [
        sa.and_(
            _V.escrow_id == sa.bindparam(f"escrow_id_{at}"),
            _V.version > sa.bindparam(f"after_{at}"),
        )
        for at in range(places)
    ]
    return Plan(
        lambda _: (
            sa.select(_V.escrow_id, _V.version, _V.body)
            .where(sa.or_(*after))
            .order_by(_V.escrow_id, _V.version)
            .limit(sa.bindparam("most"))
        )
    )


EVENT, EVENTS_AFTER, IS_OWED = Plan(_event), Plan(_events_after), Plan(_is_owed)
# For so many places at most.
AFTER_EACH = {places: _after_each(places) for places in (1, 8, 64)}
