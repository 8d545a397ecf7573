"""A write transaction that is held open while it is worked on: rare and large ones.

What runs all the time is one trip (see `trip`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.attachment import AttachmentWriter
from core.storage.database import Unbroken, insert_into
from core.storage.ledger import fold
from core.storage.recon import ReconWriter
from core.storage.row import Drift
from core.storage.trip.step import Answer, Rows, Step, Work, drive
from core.storage.webhook import WebhookWriter


class Transaction:
    """One write transaction. Everything here is done, or nothing."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres
        self.recon = ReconWriter(connection, is_postgres)
        self.webhooks = WebhookWriter(connection, is_postgres)
        self.attachments = AttachmentWriter(connection, is_postgres)

    async def run(self, work: Work[Answer]) -> Answer:
        """Run the work of a small transaction as a part of this one."""

        async def fetch(step: Step[Any]) -> Rows:
            return await self._connection.fetch(step.plan, step.given, self._is_postgres)

        return await drive(work, fetch)

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
