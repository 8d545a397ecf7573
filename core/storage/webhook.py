"""Webhooks out as stored: endpoints, their deliveries, and what calls have answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import outgoing as o
from core.storage import tables as t
from core.storage.database import Database, Unbroken, fetch, insert_into, reading
from core.storage.outgoing import PENDING, Call, Delivery, Endpoint
from core.storage.plan import Plan
from core.storage.row import chunks
from core.storage.trouble import storage_errors

_E, _D, _C, _P = o.endpoints.c, o.deliveries.c, o.calls.c, t.positions.c
_THERE = _E.deleted_us.is_(None)
_ENABLED = sa.and_(_THERE, _E.disabled_us.is_(None))
_ANY = Plan(lambda _: sa.select(sa.literal(1)).where(_ENABLED).limit(1))


@dataclass(frozen=True, slots=True)
class Work:
    """An enabled endpoint, and what there is to do for it."""

    endpoint: Endpoint
    # Whether a delivery is due, and the newest position of the feed.
    is_due: bool
    newest: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the endpoints stand: how many by state, and what enabled ones are owed."""

    counts: Mapping[str, int]
    pending: int
    # Since when the oldest delivery is due; None where none is.
    due_us: int | None


class Webhooks:
    """Reads for webhooks out. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def endpoints(self) -> list[Endpoint]:
        """List all endpoints, the oldest first."""
        statement = sa.select(o.endpoints).where(_THERE)
        statement = statement.order_by(_E.create_time_us, _E.endpoint_id)
        return [Endpoint.of(row) for row in await self._rows(statement)]

    async def deliveries(
        self, endpoint_id: str, *, state: str, escrow_id: str, before: int | None, limit: int
    ) -> list[Delivery]:
        """List deliveries, the newest event first; what is empty does not count."""
        statement = sa.select(o.deliveries).where(_D.endpoint_id == endpoint_id)
        if state:
            statement = statement.where(_D.state == state)
        if escrow_id:
            statement = statement.where(_D.escrow_id == escrow_id)
        if before is not None:
            statement = statement.where(_D.position < before)
        rows = await self._rows(statement.order_by(_D.position.desc()).limit(limit))
        return [Delivery.of(row) for row in rows]

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        rows = await self._rows(sa.select(o.endpoints).where(_E.endpoint_id == endpoint_id, _THERE))
        return Endpoint.of(rows[0]) if rows else None

    async def known(self, cause: str) -> Call | None:
        """Answer what a call has answered before."""
        rows = await self._rows(sa.select(o.calls).where(_C.cause == cause))
        if not rows:
            return None
        row = rows[0]
        return Call(
            row.cause, bytes(row.fingerprint), row.endpoint_id, bytes(row.answer), row.secret
        )

    async def delivery(self, delivery_id: str) -> Delivery | None:
        statement = sa.select(o.deliveries).join(o.endpoints, _E.endpoint_id == _D.endpoint_id)
        rows = await self._rows(statement.where(_D.delivery_id == delivery_id, _THERE))
        return Delivery.of(rows[0]) if rows else None

    async def work(self, now_us: int) -> list[Work]:
        """List the enabled endpoints, and what there is to do for each."""
        # Asked first, for most cores have none.
        with storage_errors():
            if not await fetch(self._engine, _ANY):
                return []
        newest = sa.func.coalesce(sa.select(sa.func.max(_P.position)).scalar_subquery(), 0)
        is_due = _is_due(now_us).label("is_due")
        statement = sa.select(o.endpoints, is_due, newest.label("newest"))
        rows = await self._rows(statement.where(_ENABLED))
        return [Work(Endpoint.of(row), bool(row.is_due), row.newest) for row in rows]

    async def standing(self, now_us: int) -> Standing:
        """Count the endpoints by how they stand, and what is to be sent."""
        oldest = sa.select(sa.func.min(_D.due_us)).where(
            _D.endpoint_id == _E.endpoint_id, _D.due_us <= now_us
        )
        statement = sa.select(
            _E.disabled_us, _E.failing_since_us, _E.pending, oldest.scalar_subquery()
        )
        counts, pending, due_us = {"well": 0, "failing": 0, "disabled": 0}, 0, list[int]()
        for row in await self._rows(statement.where(_THERE)):
            disabled_us, failing_us, waiting, since_us = tuple[Any, ...](row)
            if disabled_us is not None:
                counts["disabled"] += 1
                continue
            counts["failing" if failing_us is not None else "well"] += 1
            pending += waiting
            due_us += [] if since_us is None else [since_us]
        return Standing(counts, pending, min(due_us, default=None))

    async def deleted(self) -> list[str]:
        """List endpoints that are deleted but for what there is of them."""
        rows = await self._rows(sa.select(_E.endpoint_id).where(_E.deleted_us.is_not(None)))
        return [row.endpoint_id for row in rows]

    async def first(self, endpoint_id: str, state: str, limit: int) -> list[tuple[str, int]]:
        """List (delivery id, when it was made) of an endpoint's first deliveries in a state."""
        statement = (
            sa.select(_D.delivery_id, _D.create_time_us)
            .where(_D.endpoint_id == endpoint_id, _D.state == state)
            .order_by(_D.position)
            .limit(limit)
        )
        return [(row.delivery_id, row.create_time_us) for row in await self._rows(statement)]

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement))

        with storage_errors():
            return await reading(self._engine, read)


class WebhookWriter:
    """What one write transaction does to endpoints and deliveries.

    `lock` or `lock_enabled` comes first for each endpoint that is written to.
    """

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    async def remember(self, call: Call) -> bool:
        """Write down what a call answers; False where the same call was faster."""
        statement = insert_into(o.calls, self._is_postgres).values(
            cause=call.cause,
            fingerprint=call.fingerprint,
            endpoint_id=call.endpoint_id,
            answer=call.answer,
            secret=call.secret,
        )
        done = await self._connection.execute(statement.on_conflict_do_nothing())
        return bool(done.rowcount)

    async def count(self) -> int:
        """Count the endpoints there are."""
        counted = sa.select(sa.func.count()).select_from(o.endpoints).where(_THERE)
        return int((await self._connection.execute(counted)).scalar_one())

    async def add(self, values: Mapping[str, Any]) -> None:
        """Add an endpoint."""
        await self._connection.execute(sa.insert(o.endpoints).values(**values))

    async def lock(self, endpoint_id: str) -> Endpoint | None:
        """Wait for an endpoint until nobody else writes to it; None where it is not there."""
        statement = sa.select(o.endpoints).where(_E.endpoint_id == endpoint_id, _THERE)
        rows = await self._connection.execute(statement.with_for_update())
        row = rows.one_or_none()
        return Endpoint.of(row) if row is not None else None

    async def lock_enabled(self, endpoint_ids: Collection[str], *, wait: bool) -> list[Endpoint]:
        """Lock the enabled ones of some endpoints, in the order of their ids.

        Those that somebody is writing to just now are waited for, or left out.
        """
        statement = (
            sa.select(o.endpoints)
            .where(_ENABLED, _E.endpoint_id.in_(endpoint_ids))
            .order_by(_E.endpoint_id)
            .with_for_update(skip_locked=not wait)
        )
        return [Endpoint.of(row) for row in await self._connection.execute(statement)]

    async def change(self, endpoint_id: str, **values: Any) -> None:
        """Change an endpoint's row."""
        mine = sa.update(o.endpoints).where(_E.endpoint_id == endpoint_id)
        await self._connection.execute(mine.values(**values))

    async def forget_secrets(self, endpoint_id: str) -> None:
        """Forget the secrets that calls have answered."""
        mine = sa.update(o.calls).where(_C.endpoint_id == endpoint_id)
        await self._connection.execute(mine.values(secret=""))

    async def enqueue(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add deliveries, each with all its columns."""
        if rows:
            await self._connection.execute(sa.insert(o.deliveries), list(rows))

    async def held(self, endpoint_id: str, escrow_ids: Iterable[str]) -> set[str]:
        """Answer which of these escrows have a delivery that later ones must wait for."""
        found: set[str] = set()
        for chunk in chunks(sorted(escrow_ids)):
            statement = sa.select(_D.escrow_id).distinct().where(_in_turn(endpoint_id, chunk))
            found |= set((await self._connection.execute(statement)).scalars())
        return found

    async def lease(
        self, endpoint_id: str, *, lease_id: str, now_us: int, until_us: int, limit: int
    ) -> list[Delivery]:
        """Take up to `limit` deliveries that are due, and count a try of each."""
        statement = (
            sa.select(_D.delivery_id)
            .where(_D.endpoint_id == endpoint_id, _D.due_us <= now_us)
            .order_by(_D.due_us, _D.position)
            .limit(limit)
        )
        ids = list((await self._connection.execute(statement)).scalars())
        if not ids:
            return []
        taken = sa.update(o.deliveries).where(_D.delivery_id.in_(ids))
        await self._connection.execute(
            taken.values(
                lease_id=lease_id,
                due_us=until_us,
                attempts=_D.attempts + 1,
                first_us=sa.func.coalesce(_D.first_us, now_us),
            )
        )
        return await self.read(ids)

    async def read(self, delivery_ids: Collection[str]) -> list[Delivery]:
        """Read deliveries, in the order of their positions."""
        which = sa.select(o.deliveries).where(_D.delivery_id.in_(delivery_ids))
        rows = await self._connection.execute(which.order_by(_D.position))
        return [Delivery.of(row) for row in rows]

    async def put(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Change deliveries: each entry has `delivery_id`, and the same columns as the others."""
        if not changes:
            return
        columns: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in changes[0]}
        which = sa.update(o.deliveries).where(_D.delivery_id == columns.pop("delivery_id"))
        rows = [{f"new_{name}": value for name, value in one.items()} for one in changes]
        await self._connection.execute(which.values(columns), rows)

    async def release(self, endpoint_id: str, escrow_ids: Iterable[str], now_us: int) -> None:
        """Make the next delivery of each escrow due, where it has waited for another."""
        for chunk in chunks(sorted(escrow_ids)):
            heads = (
                sa.select(sa.func.min(_D.position))
                .where(_in_turn(endpoint_id, chunk))
                .group_by(_D.escrow_id)
            )
            waits = sa.and_(_D.endpoint_id == endpoint_id, _D.due_us.is_(None))
            next_ = sa.update(o.deliveries).where(waits, _D.position.in_(heads))
            await self._connection.execute(next_.values(due_us=now_us))

    async def hurry(self, endpoint_id: str, now_us: int) -> None:
        """Try at once whatever waits for its next try."""
        waits = sa.update(o.deliveries).where(
            _D.endpoint_id == endpoint_id, _D.due_us > now_us, _D.lease_id.is_(None)
        )
        await self._connection.execute(waits.values(due_us=now_us))

    async def begin_anew(self, endpoint_id: str) -> None:
        """Give all that is pending its full time again."""
        mine = sa.update(o.deliveries).where(_D.endpoint_id == endpoint_id, _D.state == PENDING)
        await self._connection.execute(mine.values(first_us=None))

    async def loosen(self, endpoint_id: str, now_us: int) -> None:
        """Let nothing that is pending wait for another any more."""
        mine = sa.update(o.deliveries).where(_D.endpoint_id == endpoint_id, _D.state == PENDING)
        due_us = sa.func.coalesce(_D.due_us, now_us)
        await self._connection.execute(mine.values(in_order=False, due_us=due_us))

    async def forget(self, delivery_ids: Collection[str], state: str) -> None:
        """Forget deliveries that are in this state."""
        which = sa.delete(o.deliveries).where(_D.delivery_id.in_(delivery_ids), _D.state == state)
        await self._connection.execute(which)

    async def forget_previous(self, now_us: int) -> None:
        """Forget secrets that do not sign any more."""
        over = sa.update(o.endpoints).where(_E.previous_until_us < now_us)
        await self._connection.execute(over.values(previous_secret="", previous_until_us=None))

    async def drop(self, endpoint_id: str) -> None:
        """Forget the row of a deleted endpoint."""
        gone = sa.delete(o.endpoints).where(_E.endpoint_id == endpoint_id, ~_THERE)
        await self._connection.execute(gone)


def _is_due(now_us: int) -> sa.ColumnElement[bool]:
    return sa.exists().where(_D.endpoint_id == _E.endpoint_id, _D.due_us <= now_us)


def _in_turn(endpoint_id: str, escrow_ids: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        _D.endpoint_id == endpoint_id,
        _D.escrow_id.in_(escrow_ids),
        _D.state == PENDING,
        _D.in_order,
    )
