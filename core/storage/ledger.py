"""The ledger as stored: its lines, and the balances that are kept beside them.

A balance is a row that was folded together some seconds ago, and the deltas that were written
since. A delta is written in the transaction of its postings, and folding takes deltas away in the
transaction that adds them to the row: whatever crashes between, a read of both as of one moment is
exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import tables as t
from core.storage.database import Database, Unbroken, insert_into, reading
from core.storage.link import STATEMENT_S
from core.storage.row import Drift, PostingRow
from core.storage.trouble import storage_errors

# Accounts of one escrow have few lines, which are summed when somebody asks.
UNKEPT = "escrow:"
# Summing all postings there are.
SUMS_S = 600.0
# Only one core folds at a time; another one has nothing to add (PostgreSQL, advisory locks).
_FOLD_LOCK = 0x666F6C64

_KEPT, _DELTAS, _POSTINGS = t.balances.c, t.balance_deltas.c, t.postings.c


def _sum_by_currency(lines: Any) -> sa.Select[Any]:
    total = sa.func.sum(lines.c.amount_minor).label("total")
    return sa.select(lines.c.currency, total).group_by(lines.c.currency).order_by(lines.c.currency)


# One statement, and so as of one moment.
_KEPT_BALANCE = _sum_by_currency(
    sa.union_all(
        sa.select(_KEPT.currency, _KEPT.amount_minor).where(
            _KEPT.account == sa.bindparam("account")
        ),
        sa.select(_DELTAS.currency, _DELTAS.amount_minor).where(
            _DELTAS.account == sa.bindparam("account")
        ),
    ).subquery()
)
_SUMMED_BALANCE = _sum_by_currency(
    sa.select(_POSTINGS.currency, _POSTINGS.amount_minor)
    .where(_POSTINGS.account == sa.bindparam("account"))
    .subquery()
)
# What PostgreSQL must read to see that the index of named postings serves.
_IS_NAMED = sa.literal_column("entity_id > ''", sa.Boolean)
_IS_UNFOLDED = sa.select(_DELTAS.delta_id).limit(1)


def _is_settled_by(settlement_id: str) -> list[sa.ColumnElement[bool]]:
    """The postings that an explained line of a settlement is of."""
    line = t.recon_lines.c
    lines = sa.select(line.subject_id).where(
        line.settlement_id == settlement_id, line.message == ""
    )
    of_this_event = lines.where(
        line.subject_id == _POSTINGS.entity_id,
        sa.or_(line.version.is_(None), line.version == _POSTINGS.version),
    )
    return [_POSTINGS.entity_id.in_(lines), _IS_NAMED, of_this_event.exists()]


def is_kept(account: str) -> bool:
    """Whether the balance of an account is kept, not summed."""
    return not account.startswith(UNKEPT)


def deltas(postings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Answer the rows by which one transaction's postings change kept balances."""
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    for posting in postings:
        if is_kept(posting["account"]):
            totals[posting["account"], posting["currency"]] += posting["amount_minor"]
    return _rows_of(totals)


def _rows_of(totals: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    return [
        {"account": account, "currency": currency, "amount_minor": amount}
        for (account, currency), amount in sorted(totals.items())
    ]


async def fold(connection: Unbroken, limit: int, *, is_postgres: bool) -> int:
    """Fold the oldest deltas into the balances; 0 also where another core does it just now."""
    if is_postgres:
        lock = sa.select(sa.func.pg_try_advisory_xact_lock(_FOLD_LOCK))
        if not (await connection.execute(lock)).scalar_one():
            return 0
    oldest = sa.select(_DELTAS.delta_id).order_by(_DELTAS.delta_id).limit(limit)
    taken = sa.delete(t.balance_deltas).where(_DELTAS.delta_id.in_(oldest))
    columns = (_DELTAS.account, _DELTAS.currency, _DELTAS.amount_minor)
    rows = (await connection.execute(taken.returning(*columns))).all()
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        totals[row.account, row.currency] += row.amount_minor
    if totals:
        insert = insert_into(t.balances, is_postgres)
        statement = insert.on_conflict_do_update(
            index_elements=["account", "currency"],
            set_={"amount_minor": _KEPT.amount_minor + insert.excluded.amount_minor},
        )
        await connection.execute(statement, _rows_of(totals))
    return len(rows)


class Ledger:
    """Reads of the ledger. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def entries(
        self,
        *,
        escrow_id: str = "",
        account: str = "",
        entity_id: str = "",
        settlement_id: str = "",
        after: tuple[int, str, int, int] | None,
        limit: int,
    ) -> list[PostingRow]:
        """List the postings that fit all that is given, oldest first."""
        c = t.postings.c
        key = (c.create_time_us, c.escrow_id, c.version, c.position)
        statement = sa.select(t.postings).order_by(*key).limit(limit)
        if escrow_id:
            statement = statement.where(c.escrow_id == escrow_id)
        if account:
            statement = statement.where(c.account == account)
        if entity_id:
            statement = statement.where(c.entity_id == entity_id, _IS_NAMED)
        if settlement_id:
            statement = statement.where(*_is_settled_by(settlement_id))
        if after is not None:
            statement = statement.where(sa.tuple_(*key) > after)
        rows = [PostingRow(**row._mapping) for row in await self._rows(statement)]
        return await self._with_settlements(rows)

    async def _with_settlements(self, rows: Sequence[PostingRow]) -> list[PostingRow]:
        """Add to postings the settlements that they were part of."""
        ids = sorted({row.entity_id for row in rows} - {""})
        if not ids:
            return list(rows)
        c = t.recon_lines.c
        statement = (
            sa.select(c.subject_id, c.version, c.settlement_id, c.utr)
            .where(c.subject_id.in_(ids), c.message == "", c.settlement_id > "")
            .order_by(c.day)
        )
        found = {
            (line.subject_id, line.version): (line.settlement_id, line.utr)
            for line in await self._rows(statement)
        }

        def settled(row: PostingRow) -> PostingRow:
            of_all = found.get((row.entity_id, None), ("", ""))
            settlement_id, utr = found.get((row.entity_id, row.version), of_all)
            return replace(row, settlement_id=settlement_id, utr=utr)

        return [settled(row) for row in rows]

    async def balance(self, account: str) -> list[tuple[str, int]]:
        """Answer what an account stands at: (currency, debit less credit), for each it has seen."""
        statement = _KEPT_BALANCE if is_kept(account) else _SUMMED_BALANCE
        rows = await self._rows(statement, account=account)
        return [(str(row.currency), int(row.total)) for row in rows]

    async def is_unfolded(self) -> bool:
        """Whether there are changes that are not folded in yet."""
        return bool(await self._rows(_IS_UNFOLDED))

    async def lopsided(self, limit: int) -> list[tuple[str, str, int]]:
        """List postings of no escrow that do not sum to zero: (Razorpay's id, currency, sum)."""
        c = t.postings.c
        total = sa.func.sum(c.amount_minor)
        statement = (
            sa.select(c.escrow_id, c.currency, total.label("total"))
            .where(sa.text("version = 0"))
            .group_by(c.escrow_id, c.currency)
            .having(total != 0)
            .order_by(c.escrow_id)
            .limit(limit)
        )
        rows = await self._rows(statement)
        return [(row.escrow_id, row.currency, int(row.total)) for row in rows]

    async def drifts(self, limit: int) -> list[Drift]:
        """Compare the kept balances with the sums of all postings, as of one moment. Slow."""
        c = t.postings.c
        none = sa.literal(0, sa.BigInteger)
        lines = sa.union_all(
            sa.select(
                c.account, c.currency, none.label("kept"), c.amount_minor.label("posted")
            ).where(c.account.not_like(f"{UNKEPT}%")),
            sa.select(_KEPT.account, _KEPT.currency, _KEPT.amount_minor, none),
            sa.select(_DELTAS.account, _DELTAS.currency, _DELTAS.amount_minor, none),
        ).subquery()
        kept, posted = sa.func.sum(lines.c.kept), sa.func.sum(lines.c.posted)
        which = (lines.c.account, lines.c.currency)
        statement = (
            sa.select(*which, kept.label("kept"), posted.label("posted"))
            .group_by(*which)
            .having(kept != posted)
            .order_by(*which)
            .limit(limit)
        )
        rows = await self._rows(statement, limit_s=SUMS_S)
        return [Drift(r.account, r.currency, int(r.kept), int(r.posted)) for r in rows]

    async def _rows(
        self, statement: sa.Select[Any], *, limit_s: float = STATEMENT_S, **bound: Any
    ) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement, bound))

        with storage_errors():
            return await reading(self._engine, read, limit_s=limit_s)
