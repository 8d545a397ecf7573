"""What settlement owes, as one write transaction changes it: who works on it, and until when."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.database import Unbroken
from core.storage.row import Owed, chunks


class OwedWriter:
    """What one write transaction does to the work that settlement owes."""

    def __init__(self, connection: Unbroken) -> None:
        self._connection = connection

    async def lease(self, *, lease_id: str, now_us: int, until_us: int, limit: int) -> list[Owed]:
        """Take up to `limit` pieces of work that are due and that nobody else has."""
        due = _free(now_us).where(t.owed.c.due_us <= now_us).order_by(t.owed.c.due_us).limit(limit)
        return await self._take(due, lease_id, until_us)

    async def lease_one(
        self, escrow_id: str, *, lease_id: str, now_us: int, until_us: int
    ) -> Owed | None:
        """Take the work on one escrow, due or not; None while somebody else has it."""
        one = _free(now_us).where(t.owed.c.escrow_id == escrow_id)
        taken = await self._take(one, lease_id, until_us)
        return taken[0] if taken else None

    async def _take(self, which: sa.Select[Any], lease_id: str, until_us: int) -> list[Owed]:
        rows = (await self._connection.execute(which)).all()
        if rows:
            await self._connection.execute(
                sa.update(t.owed)
                .where(t.owed.c.escrow_id.in_([row.escrow_id for row in rows]))
                .values(lease_id=lease_id, lease_until_us=until_us)
            )
        return [Owed(lease_id=lease_id, **row._mapping) for row in rows]

    async def renew(
        self,
        work: Owed,
        *,
        until_us: int,
        asked: str | None,
        asked_us: int | None,
        seen_version: int | None = None,
    ) -> bool:
        """Keep a lease and remember the call about to be made; False when it is ours no more.

        False, too, where more was owed after `seen_version`.
        """
        c = t.owed.c
        which = sa.and_(c.escrow_id == work.escrow_id, c.lease_id == work.lease_id)
        if seen_version is not None:
            which = sa.and_(which, c.version <= seen_version)
        result = await self._connection.execute(
            sa.update(t.owed)
            .where(which)
            .values(lease_until_us=until_us, asked=asked, asked_us=asked_us)
        )
        return bool(result.rowcount)

    async def give_back(
        self, work: Owed, *, due_us: int | None, attempts: int, seen_version: int
    ) -> None:
        """End a lease and say when to look again; what was owed anew meanwhile stays due."""
        c = t.owed.c
        mine = sa.and_(c.escrow_id == work.escrow_id, c.lease_id == work.lease_id)
        free = {"lease_id": None, "lease_until_us": None}
        result = await self._connection.execute(
            sa.update(t.owed)
            .where(mine, c.version <= seen_version, c.stirs == work.stirs)
            .values(due_us=due_us, attempts=attempts, **free)
        )
        if not result.rowcount:
            await self._connection.execute(sa.update(t.owed).where(mine).values(**free))

    async def drop(self, work: Owed, *, seen_version: int) -> None:
        """Forget a piece of work that turned out to be done."""
        c = t.owed.c
        await self._connection.execute(
            sa.delete(t.owed).where(
                c.escrow_id == work.escrow_id,
                c.lease_id == work.lease_id,
                c.version <= seen_version,
                c.stirs == work.stirs,
            )
        )

    async def make_due(self, *, now_us: int, escrow_id: str = "", seller_id: str = "") -> None:
        """Make what is owed for an escrow, or to a seller, due now."""
        c = t.owed.c
        due = {"due_us": now_us, "attempts": 0, "stirs": c.stirs + 1}
        if not seller_id:
            which = c.escrow_id == escrow_id
            await self._connection.execute(sa.update(t.owed).where(which).values(due))
            return
        of_seller = sa.select(t.escrows.c.escrow_id).where(t.escrows.c.seller_id == seller_id)
        # Locked in the order of their ids, as everywhere: others may lock several of them too.
        mine = (
            sa.select(c.escrow_id)
            .where(c.escrow_id.in_(of_seller))
            .order_by(c.escrow_id)
            .with_for_update()
        )
        rows = await self._connection.execute(mine)
        for chunk in chunks([row.escrow_id for row in rows]):
            await self._connection.execute(
                sa.update(t.owed).where(c.escrow_id.in_(chunk)).values(due)
            )


def _free(now_us: int) -> sa.Select[Any]:
    """Select the work that nobody has, and pass over what another transaction is taking."""
    c = t.owed.c
    return (
        sa.select(c.escrow_id, c.version, c.stirs, c.attempts, c.asked, c.asked_us)
        .where(sa.or_(c.lease_until_us.is_(None), c.lease_until_us < now_us))
        .with_for_update(skip_locked=True)
    )
