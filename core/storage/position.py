"""Positions: one order of the events of all escrows, in which no reader sees a later one first.

On SQLite an event gets its position in its own transaction. There is one writer at a time, so the
order of positions is the order of commits.

On PostgreSQL transactions commit in another order than they take numbers. So a batch puts its
events into `outbox`, and `give` moves them to `positions` after the commit, under a lock that is
held from before it looks until after its own commit can be seen. Nothing is seen out of order:

- Whoever has the lock sees all that was given before, and gives larger positions; nobody else
  gives any meanwhile. And what one has given becomes visible all at once.
- An escrow's version waits for the commit of the one before it, whose row it locks. So whoever
  sees a version in the outbox sees those before it there too, or placed already. Within a slice,
  versions are in order because an event is never older than the one before it (`core.execute`).

`give` is one message to the server, of constants alone. The server ends it by itself, whatever
becomes of who has sent it: no core, however it dies or hangs, can keep the lock.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import sqlalchemy as sa

from core.storage import tables as t
from core.storage.database import Database, fetch, on_wire
from core.storage.link import STATEMENT_S, Link
from core.storage.plan import Plan, listed, one_of
from core.storage.trouble import storage_errors

# The channel on which other cores hear that there are new positions.
FEED_CHANNEL = "holdfast_feed"
# Events that get their positions at once.
SLICE = 2_000
# How long a core waits for the others to have given theirs.
LOCK_WAIT_S = 3
# Positions that one read with a filter goes through at most.
SCAN = 20_000
# Only one core gives positions at a time (PostgreSQL, advisory locks).
_LOCK = 0x66656564
# Beyond every position.
_FAR = 2**62

_COLUMNS = "escrow_id, version, type, new_status, buyer_id, seller_id, arbiter_id"
# READ COMMITTED lets each statement see what was committed before it began: the last one sees all
# that whoever had the lock before has done.
_GIVING = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'",
    f"SELECT pg_advisory_xact_lock({_LOCK})",
    f"""
    WITH taken AS (
        DELETE FROM outbox WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM outbox ORDER BY create_time_us, escrow_id, version LIMIT {SLICE}
        )) RETURNING *
    ), placed AS (
        INSERT INTO positions (position, {_COLUMNS})
        SELECT (SELECT COALESCE(MAX(position), 0) FROM positions)
            + ROW_NUMBER() OVER (ORDER BY create_time_us, escrow_id, version), {_COLUMNS}
        FROM taken RETURNING position
    ), last AS (
        SELECT MAX(position) AS position FROM placed
    )
    SELECT CASE WHEN placed.position = last.position THEN {{ring}} END FROM placed, last
    """,  # noqa: S608 - constants alone
)
_RING = f"pg_notify('{FEED_CHANNEL}', last.position::text)"


def giving(*, notifies: bool) -> list[str]:
    """The statements that give positions; sent as one message, they are one transaction."""
    return [one.replace("{ring}", _RING if notifies else "NULL") for one in _GIVING]


_P, _V, _O = t.positions.c, t.events.c, t.outbox.c
_NEWEST = Plan(lambda _: sa.select(sa.func.coalesce(sa.func.max(_P.position), 0)))
_WAITING = Plan(lambda _: sa.select(sa.func.count(), sa.func.min(_O.create_time_us)))
_AFTER = sa.bindparam("after", type_=sa.BigInteger)
_UNTIL = sa.bindparam("until", type_=sa.BigInteger)
_MOST = sa.bindparam("most", type_=sa.Integer)


@dataclass(frozen=True, slots=True)
class Place:
    """An event's position, and by what its readers choose."""

    position: int
    escrow_id: str
    version: int
    type: str
    new_status: str
    # Buyer, seller, and the arbiter where there is one.
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed(Place):
    """An event and its position; `body` is the serialized EscrowEvent."""

    body: bytes

    @classmethod
    def of(cls, place: Place, body: bytes) -> Placed:
        return cls(
            place.position,
            place.escrow_id,
            place.version,
            place.type,
            place.new_status,
            place.parties,
            body,
        )


@dataclass(frozen=True, slots=True)
class Which:
    """Which events a reader wants; what is empty lets everything through.

    Those of escrows of a user, of any of these types, after which the escrow is in a status.
    """

    user_id: str = ""
    types: frozenset[str] = frozenset()
    status: str = ""

    @property
    def is_all(self) -> bool:
        return not (self.user_id or self.types or self.status)

    def takes(self, place: Place) -> bool:
        """Whether an event is one of these."""
        return (
            (not self.user_id or self.user_id in place.parties)
            and (not self.types or place.type in self.types)
            and (not self.status or place.new_status == self.status)
        )


ALL = Which()


@dataclass(frozen=True, slots=True)
class Page:
    """Events by position, and how far the read has come: nothing else that is wanted is there up to
    `reached`."""

    placed: Sequence[Placed]
    reached: int


class Positions:
    """Reads by position, and the giving of positions. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database, *, notifies: bool = True) -> None:
        """With `notifies` other processes on PostgreSQL are told of new positions (NOTIFY)."""
        self._engine = engine
        self._is_postgres = engine.dialect.name == "postgresql"
        self._giving = ";".join(giving(notifies=notifies))

    async def newest(self) -> int:
        """Answer the newest position; 0 where there is none."""
        return int((await self._fetch(_NEWEST))[0][0])

    async def waiting(self) -> tuple[int, int | None]:
        """Count the events that wait for a position; answers the time of the oldest too."""
        count, oldest_us = (await self._fetch(_WAITING))[0]
        return count, oldest_us

    async def places(self, position: int, limit: int) -> list[Place]:
        """List what comes after a position (exclusive), oldest first, without the events."""
        rows = await self._fetch(_PLACES, after=position, until=_FAR, most=limit)
        return [_place(row) for row in rows]

    async def after(
        self, position: int, limit: int, which: Which = ALL, *, newest: int | None = None
    ) -> Page:
        """Read what comes after a position (exclusive), oldest first.

        A page may be empty although there is more: ask on after its `reached`, until that is the
        newest position. `newest` is one that was read before; it saves the reading of it.
        """
        given: dict[str, Any] = {"after": position, "most": limit}
        if which.is_all:
            rows = await self._fetch(_of_all(False, False), until=_FAR, **given)
            placed = [_placed(row) for row in rows]
            return Page(placed, placed[-1].position if placed else position)
        newest = await self.newest() if newest is None else newest
        if newest <= position:
            return Page((), position)
        if which.user_id:
            until = newest
            # A user's events are read by index; what is not wanted of them is left out here.
            rows = await self._fetch(_OF_USER, user=which.user_id, until=until, **given)
        else:
            until = min(newest, position + SCAN)
            given |= {"status": which.status, "ids": listed(which.types, self._is_postgres)}
            plan = _of_all(bool(which.types), bool(which.status))
            rows = await self._fetch(plan, until=until, **given)
        placed = [_placed(row) for row in rows]
        reached = placed[-1].position if len(placed) == limit else until
        return Page([one for one in placed if which.takes(one)], reached)

    async def give(self) -> int:
        """Give positions to events that are committed, the oldest SLICE of them; answer how many.

        For PostgreSQL; may be called by any number of cores at the same time.
        """

        async def ask(driver: asyncpg.Connection, link: Link) -> int:
            with link.within(STATEMENT_S):
                told = await driver.execute(self._giving)
            return int(told.rpartition(" ")[2])

        with storage_errors():
            return await on_wire(self._engine, ask)

    async def _fetch(self, plan: Plan, **given: Any) -> Sequence[Sequence[Any]]:
        with storage_errors():
            return await fetch(self._engine, plan, **given)


def _slice_of(*terms: Any) -> sa.Select[Any]:
    between = (_P.position > _AFTER, _P.position <= _UNTIL)
    return sa.select(t.positions).where(*terms, *between).order_by(_P.position).limit(_MOST)


def _with_bodies(few: Any) -> sa.Select[Any]:
    """Read the events of a slice: after it was cut, so that no planner joins everything."""
    return (
        sa.select(*few.c, _V.body)
        .join(t.events, sa.and_(_V.escrow_id == few.c.escrow_id, _V.version == few.c.version))
        .order_by(few.c.position)
    )


@functools.cache
def _of_all(has_types: bool, has_status: bool) -> Plan:
    def make(is_postgres: bool) -> Any:
        terms: list[Any] = []
        if has_types:
            terms.append(one_of(_P.type, "ids", is_postgres))
        if has_status:
            terms.append(_P.new_status == sa.bindparam("status", type_=sa.Text))
        return _with_bodies(_slice_of(*terms).subquery())

    return Plan(make)


def _of_user(_is_postgres: bool) -> Any:
    user = sa.bindparam("user", type_=sa.Text)
    has_arbiter = sa.text("positions.arbiter_id > ''")
    ways = (
        (_P.buyer_id == user,),
        (_P.seller_id == user, _P.buyer_id != user),
        (_P.arbiter_id == user, has_arbiter, _P.buyer_id != user, _P.seller_id != user),
    )
    parts = (sa.select(_slice_of(*terms).subquery()) for terms in ways)
    rows = sa.union_all(*parts).subquery()
    return _with_bodies(sa.select(rows).order_by(rows.c.position).limit(_MOST).subquery())


_OF_USER = Plan(_of_user)
_PLACES = Plan(lambda _: _slice_of())


def _placed(row: Sequence[Any]) -> Placed:
    *place, body = row
    return Placed.of(_place(place), bytes(body))


def _place(row: Sequence[Any]) -> Place:
    position, escrow_id, version, kind, status, buyer_id, seller_id, arbiter_id = row
    parties = (buyer_id, seller_id, arbiter_id) if arbiter_id else (buyer_id, seller_id)
    return Place(position, escrow_id, version, kind, status, parties)
