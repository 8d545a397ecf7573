"""The checks of the books as stored: how far they have come, and what they have found."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import tables as t
from core.storage.database import Database, insert_into, reading
from core.storage.link import STATEMENT_S
from core.storage.plan import Plan, one_of
from core.storage.row import AuditRow, FindingRow
from core.storage.trip.lease import NO_LEASE, NOW_US, is_held, take
from core.storage.trip.step import Step, Steps, found, write
from core.storage.trouble import storage_errors

# Characters of a finding; what Razorpay says may be long.
MAX_MESSAGE = 500
# Counting all escrows, once for each walk.
COUNT_S = 60.0

_ONLY = 1
_AUDIT, _FINDINGS, _ESCROWS = t.audit.c, t.audit_findings.c, t.escrows.c
_PROGRESS = [_AUDIT[name] for name in AuditRow.__dataclass_fields__]
_STATE = sa.select(*_PROGRESS).where(_AUDIT.audit_id == _ONLY)


class Audit:
    """Reads for the checks. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def state(self) -> AuditRow | None:
        """Answer how far the checks have come; None before the first has begun."""
        rows = await self._rows(_STATE)
        return AuditRow(**rows[0]._mapping) if rows else None

    async def findings(self, limit: int) -> list[FindingRow]:
        """List what was found and not seen mended."""
        c = _FINDINGS
        statement = sa.select(c.escrow_id, c.check_name, c.message)
        statement = statement.order_by(c.escrow_id, c.position).limit(limit)
        return [FindingRow(**row._mapping) for row in await self._rows(statement)]

    async def count_findings(self) -> int:
        rows = await self._rows(sa.select(sa.func.count()).select_from(t.audit_findings))
        return int(rows[0][0])

    async def suspects(self, after_id: str, limit: int) -> list[str]:
        """List whose books had something wrong, in the order of their ids; "" for nobody's."""
        c = _FINDINGS.escrow_id
        statement = sa.select(c).distinct().where(c > after_id).order_by(c).limit(limit)
        return [row[0] for row in await self._rows(statement)]

    async def has_loose_findings(self) -> bool:
        """Whether something is wrong that belongs to no escrow."""
        statement = sa.select(_FINDINGS.position).where(_FINDINGS.escrow_id == "").limit(1)
        return bool(await self._rows(statement))

    async def changed(
        self, after: tuple[int, str], until_us: int, limit: int
    ) -> list[tuple[int, str]]:
        """List (time, escrow id) of what changed, up to a time (inclusive), by both."""
        key = (_ESCROWS.update_time_us, _ESCROWS.escrow_id)
        statement = (
            sa.select(*key)
            # Said beside the pair, which not every planner takes an index of the time for.
            .where(_ESCROWS.update_time_us.between(after[0], until_us), sa.tuple_(*key) > after)
            .order_by(*key)
            .limit(limit)
        )
        return [(row.update_time_us, row.escrow_id) for row in await self._rows(statement)]

    async def page(self, after_id: str, limit: int) -> list[str]:
        """List escrows in the order of their ids."""
        statement = (
            sa.select(_ESCROWS.escrow_id)
            .where(_ESCROWS.escrow_id > after_id)
            .order_by(_ESCROWS.escrow_id)
            .limit(limit)
        )
        return [row.escrow_id for row in await self._rows(statement)]

    async def count_escrows(self) -> int:
        statement = sa.select(sa.func.count()).select_from(t.escrows)
        return int((await self._rows(statement, COUNT_S))[0][0])

    async def _rows(
        self, statement: sa.Select[Any], limit_s: float = STATEMENT_S
    ) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement))

        with storage_errors():
            return await reading(self._engine, read, limit_s=limit_s)


def lease(*, lease_id: str, now_us: int, until_us: int, changes_us: int) -> Steps[AuditRow | None]:
    """Take the next check if it is due and nobody else has it.

    `changes_us` is where the first of all checks begins.
    """
    yield from write(_BEGIN, due_us=now_us, changes_us=changes_us)
    given = {"holder": lease_id, "now_us": now_us, "until_us": until_us}
    taken: AuditRow | None = yield from Step(
        _LEASE, given, lambda rows: AuditRow(*rows[0]) if rows else None
    )
    return taken


def renew(lease_id: str, until_us: int, **progress: Any) -> Step[bool]:
    """Write down progress and keep the lease; False when it is ours no more."""
    return _update(lease_id, lease_until_us=until_us, **progress)


def give_back(lease_id: str, **progress: Any) -> Step[bool]:
    """Write down progress, if the lease is still ours, and end it."""
    return _update(lease_id, **NO_LEASE, **progress)


def replace(escrow_ids: Collection[str], found_now: Sequence[FindingRow]) -> Steps[None]:
    """Write down what is wrong with these escrows now, in place of what was."""
    yield from write(_FORGET, ids=frozenset(escrow_ids))
    places: Counter[str] = Counter()
    for one in found_now:
        yield from write(
            _FIND,
            escrow_id=one.escrow_id,
            position=places[one.escrow_id],
            check_name=one.check_name,
            message=one.message[:MAX_MESSAGE],
        )
        places[one.escrow_id] += 1


def _update(holder: str, **values: Any) -> Step[bool]:
    given = {f"new_{name}": value for name, value in values.items()}
    return found(_changed(frozenset(values)), holder=holder, **given)


@functools.cache
def _changed(names: frozenset[str]) -> Plan:
    def make(_is_postgres: bool) -> Any:
        mine = sa.update(t.audit).where(_AUDIT.audit_id == _ONLY, is_held(t.audit))
        values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in sorted(names)}
        return mine.values(values).returning(_AUDIT.audit_id)

    return Plan(make)


def _begin(is_postgres: bool) -> Any:
    """Make the one row, unless it is there."""
    first: dict[str, Any] = {name: sa.bindparam(name) for name in ("due_us", "changes_us")}
    zero = {"escrows_checked": 0, "walk_after_id": "", "walk_checked": 0, "walk_total": 0}
    insert = insert_into(t.audit, is_postgres).values({"audit_id": _ONLY} | first | zero)
    return insert.on_conflict_do_nothing()


def _lease(_is_postgres: bool) -> Any:
    due = sa.select(_AUDIT.audit_id).where(_AUDIT.audit_id == _ONLY, _AUDIT.due_us <= NOW_US)
    return take(t.audit, due).returning(*_PROGRESS)


def _find(_is_postgres: bool) -> Any:
    columns = t.audit_findings.columns
    return sa.insert(t.audit_findings).values({one.name: sa.bindparam(one.name) for one in columns})


_BEGIN, _LEASE, _FIND = Plan(_begin), Plan(_lease), Plan(_find)
_FORGET = Plan(
    lambda is_postgres: sa.delete(t.audit_findings).where(
        one_of(_FINDINGS.escrow_id, "ids", is_postgres)
    )
)
