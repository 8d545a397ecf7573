"""The reads that are made all the time, each compiled once (see `Plan`)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.law.status import Status
from core.storage import tables as t
from core.storage.plan import Plan, one_of
from core.storage.trip.lease import NOW_US, is_free

_E, _V, _O, _I, _K = t.escrows.c, t.events.c, t.owed.c, t.inbox.c, t.checks.c
_MOST = sa.bindparam("most", type_=sa.Integer)

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
    return sa.select(_V.body).where(*which).order_by(_V.version).limit(_MOST)


def _revocations(_is_postgres: bool) -> sa.Select[Any]:
    c = t.revocations.c
    since = sa.select(c.user_id, c.issued_before_us, c.revoke_time_us)
    return since.where(c.revoke_time_us >= sa.bindparam("since_us")).order_by(c.revoke_time_us)


def _is_owed(_is_postgres: bool) -> sa.Select[Any]:
    return sa.select(_O.escrow_id).where(_O.due_us <= NOW_US, is_free(t.owed)).limit(1)


def _is_asked(_is_postgres: bool) -> sa.Select[Any]:
    return sa.select(_K.escrow_id).where(_K.due_us <= NOW_US).limit(1)


def _unpaid(*more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    mine = (_E.created_by == sa.bindparam("user_id"), _E.status == Status.INITIATED.value)
    unpaid = sa.select(sa.literal(1)).where(*mine, *more).limit(_MOST)
    return sa.select(sa.func.count()).select_from(unpaid.subquery())


def _unpaid_towards(_is_postgres: bool) -> sa.Select[Any]:
    towards: sa.BindParameter[str] = sa.bindparam("towards")
    return _unpaid(sa.or_(_E.buyer_id == towards, _E.seller_id == towards))


def _owner_of_order(_is_postgres: bool) -> sa.Select[Any]:
    c = t.orders.c
    return sa.select(c.escrow_id).where(c.order_id == sa.bindparam("order_id"))


def _escrow_of_order(_is_postgres: bool) -> sa.Select[Any]:
    c = t.orders.c
    bodies = sa.select(_E.body).join(t.orders, c.escrow_id == _E.escrow_id)
    return bodies.where(c.order_id == sa.bindparam("order_id"))


def _orders_of(_is_postgres: bool) -> sa.Select[Any]:
    c = t.orders.c
    return sa.select(c.order_id).where(c.escrow_id == sa.bindparam("escrow_id"))


def _due_payees(_is_postgres: bool) -> sa.Select[Any]:
    c = t.payee_changes.c
    return sa.select(c.user_id).where(c.due_us <= NOW_US).order_by(c.due_us).limit(_MOST)


def _payees(*more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    p, later = t.payees.c, t.payees.alias("later")
    newer = sa.exists().where(later.c.user_id == p.user_id, later.c.version > p.version)
    which = (p.user_id > sa.bindparam("after", type_=sa.String), ~newer, *more)
    return sa.select(t.payees).where(*which).order_by(p.user_id).limit(_MOST)


def _waiting_payees(_is_postgres: bool) -> sa.Select[Any]:
    return _payees(t.payees.c.user_id.in_(sa.select(t.payee_changes.c.user_id)))


def _overdue(_is_postgres: bool) -> sa.Select[Any]:
    passed = sa.select(_E.escrow_id, _E.version).where(_E.deadline_us <= NOW_US)
    return passed.order_by(_E.deadline_us).limit(_MOST)


def _waiting_webhooks(_is_postgres: bool) -> sa.Select[Any]:
    before_us = sa.bindparam("before_us", type_=sa.BigInteger)
    waiting = (_I.outcome.is_(None), _I.receive_time_us <= before_us)
    rows = sa.select(_I.event_id, _I.body).where(*waiting)
    return rows.order_by(_I.receive_time_us).limit(_MOST)


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
            .limit(_MOST)
        )
    )


EVENT, EVENTS_AFTER, IS_OWED = Plan(_event), Plan(_events_after), Plan(_is_owed)
REVOCATIONS, IS_ASKED = Plan(_revocations), Plan(_is_asked)
UNPAID, UNPAID_TOWARDS = Plan(lambda _: _unpaid()), Plan(_unpaid_towards)
OWNER_OF_ORDER, ORDERS_OF = Plan(_owner_of_order), Plan(_orders_of)
ESCROW_OF_ORDER = Plan(_escrow_of_order)
PAYEES, WAITING_PAYEES = Plan(lambda _: _payees()), Plan(_waiting_payees)
DUE_PAYEES, OVERDUE, WAITING_WEBHOOKS = Plan(_due_payees), Plan(_overdue), Plan(_waiting_webhooks)
# For so many places at most.
AFTER_EACH = {places: _after_each(places) for places in (1, 8, 64)}

# Escrows that totals add up at most, of each part that a user may have in them.
MAX_COUNTED = 10_000
# The causes under which what Razorpay says of its entities becomes an event (core.settlement).
CAUSES = (
    "razorpay:{}:authorized",
    "razorpay:{}:captured",
    "razorpay:{}:failed",
    "razorpay:{}:held",
    "razorpay:{}:processed",
    "razorpay:{}:created",
    "razorpay:{}:under_review",
    "razorpay:{}:action_required",
    "razorpay:{}:won",
    "razorpay:{}:lost",
    "razorpay:{}:closed",
    "settle:{}:adopted",
)


def _totals(_is_postgres: bool) -> Any:
    """One row for each sum: which, of how many rows, and the sum."""
    user = sa.bindparam("user_id", type_=sa.String)
    judges = sa.and_(_E.arbiter_id == user, sa.text("arbiter_id > ''"))
    parts: list[Any] = []
    for role, is_theirs in (
        ("buyer", _E.buyer_id == user),
        ("seller", _E.seller_id == user),
        ("arbiter", judges),
    ):
        needing = sa.select(sa.literal(0).label("minor")).where(
            is_theirs, sa.text(f"needs_{role} > 0")
        )
        parts.append(_summed("needs", needing))
        holding = sa.select(_E.held_minor.label("minor")).where(
            is_theirs, sa.text("held_minor > 0")
        )
        parts.append(_summed("held", holding))
    return sa.union_all(*parts)


def _summed(name: str, rows: Any) -> Any:
    some = rows.select_from(t.escrows).limit(_MOST).subquery()
    minor = sa.cast(sa.func.sum(some.c.minor), sa.BigInteger)
    return sa.select(sa.literal_column(f"'{name}'"), sa.func.count(), minor).select_from(some)


def _found_by_id(is_postgres: bool) -> Any:
    word = sa.bindparam("word", type_=sa.String)
    orders, postings = t.orders.c, t.postings.c
    posted = sa.select(postings.escrow_id).where(
        postings.entity_id == word, sa.text("entity_id > ''")
    )
    named = sa.select(_E.escrow_id).where(_E.external_id == word, sa.text("external_id > ''"))
    return sa.union_all(
        sa.select(_E.escrow_id).where(_E.escrow_id == word),
        sa.select(orders.escrow_id).where(orders.order_id == word),
        sa.select(_V.escrow_id).where(one_of(_V.cause, "causes", is_postgres)),
        sa.select(posted.limit(_MOST).subquery().c.escrow_id),
        sa.select(named.order_by(_E.create_time_us.desc()).limit(_MOST).subquery().c.escrow_id),
    )


TOTALS, FOUND_BY_ID = Plan(_totals), Plan(_found_by_id)
