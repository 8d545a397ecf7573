"""What health and metrics ask of the database: its time, its oldest work, who needs a person."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import tables as t
from core.storage.database import Database, reading
from core.storage.trouble import storage_errors


class Vitals:
    """Cheap reads, each by an index. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine
        self.is_postgres = engine.dialect.name == "postgresql"

    async def times(self) -> tuple[int, int]:
        """Answer the latest time that is written down anywhere, and the one last confirmed."""
        c = t.probe.c
        rows = await self._rows(sa.select(c.time_us, c.confirmed_us))
        lived_us, confirmed_us = rows[0] if rows else (0, 0)
        newest_us = await self._one(sa.select(sa.func.max(t.escrows.c.update_time_us)))
        return max(lived_us, newest_us or 0), confirmed_us

    async def clock_us(self) -> int | None:
        """Ask PostgreSQL for its own time; None where the database has no clock of its own."""
        if not self.is_postgres:
            return None
        seconds = sa.func.extract("epoch", sa.func.clock_timestamp())
        return await self._one(sa.select(sa.cast(seconds * 1_000_000, sa.BigInteger)))

    async def oldest_work(self, now_us: int) -> dict[str, int]:
        """Answer since when the oldest due work waits, for each kind that has some."""
        owed, checks, inbox = t.owed.c.due_us, t.checks.c.due_us, t.inbox.c.receive_time_us
        kinds = {
            "owed": sa.select(sa.func.min(owed)).where(owed <= now_us),
            "checks": sa.select(sa.func.min(checks)).where(checks <= now_us),
            "inbox": sa.select(sa.func.min(inbox)).where(t.inbox.c.outcome.is_(None)),
        }
        found = {kind: await self._one(statement) for kind, statement in kinds.items()}
        return {kind: since_us for kind, since_us in found.items() if since_us is not None}

    async def attention(self) -> dict[str, int]:
        """Count the escrows that need a person, by code."""
        code = t.escrows.c.attention_code
        statement = (
            sa.select(code, sa.func.count()).where(sa.text("attention_code > ''")).group_by(code)
        )
        return dict(await self._rows(statement))

    async def _one(self, statement: sa.Select[*tuple[Any, ...]]) -> int | None:
        rows = await self._rows(statement)
        return None if rows[0][0] is None else int(rows[0][0])

    async def _rows(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        async def read(connection: AsyncConnection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await connection.execute(statement)]

        with storage_errors():
            return await reading(self._engine, read)
