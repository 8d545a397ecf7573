"""Where sellers are paid, as one write transaction reads and changes it."""

from __future__ import annotations

import sqlalchemy as sa

from core.law.ledger import ON_HOLD
from core.law.payee import Payee
from core.law.record import load_row
from core.law.status import AttentionCode
from core.storage import tables as t
from core.storage.database import Unbroken, insert_into
from core.storage.row import PayeeRow, latest_payee, payee_row

# Escrows that are looked at, the newest first, to learn whether a seller's account is refused.
MAX_REFUSED = 20


class PayeeWriter:
    """What one write transaction does to the payees and their record."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    async def latest(self, user_id: str) -> Payee | None:
        row = (await self._connection.execute(latest_payee(user_id))).one_or_none()
        return payee_row(row).payee if row else None

    async def has_only_been_refused(self, user_id: str, account_id: str) -> bool:
        """Whether Razorpay refuses this account of a seller, and has never held anything for him.

        That it refused an earlier account says nothing about this one, which may not have been
        tried yet.
        """
        c, p = t.escrows.c, t.postings.c
        code = AttentionCode.PAYEE_REFUSED
        refused = (
            sa.select(c.body)
            .where(c.attention_code == code.value, c.seller_id == user_id)
            .order_by(c.update_time_us.desc())
            .limit(MAX_REFUSED)
        )
        escrows = [load_row(row.body) for row in await self._connection.execute(refused)]
        items = {(one.code, one.subject) for escrow in escrows for one in escrow.attentions}
        if (code, account_id) not in items:
            return False
        held = (
            sa.select(p.escrow_id)
            .join(t.escrows, c.escrow_id == p.escrow_id)
            .where(c.seller_id == user_id, p.account == ON_HOLD)
            .limit(1)
        )
        return (await self._connection.execute(held)).one_or_none() is None

    async def by_cause(self, cause: str) -> PayeeRow | None:
        statement = sa.select(t.payees).where(t.payees.c.cause == cause)
        row = (await self._connection.execute(statement)).one_or_none()
        return payee_row(row) if row else None

    async def lock(self, user_id: str) -> None:
        """Let no other transaction change this seller's account until the end of this one."""
        if self._is_postgres:  # SQLite has one writer.
            key = sa.func.hashtextextended(user_id, 0)
            await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    async def add(self, row: PayeeRow) -> bool:
        """Add an event of a payee; False where another process was faster with version or cause."""
        payee = row.payee
        fields = {name: getattr(payee, name) for name in payee.__struct_fields__}
        statement = insert_into(t.payees, self._is_postgres).values(
            **fields | {"type": payee.type.value}, cause=row.cause, fingerprint=row.fingerprint
        )
        result = await self._connection.execute(statement.on_conflict_do_nothing())
        if not result.rowcount:
            return False
        await self._connection.execute(
            sa.delete(t.payee_changes).where(t.payee_changes.c.user_id == payee.user_id)
        )
        if payee.pending_us is not None:
            due = {"user_id": payee.user_id, "due_us": payee.pending_us}
            await self._connection.execute(sa.insert(t.payee_changes).values(due))
        return True
