"""One write transaction: load, lock, write, append. Everything in it is done, or nothing."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.law.ledger import ON_HOLD
from core.law.payee import Payee
from core.law.record import load_row
from core.law.status import AttentionCode
from core.storage import tables as t
from core.storage.database import Unbroken
from core.storage.ledger import deltas, fold
from core.storage.recon import ReconWriter
from core.storage.row import (
    Drift,
    Known,
    Loaded,
    Owed,
    PayeeRow,
    chunks,
    latest_payee,
    payee_row,
)

# Characters of a NOTIFY; PostgreSQL allows less than 8,000 bytes.
NOTIFY_LIMIT = 7_900
NOTIFY_CHANNEL = "holdfast"
# Escrows that are looked at, the newest first, to learn whether a seller's account is refused.
MAX_REFUSED = 20


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


def _insert(table: sa.Table, is_postgres: bool) -> Any:
    return (postgresql if is_postgres else sqlite).insert(table)


@functools.cache
def _saves(is_postgres: bool) -> Mapping[str, Any]:
    """What `save` writes, by table."""
    escrow = _insert(t.escrows, is_postgres)
    changing = (
        "version",
        "status",
        "update_time_us",
        "deadline_us",
        "attention_code",
        "last_hash",
        "body",
    )
    check = _insert(t.checks, is_postgres)
    owed = _insert(t.owed, is_postgres)
    return {
        "escrows": escrow.on_conflict_do_update(
            index_elements=["escrow_id"],
            set_={name: escrow.excluded[name] for name in changing},
        ),
        "events": sa.insert(t.events),
        "postings": sa.insert(t.postings),
        "balance_deltas": sa.insert(t.balance_deltas),
        "orders": _insert(t.orders, is_postgres).on_conflict_do_nothing(),
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
        self.recon = ReconWriter(connection, is_postgres)

    def _insert(self, table: sa.Table) -> Any:
        return _insert(table, self._is_postgres)

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

    async def lease(self, *, lease_id: str, now_us: int, until_us: int, limit: int) -> list[Owed]:
        """Take up to `limit` pieces of work that are due and that nobody else has."""
        c = t.owed.c
        free = sa.or_(c.lease_until_us.is_(None), c.lease_until_us < now_us)
        statement = (
            sa.select(c.escrow_id, c.version, c.stirs, c.attempts, c.asked, c.asked_us)
            .where(c.due_us <= now_us, free)
            .order_by(c.due_us)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._connection.execute(statement)).all()
        ids = [row.escrow_id for row in rows]
        if ids:
            await self._connection.execute(
                sa.update(t.owed)
                .where(c.escrow_id.in_(ids))
                .values(lease_id=lease_id, lease_until_us=until_us)
            )
        return [Owed(lease_id=lease_id, **row._mapping) for row in rows]

    async def lease_one(
        self, escrow_id: str, *, lease_id: str, now_us: int, until_us: int
    ) -> Owed | None:
        """Take the work on one escrow, due or not; None while somebody else has it."""
        c = t.owed.c
        free = sa.or_(c.lease_until_us.is_(None), c.lease_until_us < now_us)
        statement = (
            sa.select(c.escrow_id, c.version, c.stirs, c.attempts, c.asked, c.asked_us)
            .where(c.escrow_id == escrow_id, free)
            .with_for_update(skip_locked=True)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            return None
        await self._connection.execute(
            sa.update(t.owed)
            .where(c.escrow_id == escrow_id)
            .values(lease_id=lease_id, lease_until_us=until_us)
        )
        return Owed(lease_id=lease_id, **row._mapping)

    async def leases(self, escrow_ids: Collection[str]) -> dict[str, str]:
        """Answer who works on these escrows, and keep that from changing until the commit."""
        c = t.owed.c
        found: dict[str, str] = {}
        for chunk in chunks(sorted(escrow_ids)):
            statement = (
                sa.select(c.escrow_id, c.lease_id)
                .where(c.escrow_id.in_(chunk), c.lease_id.is_not(None))
                .order_by(c.escrow_id)
                .with_for_update()
            )
            rows = await self._connection.execute(statement)
            found.update((row.escrow_id, row.lease_id) for row in rows)
        return found

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

    async def payee(self, user_id: str) -> Payee | None:
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

    async def payee_by_cause(self, cause: str) -> PayeeRow | None:
        statement = sa.select(t.payees).where(t.payees.c.cause == cause)
        row = (await self._connection.execute(statement)).one_or_none()
        return payee_row(row) if row else None

    async def lock_payee(self, user_id: str) -> None:
        """Let no other transaction change this seller's account until the end of this one."""
        if self._is_postgres:  # SQLite has one writer.
            key = sa.func.hashtextextended(user_id, 0)
            await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    async def add_payee(self, row: PayeeRow) -> bool:
        """Add an event of a payee; False where another process was faster with version or cause."""
        payee = row.payee
        fields = {name: getattr(payee, name) for name in payee.__struct_fields__}
        statement = self._insert(t.payees).values(
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

    async def keep_webhook(self, *, event_id: str, body: bytes, now_us: int) -> str | None:
        """Store a webhook unless it is there; answer the outcome it has already, or None."""
        statement = self._insert(t.inbox).values(
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
        statement = self._insert(t.revocations).values(
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
        statement = self._insert(t.probe).values(probe_id=1, writes=1, time_us=time_us)
        c = t.probe.c
        later = sa.case((c.time_us > time_us, c.time_us), else_=time_us)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["probe_id"], set_={"writes": c.writes + 1, "time_us": later}
            )
        )

    async def confirm_time(self, time_us: int) -> None:
        """Write down that an operator says it is this time now."""
        statement = self._insert(t.probe).values(probe_id=1, writes=1, confirmed_us=time_us)
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
