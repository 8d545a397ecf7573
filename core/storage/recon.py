"""Settlement reports as stored: which days are due, their lines, and what the books say to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.law.ledger import BALANCE, Posting
from core.storage import tables as t
from core.storage.database import Database, Unbroken, fetch, insert_into, reading
from core.storage.ledger import deltas
from core.storage.plan import Plan
from core.storage.row import Movement, ReconFinding, ReconRow, chunks
from core.storage.trip.lease import NO_LEASE, NOW_US, is_free, is_held, take
from core.storage.trip.step import Step, write
from core.storage.trouble import storage_errors

_DAYS, _LINES = t.recon_days.c, t.recon_lines.c


class Recon:
    """Reads for the settlement reports. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def movements(self, entity_ids: Collection[str]) -> dict[str, list[Movement]]:
        """Answer what each event has posted to Razorpay's balance under these ids."""
        c = t.postings.c
        which = (c.entity_id, c.escrow_id, c.version, c.currency)
        found: defaultdict[str, list[Movement]] = defaultdict(list)
        for chunk in chunks(sorted(entity_ids)):
            statement = (
                sa.select(*which, sa.func.sum(c.amount_minor).label("amount_minor"))
                .where(c.entity_id.in_(chunk), sa.text("entity_id > ''"), c.account == BALANCE)
                .group_by(*which)
                .order_by(*which)
            )
            for row in await self._rows(statement):
                fields = {**row._mapping, "amount_minor": int(row.amount_minor)}
                found[row.entity_id].append(Movement(**fields))
        return dict(found)

    async def explained(
        self, subject_ids: Collection[str], *, but_day: str
    ) -> dict[tuple[str, int | None], str]:
        """Answer which of these ids, or events of them, lines of other days are explained by.

        The value is the settlement of that line.
        """
        c = _LINES
        found: dict[tuple[str, int | None], str] = {}
        for chunk in chunks(sorted(subject_ids)):
            statement = sa.select(c.subject_id, c.version, c.settlement_id).where(
                c.subject_id.in_(chunk), c.day != but_day, c.message == "", c.settlement_id > ""
            )
            for row in await self._rows(statement):
                found[row.subject_id, row.version] = row.settlement_id
        return found

    async def is_due(self, now_us: int) -> bool:
        """Whether a day is due that nobody looks at."""
        with storage_errors():
            return bool(await fetch(self._engine, _IS_DUE, now_us=now_us))

    async def last_day(self) -> str | None:
        """Answer the latest day that is known, looked at or not."""
        rows = await self._rows(sa.select(sa.func.max(_DAYS.day)))
        day: str | None = rows[0][0]
        return day

    async def last_look(self) -> tuple[str, int, int] | None:
        """Answer the day that was looked at last, when (in us), and how many lines it has."""
        statement = (
            sa.select(_DAYS.day, _DAYS.look_time_us)
            .where(_DAYS.look_time_us.is_not(None))
            .order_by(_DAYS.look_time_us.desc())
            .limit(1)
        )
        rows = await self._rows(statement)
        if not rows:
            return None
        last = rows[0]
        count = sa.select(sa.func.count()).where(_LINES.day == last.day)
        return last.day, last.look_time_us, int((await self._rows(count))[0][0])

    async def findings(self, since_day: str, limit: int) -> list[ReconFinding]:
        """List the lines from a day on that the books do not explain."""
        c = _LINES
        statement = (
            sa.select(c.day, c.escrow_id, c.outcome, c.message)
            .where(sa.text("message > ''"), c.day >= since_day)
            .order_by(c.day, c.position)
            .limit(limit)
        )
        return [ReconFinding(**row._mapping) for row in await self._rows(statement)]

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement))

        with storage_errors():
            return await reading(self._engine, read)


def lease(*, lease_id: str, now_us: int, until_us: int) -> Step[str | None]:
    """Take the oldest day that is due and that nobody else has."""
    given = {"holder": lease_id, "now_us": now_us, "until_us": until_us}
    return Step(_LEASE, given, lambda rows: rows[0][0] if rows else None)


def give_back(day: str, *, lease_id: str, due_us: int) -> Step[None]:
    """End a lease without a look."""
    return write(_GIVE_BACK, of_day=day, holder=lease_id, at_us=due_us)


def _lease(_is_postgres: bool) -> Any:
    due = sa.select(_DAYS.day).where(_DAYS.due_us <= NOW_US).order_by(_DAYS.day).limit(1)
    return take(t.recon_days, due).returning(_DAYS.day)


def _give_back(_is_postgres: bool) -> Any:
    mine = sa.update(t.recon_days).where(_DAYS.day == sa.bindparam("of_day"), is_held(t.recon_days))
    return mine.values(due_us=sa.bindparam("at_us"), **NO_LEASE)


_LEASE, _GIVE_BACK = Plan(_lease), Plan(_give_back)
_IS_DUE = Plan(
    lambda _: sa.select(_DAYS.day).where(_DAYS.due_us <= NOW_US, is_free(t.recon_days)).limit(1)
)


class ReconWriter:
    """What one write transaction does to the settlement reports."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    async def expect(self, days: Mapping[str, int]) -> None:
        """Write down days that are to be looked at, and when; those that are known stay."""
        rows = [{"day": day, "due_us": due_us} for day, due_us in sorted(days.items())]
        await self._connection.execute(
            insert_into(t.recon_days, self._is_postgres).on_conflict_do_nothing(), rows
        )

    async def looked(self, day: str, *, now_us: int, due_us: int | None) -> None:
        """Write down that a day was looked at, and when to look again; ends any lease."""
        values = {"look_time_us": now_us, "due_us": due_us, **NO_LEASE}
        statement = insert_into(t.recon_days, self._is_postgres).values(day=day, **values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["day"], set_=values)
        )

    async def save(self, day: str, first: int, lines: Sequence[ReconRow]) -> None:
        """Write lines of a day over those that stood at their places, from `first` on."""
        insert = insert_into(t.recon_lines, self._is_postgres)
        columns = [column.name for column in t.recon_lines.columns]
        statement = insert.on_conflict_do_update(
            index_elements=["day", "position"],
            set_={name: insert.excluded[name] for name in columns[2:]},
        )
        rows = [
            {"day": day, "position": position} | asdict(line)
            for position, line in enumerate(lines, start=first)
        ]
        await self._connection.execute(statement, rows)

    async def cut(self, day: str, count: int) -> None:
        """Forget the lines of a day from the one after `count` on."""
        await self._connection.execute(
            sa.delete(t.recon_lines).where(_LINES.day == day, _LINES.position >= count)
        )

    async def post(self, outside: Sequence[Posting], *, now_us: int) -> None:
        """Post what belongs to no escrow, once for each of Razorpay's ids."""
        places: defaultdict[str, int] = defaultdict(int)
        rows: list[dict[str, Any]] = []
        for posting in outside:
            row = {"escrow_id": posting.entity_id, "version": 0, "create_time_us": now_us}
            rows.append(row | asdict(posting) | {"position": places[posting.entity_id]})
            places[posting.entity_id] += 1
        written = await self._write(rows)
        if written:
            await self._connection.execute(sa.insert(t.balance_deltas), deltas(written))

    async def _write(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Write those postings that are not there; answer them."""
        c = t.postings.c
        written: list[Mapping[str, Any]] = []
        for row in rows:
            statement = (
                insert_into(t.postings, self._is_postgres).values(row).on_conflict_do_nothing()
            )
            done = await self._connection.execute(statement.returning(c.position))
            written += [row] * len(done.all())
        return written
