"""One write transaction: load, lock, write, append. Everything in it is done, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.audit import AuditWriter
from core.storage.database import Unbroken, insert_into
from core.storage.ledger import fold
from core.storage.owed import OwedWriter
from core.storage.payee import PayeeWriter
from core.storage.recon import ReconWriter
from core.storage.row import Drift, chunks


class Transaction:
    """One write transaction. Everything here is done, or nothing."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres
        self.owed = OwedWriter(connection)
        self.payees = PayeeWriter(connection, is_postgres)
        self.recon = ReconWriter(connection, is_postgres)
        self.audit = AuditWriter(connection, is_postgres)

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
        await self._many(sa.insert(t.balance_deltas), rows)

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
        c = t.inbox.c
        # Written over by itself, so that it cannot be pruned between being found and being read.
        same = statement.on_conflict_do_update(
            index_elements=["event_id"], set_={"event_id": c.event_id}
        )
        rows = await self._connection.execute(same.returning(c.outcome))
        outcome: str | None = rows.scalar_one()
        return outcome

    async def forget_webhooks(self, event_ids: Sequence[str]) -> int:
        """Forget webhooks that are worked off; answer how many of these there were."""
        c = t.inbox.c
        old = sa.delete(t.inbox).where(c.event_id.in_(event_ids), c.outcome.is_not(None))
        return (await self._connection.execute(old)).rowcount

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
