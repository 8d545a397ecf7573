"""One write transaction: load, lock, write, append. Everything in it is done, or nothing."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.law.record import load_row
from core.storage import tables as t
from core.storage.database import Unbroken, insert_into
from core.storage.ledger import deltas, fold
from core.storage.owed import OwedWriter
from core.storage.payee import PayeeWriter
from core.storage.recon import ReconWriter
from core.storage.row import Drift, Known, Loaded, chunks

# Characters of a NOTIFY; PostgreSQL allows less than 8,000 bytes.
NOTIFY_LIMIT = 7_900
NOTIFY_CHANNEL = "holdfast"


# Built once: SQLAlchemy takes as long to build a statement as SQLite to run it.
_KNOWN = sa.select(
    t.events.c.cause, t.events.c.escrow_id, t.events.c.version, t.events.c.fingerprint
).where(t.events.c.cause.in_(sa.bindparam("causes", expanding=True)))
_LOAD = (
    sa.select(t.escrows.c.escrow_id, t.escrows.c.body, t.escrows.c.last_hash)
    .where(t.escrows.c.escrow_id.in_(sa.bindparam("escrow_ids", expanding=True)))
    .order_by(t.escrows.c.escrow_id)
    .with_for_update()
)
_SETTLED = sa.delete(t.owed).where(
    t.owed.c.escrow_id.in_(sa.bindparam("escrow_ids", expanding=True))
)


@functools.cache
def _saves(is_postgres: bool) -> Mapping[str, Any]:
    """What `save` writes, by table."""
    escrow = insert_into(t.escrows, is_postgres)
    changing = (
        "version",
        "status",
        "update_time_us",
        "deadline_us",
        "attention_code",
        "last_hash",
        "body",
    )
    check = insert_into(t.checks, is_postgres)
    owed = insert_into(t.owed, is_postgres)
    return {
        "escrows": escrow.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={name: escrow.excluded[name] for name in changing},
        ),
        "events": sa.insert(t.events),
        "postings": sa.insert(t.postings),
        "balance_deltas": sa.insert(t.balance_deltas),
        "orders": insert_into(t.orders, is_postgres).on_conflict_do_nothing(),
        "checks": check.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={"due_us": check.excluded.due_us, "attempts": check.excluded.attempts},
        ),
        "owed": owed.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={
                "version": owed.excluded.version,
                "due_us": owed.excluded.due_us,
                "attempts": 0,
            },
        ),
    }


class Transaction:
    """One write transaction. Everything here is done, or nothing."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres
        self.owed = OwedWriter(connection)
        self.payees = PayeeWriter(connection, is_postgres)
        self.recon = ReconWriter(connection, is_postgres)

    async def known(self, causes: Collection[str]) -> dict[str, Known]:
        """Answer which of these causes have made an event."""
        found: dict[str, Known] = {}
        for chunk in chunks(list(causes)):
            rows = await self._connection.execute(_KNOWN, {"causes": chunk})
            found.update(
                (row.cause, Known(row.escrow_id, row.version, bytes(row.fingerprint)))
                for row in rows
            )
        return found

    async def load(self, escrow_ids: Collection[str]) -> dict[str, Loaded]:
        """Load escrows and keep others from changing them: locked in the order of their ids."""
        found: dict[str, Loaded] = {}
        for chunk in chunks(sorted(escrow_ids)):
            rows = await self._connection.execute(_LOAD, {"escrow_ids": chunk})
            found.update(
                (row.escrow_id, Loaded(load_row(row.body), bytes(row.last_hash))) for row in rows
            )
        return found

    async def save(
        self,
        *,
        escrows: Sequence[Mapping[str, Any]],
        events: Sequence[Mapping[str, Any]],
        postings: Sequence[Mapping[str, Any]],
        orders: Sequence[Mapping[str, Any]],
        checks: Sequence[Mapping[str, Any]],
        owed: Sequence[Mapping[str, Any]],
        settled: Sequence[str],
    ) -> None:
        """Write rows, events, postings and what is owed, one statement for each table."""
        saves = _saves(self._is_postgres)
        await self._many(saves["escrows"], escrows)
        await self._many(saves["events"], events)
        await self._many(saves["postings"], postings)
        await self._many(saves["balance_deltas"], deltas(postings))
        await self._many(saves["orders"], orders)
        await self._many(saves["checks"], checks)
        await self._many(saves["owed"], owed)
        for chunk in chunks(settled):
            await self._connection.execute(_SETTLED, {"escrow_ids": chunk})

    async def _many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            await self._connection.execute(statement, list(rows))

    async def fold(self, limit: int) -> int:
        """Fold the oldest changes into the balances, up to `limit`; answer how many there were."""
        return await fold(self._connection, limit, is_postgres=self._is_postgres)

    async def correct(self, drifts: Sequence[Drift]) -> None:
        """Add to kept balances what they lack of their postings.

        Exact although commands go on: what they post and what they add to balances is the same.
        """
        rows = [
            {
                "account": drift.account,
                "currency": drift.currency,
                "amount_minor": drift.posted_minor - drift.kept_minor,
            }
            for drift in drifts
        ]
        await self._many(_saves(self._is_postgres)["balance_deltas"], rows)

    async def notify(self, rung: Iterable[tuple[str, int]]) -> None:
        """Ring the other processes at commit (PostgreSQL only): which escrows, at which version."""
        if not self._is_postgres:
            return
        for payload in _payloads(rung):
            await self._connection.execute(sa.select(sa.func.pg_notify(NOTIFY_CHANNEL, payload)))

    async def due_checks(self, *, now_us: int, limit: int) -> list[tuple[str, int]]:
        """Take escrows that are to be asked about: (escrow id, how often it was asked)."""
        c = t.checks.c
        statement = (
            sa.select(c.escrow_id, c.attempts)
            .where(c.due_us <= now_us)
            .order_by(c.due_us)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [(row.escrow_id, row.attempts) for row in await self._connection.execute(statement)]

    async def check_again(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say when escrows are to be asked about next."""
        for row in rows:
            await self._connection.execute(
                sa.update(t.checks).where(t.checks.c.escrow_id == row["escrow_id"]).values(row)
            )

    async def check_no_more(self, escrow_ids: Sequence[str]) -> None:
        for chunk in chunks(escrow_ids):
            await self._connection.execute(
                sa.delete(t.checks).where(t.checks.c.escrow_id.in_(chunk))
            )

    async def keep_webhook(self, *, event_id: str, body: bytes, now_us: int) -> str | None:
        """Store a webhook unless it is there; answer the outcome it has already, or None."""
        statement = insert_into(t.inbox, self._is_postgres).values(
            event_id=event_id, body=body, receive_time_us=now_us
        )
        await self._connection.execute(statement.on_conflict_do_nothing())
        c = t.inbox.c
        rows = await self._connection.execute(sa.select(c.outcome).where(c.event_id == event_id))
        outcome: str | None = rows.scalar_one()
        return outcome

    async def finish_webhook(self, *, event_id: str, outcome: str) -> None:
        await self._connection.execute(
            sa.update(t.inbox).where(t.inbox.c.event_id == event_id).values(outcome=outcome)
        )

    async def revoke(
        self,
        *,
        cause: str,
        fingerprint: bytes,
        user_id: str,
        issued_before_us: int,
        now_us: int,
    ) -> bytes:
        """Write down a revocation once for its cause; answer the fingerprint that cause has."""
        c = t.revocations.c
        statement = insert_into(t.revocations, self._is_postgres).values(
            cause=cause,
            fingerprint=fingerprint,
            user_id=user_id,
            issued_before_us=issued_before_us,
            revoke_time_us=now_us,
        )
        await self._connection.execute(statement.on_conflict_do_nothing())
        rows = await self._connection.execute(sa.select(c.fingerprint).where(c.cause == cause))
        return bytes(rows.scalar_one())

    async def beat(self, time_us: int = 0) -> None:
        """Write something that changes nothing but, where it is later, how far time has come."""
        statement = insert_into(t.probe, self._is_postgres).values(
            probe_id=1, writes=1, time_us=time_us
        )
        c = t.probe.c
        later = sa.case((c.time_us > time_us, c.time_us), else_=time_us)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["probe_id"], set_={"writes": c.writes + 1, "time_us": later}
            )
        )

    async def confirm_time(self, time_us: int) -> None:
        """Write down that an operator says it is this time now."""
        statement = insert_into(t.probe, self._is_postgres).values(
            probe_id=1, writes=1, confirmed_us=time_us
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["probe_id"], set_={"confirmed_us": time_us}
            )
        )


def _payloads(rung: Iterable[tuple[str, int]]) -> Iterable[str]:
    line = ""
    for escrow_id, version in rung:
        item = f"{escrow_id}:{version}"
        if line and len(line) + 1 + len(item) > NOTIFY_LIMIT:
            yield line
            line = ""
        line = f"{line},{item}" if line else item
    if line:
        yield line
