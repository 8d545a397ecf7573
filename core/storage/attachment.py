"""Files that are shown in disputes: who uploaded what for which escrow, and, unless they are kept
elsewhere, their bytes.

A file's row comes before its bytes and goes after them, so that no bytes are ever left behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from core.law.command import File
from core.storage.database import Database, Unbroken, insert_into, reading
from core.storage.plan import Plan, one_of
from core.storage.tables import metadata
from core.storage.trouble import storage_errors

# A file is one of these: on its way in, there, in a message, or on its way out.
UPLOADING, READY, SENT, DROPPED = "UPLOADING", "READY", "SENT", "DROPPED"

attachments = Table(
    "attachments",
    metadata,
    Column("file_id", String(36), primary_key=True),
    Column("escrow_id", String(36), nullable=False),
    Column("uploader_id", String(128), nullable=False),
    Column("name", String(200), nullable=False),
    Column("content_type", String(32), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    # Hexadecimal; empty while it is uploading.
    Column("sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Where its bytes are (core.attachments.place).
    Column("place", String(16), nullable=False),
    # That of its upload; a file that is dropped gives it back.
    Column("cause", String(300), nullable=False, unique=True),
    Column("create_time_us", BigInteger, nullable=False),
    Index("attachments_uploader", "uploader_id", "escrow_id"),
    Index(
        "attachments_waiting",
        "state",
        "create_time_us",
        postgresql_where=sa.text("state <> 'SENT'"),
        sqlite_where=sa.text("state <> 'SENT'"),
    ),
)

# The bytes of a file, in pieces.
chunks = Table(
    "attachment_chunks",
    metadata,
    Column("file_id", String(36), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

_A, _C = attachments.c, chunks.c
_FACTS = (
    "file_id",
    "escrow_id",
    "uploader_id",
    "name",
    "content_type",
    "size_bytes",
    "sha256",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file, what became of it, and where its bytes are."""

    file: File
    state: str
    place: str


@dataclass(frozen=True, slots=True)
class Used:
    """What one person's files come to: their number and bytes in one escrow, bytes in all."""

    files: int
    escrow_bytes: int
    all_bytes: int


def _ready(is_postgres: bool) -> sa.Select[Any]:
    """Make the read of those of some files that wait to be sent, locked until they are."""
    columns = [_A[name] for name in _FACTS]
    return (
        sa.select(*columns)
        .where(one_of(_A.file_id, "ids", is_postgres), _A.state == READY)
        .order_by(_A.file_id)
        .with_for_update()
    )


def _sent(is_postgres: bool) -> sa.Update:
    which = sa.update(attachments).where(one_of(_A.file_id, "ids", is_postgres))
    return which.values(state=SENT)


FILES, MARK_SENT = Plan(_ready), Plan(_sent)


class Attachments:
    """Reads of files. All raise Refusal STORAGE_UNAVAILABLE."""

    def __init__(self, engine: Database) -> None:
        self._engine = engine

    async def file(self, file_id: str) -> Stored | None:
        return await self._one(_A.file_id == file_id)

    async def of_cause(self, cause: str) -> Stored | None:
        """Answer what an upload with this cause has stored, or is storing."""
        return await self._one(_A.cause == cause)

    async def chunk(self, file_id: str, position: int) -> bytes | None:
        """Read one piece of a file's bytes; None after the last."""
        where = sa.and_(_C.file_id == file_id, _C.position == position)
        rows = await self._rows(sa.select(_C.body).where(where))
        return bytes(rows[0].body) if rows else None

    async def waiting(self, state: str, before_us: int, limit: int) -> list[Stored]:
        """List files in a state that came before a time, the oldest first."""
        statement = sa.select(attachments).where(_A.state == state, _A.create_time_us < before_us)
        rows = await self._rows(statement.order_by(_A.create_time_us).limit(limit))
        return [_stored(row) for row in rows]

    async def _one(self, where: sa.ColumnElement[bool]) -> Stored | None:
        rows = await self._rows(sa.select(attachments).where(where))
        return _stored(rows[0]) if rows else None

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[sa.Row[Any]]:
            return list(await connection.execute(statement))

        with storage_errors():
            return await reading(self._engine, read)


class AttachmentWriter:
    """What one write transaction does to files."""

    def __init__(self, connection: Unbroken, is_postgres: bool) -> None:
        self._connection = connection
        self._is_postgres = is_postgres

    async def used(self, uploader_id: str, escrow_id: str) -> Used:
        """Count one person's files; nobody else adds one of theirs until the transaction ends."""
        if self._is_postgres:  # SQLite has one writer.
            key = sa.func.hashtextextended(f"attachments:{uploader_id}", 0)
            await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
        mine = sa.and_(_A.uploader_id == uploader_id, _A.state != DROPPED)
        here = sa.case((_A.escrow_id == escrow_id, _A.size_bytes), else_=0)
        counted: sa.Select[Any] = sa.select(
            sa.func.count(sa.case((_A.escrow_id == escrow_id, 1))),
            sa.func.coalesce(sa.func.sum(here), 0),
            sa.func.coalesce(sa.func.sum(_A.size_bytes), 0),
        )
        row: Any = (await self._connection.execute(counted.where(mine))).one()
        return Used(row[0], int(row[1]), int(row[2]))

    async def add(self, file: File, *, place: str, cause: str, now_us: int) -> bool:
        """Add a file that is uploading; False where the same call adds it at this moment."""
        facts: Mapping[str, Any] = {name: getattr(file, name) for name in _FACTS}
        statement = insert_into(attachments, self._is_postgres).values(
            **facts, state=UPLOADING, place=place, cause=cause, create_time_us=now_us
        )
        done = await self._connection.execute(statement.on_conflict_do_nothing())
        return bool(done.rowcount)

    async def add_chunk(self, file_id: str, position: int, body: bytes) -> None:
        row = {"file_id": file_id, "position": position, "body": body}
        await self._connection.execute(sa.insert(chunks).values(**row))

    async def complete(self, file: File) -> bool:
        """Let a file that has come be sent; False where it was dropped meanwhile."""
        mine = sa.update(attachments).where(_A.file_id == file.file_id, _A.state == UPLOADING)
        facts = {"sha256": file.sha256, "content_type": file.content_type, "state": READY}
        return bool((await self._connection.execute(mine.values(**facts))).rowcount)

    async def drop(self, file_ids: Collection[str], states: Collection[str]) -> list[str]:
        """Let files in these states be used no more; answer which. Skips those being sent."""
        found = (
            sa.select(_A.file_id)
            .where(_A.file_id.in_(file_ids), _A.state.in_(states))
            .order_by(_A.file_id)
            .with_for_update(skip_locked=True)
        )
        ids = list((await self._connection.execute(found)).scalars())
        if ids:
            which = sa.update(attachments).where(_A.file_id.in_(ids))
            cause = sa.literal("dropped:") + _A.file_id
            await self._connection.execute(which.values(state=DROPPED, cause=cause))
        return ids

    async def forget_chunks(self, file_id: str) -> None:
        await self._connection.execute(sa.delete(chunks).where(_C.file_id == file_id))

    async def forget(self, file_id: str) -> None:
        """Forget a dropped file, whose bytes are gone."""
        gone = sa.delete(attachments).where(_A.file_id == file_id, _A.state == DROPPED)
        await self._connection.execute(gone)


def _stored(row: sa.Row[Any]) -> Stored:
    file = File(**{name: row._mapping[name] for name in _FACTS})
    return Stored(file, row.state, row.place)
