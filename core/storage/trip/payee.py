"""Where sellers are paid: how a write transaction reads and changes it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.law.ledger import ON_HOLD
from core.law.payee import Payee
from core.law.record import load_row
from core.law.status import AttentionCode
from core.storage import tables as t
from core.storage.database import insert_into
from core.storage.plan import Plan
from core.storage.row import PayeeRow, payee_row
from core.storage.trip.step import Rows, Step, Steps, found, write

# Escrows that are looked at, the newest first, to learn whether a seller's account is refused.
MAX_REFUSED = 20

_P, _E = t.payees.c, t.escrows.c
_USER: sa.BindParameter[str] = sa.bindparam("of_user")


def latest(user_id: str) -> Step[Payee | None]:
    """Read a seller's payee as it stands."""
    return Step(_LATEST, {"of_user": user_id}, _payee)


def by_cause(cause: str) -> Step[PayeeRow | None]:
    return Step(_BY_CAUSE, {"by": cause}, lambda rows: payee_row(rows[0]) if rows else None)


def lock(user_id: str) -> Step[None]:
    """Let no other transaction change this seller's account until the end of this one.

    What is to see the changes of those it waited for must be a step of its own after this one.
    """
    return write(_LOCK, of_user=user_id)


def has_only_been_refused(user_id: str, account_id: str) -> Steps[bool]:
    """Whether Razorpay refuses this account of a seller, and has never held anything for him.

    That it refused an earlier account says nothing about this one, which may not have been
    tried yet.
    """
    bodies = yield Step(_REFUSED, {"of_user": user_id}, lambda rows: [row[0] for row in rows])
    items = {(one.code, one.subject) for body in bodies for one in load_row(body).attentions}
    if (AttentionCode.PAYEE_REFUSED, account_id) not in items:
        return False
    return not (yield from found(_HELD, of_user=user_id))


def add(row: PayeeRow) -> Steps[bool]:
    """Add an event of a payee; False where another process was faster with version or cause."""
    payee = row.payee
    fields = {name: getattr(payee, name) for name in payee.__struct_fields__}
    fields |= {"type": payee.type.value, "cause": row.cause, "fingerprint": row.fingerprint}
    if not (yield from found(_ADD, **fields)):
        return False
    yield from write(_NO_CHANGE, of_user=payee.user_id)
    if payee.pending_us is not None:
        yield from write(_CHANGE, user_id=payee.user_id, due_us=payee.pending_us)
    return True


def _payee(rows: Rows) -> Payee | None:
    return payee_row(rows[0]).payee if rows else None


def _latest(_is_postgres: bool) -> Any:
    return sa.select(t.payees).where(_P.user_id == _USER).order_by(_P.version.desc()).limit(1)


def _lock(is_postgres: bool) -> Any:
    if not is_postgres:
        return sa.select(sa.literal(1))  # SQLite has one writer.
    key = sa.func.hashtextextended(sa.cast(_USER, sa.Text), 0)
    return sa.select(sa.func.pg_advisory_xact_lock(key))


def _refused(_is_postgres: bool) -> Any:
    code = AttentionCode.PAYEE_REFUSED
    return (
        sa.select(_E.body)
        .where(_E.attention_code == code.value, _E.seller_id == _USER)
        .order_by(_E.update_time_us.desc())
        .limit(MAX_REFUSED)
    )


def _held(_is_postgres: bool) -> Any:
    p = t.postings.c
    return (
        sa.select(p.escrow_id)
        .join(t.escrows, _E.escrow_id == p.escrow_id)
        .where(_E.seller_id == _USER, p.account == ON_HOLD)
        .limit(1)
    )


def _add(is_postgres: bool) -> Any:
    values: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in t.payees.columns}
    added = insert_into(t.payees, is_postgres).values(values).on_conflict_do_nothing()
    return added.returning(_P.version)


def _change(_is_postgres: bool) -> Any:
    columns = t.payee_changes.columns
    return sa.insert(t.payee_changes).values({one.name: sa.bindparam(one.name) for one in columns})


_LATEST, _LOCK, _REFUSED, _HELD = Plan(_latest), Plan(_lock), Plan(_refused), Plan(_held)
_BY_CAUSE = Plan(lambda _: sa.select(t.payees).where(_P.cause == sa.bindparam("by")))
_ADD, _CHANGE = Plan(_add), Plan(_change)
_NO_CHANGE = Plan(lambda _: sa.delete(t.payee_changes).where(t.payee_changes.c.user_id == _USER))
