"""The checks of the books as stored: how far they have come, and what they have found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import tables as t
from core.storage.database import Database, Unbroken, insert_into, reading
from core.storage.link import STATEMENT_S
from core.storage.row import AuditRow, FindingRow
from core.storage.trouble import storage_errors

# Characters of a finding; what Razorpay says may be long.
MAX_MESSAGE = 500
# Counting all escrows, once for each walk.
COUNT_S = 60.0

_ONLY = 1
_AUDIT, _FINDINGS, _ESCROWS = t.audit.c, t.audit_findings.c, t.escrows.c
_FREE = {"lease_id": None, "lease_until_us": None}


_STATE = sa.select(*(_AUDIT[name] for name in AuditRow.__dataclass_fields__)).where(
    _AUDIT.audit_id == _ONLY
)


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


class AuditWriter:
    """What one write transaction does to the state of the checks."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    async def lease(
        self, *, lease_id: str, now_us: int, until_us: int, changes_us: int
    ) -> AuditRow | None:
        """Take the next check if it is due and nobody else has it.

        `changes_us` is where the first of all checks begins.
        """
        first = {"audit_id": _ONLY, "due_us": now_us, "changes_us": changes_us}
        zero = {"escrows_checked": 0, "walk_after_id": "", "walk_checked": 0, "walk_total": 0}
        insert = insert_into(t.audit, self._is_postgres).values(first | zero)
        await self._connection.execute(insert.on_conflict_do_nothing())
        free = sa.or_(_AUDIT.lease_until_us.is_(None), _AUDIT.lease_until_us < now_us)
        taken = (
            sa.update(t.audit)
            .where(_AUDIT.audit_id == _ONLY, _AUDIT.due_us <= now_us, free)
            .values(lease_id=lease_id, lease_until_us=until_us)
        )
        if not (await self._connection.execute(taken)).rowcount:
            return None
        return AuditRow(**(await self._connection.execute(_STATE)).one()._mapping)

    async def renew(self, lease_id: str, until_us: int, **progress: Any) -> bool:
        """Write down progress and keep the lease; False when it is ours no more."""
        return await self._update(lease_id, lease_until_us=until_us, **progress)

    async def give_back(self, lease_id: str, **progress: Any) -> None:
        """Write down progress, if the lease is still ours, and end it."""
        await self._update(lease_id, **_FREE, **progress)

    async def _update(self, holder: str, **values: Any) -> bool:
        mine = sa.update(t.audit).where(_AUDIT.audit_id == _ONLY, _AUDIT.lease_id == holder)
        return bool((await self._connection.execute(mine.values(**values))).rowcount)

    async def replace(self, escrow_ids: Collection[str], found: Sequence[FindingRow]) -> None:
        """Write down what is wrong with these escrows now, in place of what was."""
        await self._connection.execute(
            sa.delete(t.audit_findings).where(_FINDINGS.escrow_id.in_(escrow_ids))
        )
        places: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        for one in found:
            rows.append(
                {
                    "escrow_id": one.escrow_id,
                    "position": places[one.escrow_id],
                    "check_name": one.check_name,
                    "message": one.message[:MAX_MESSAGE],
                }
            )
            places[one.escrow_id] += 1
        if rows:
            await self._connection.execute(sa.insert(t.audit_findings), rows)
