"""Writes copies of an escrow into a database of its own."""

from __future__ import annotations

import math
import os
import random
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.bench.bulk.mould import Mould, Table, Values
from scripts.bench.bulk.story import BUYER, SELLER

BATCH = 2_000
# Escrows of one buyer, and of one seller.
PER_USER = 50
# The longest pause between two checks of an escrow at rest (core/settlement/reconcile.py).
CHECKS_S = 6 * 3_600
# Nothing of a copy has to survive a crash of the machine.
_FAST = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA cache_size = -3000000",
    "PRAGMA temp_store = MEMORY",
)


@dataclass
class Bulk:
    """A database of copies: where it is, what is in it, and what it took to make."""

    path: Path
    per_user: int
    escrow_ids: list[str] = field(default_factory=list)
    events: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    # What GetBalance must answer.
    balances: dict[tuple[str, str], int] = field(default_factory=dict)

    def buyers(self, count: int) -> list[str]:
        """The buyers of the first so many escrows."""
        return [_user(BUYER, number // self.per_user) for number in range(count)]

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"


def write(
    path: Path,
    count: int,
    *templates: tuple[Path, int],
    per_user: int = PER_USER,
    limit_s: float = math.inf,
) -> Bulk:
    """Write `count` copies of the templates' escrows into a new database at `path`.

    Each template comes with how many of its copies stand in a row before the next one's turn. After
    `limit_s` there are as many copies as there are.
    """
    start = time.monotonic()
    turns = [Mould(template) for template, times in templates for _ in range(times)]
    made = Bulk(path, per_user)
    shutil.copy(templates[0][0], path)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in _FAST:
        connection.execute(pragma).fetchall()
    indexes = _drop_indexes(connection)
    for table in (*turns[0].tables, turns[0].events):
        connection.execute(f"DELETE FROM {table.name}")
    writer = _Writer(connection, turns, made)
    connection.execute("BEGIN")
    ids = _ids(turns[0].escrow_id, count)
    number = 0
    while time.monotonic() < start + limit_s and (batch := list(islice(ids, BATCH))):
        writer.write(number, batch)
        number += len(batch)
    _write_balances(connection, made)
    _spread_checks(connection)
    connection.execute("COMMIT")
    for statement in indexes:
        connection.execute(statement)
    connection.close()
    # Otherwise the first commits of whoever measures would wait for all of it.
    with path.open("rb") as file:
        os.fsync(file.fileno())
    made.megabytes = path.stat().st_size / 1e6
    made.seconds = time.monotonic() - start
    return made


def _spread_checks(connection: sqlite3.Connection) -> None:
    """Have core ask Razorpay about the copies as about escrows of many hours, not all at once."""
    now_us, span_us = time.time_ns() // 1000, CHECKS_S * 1_000_000
    connection.execute("UPDATE checks SET due_us = ? + (rowid * 982451653) % ?", (now_us, span_us))


class _Writer:
    """Renders copies and inserts their rows, a batch at a time."""

    def __init__(self, connection: sqlite3.Connection, turns: list[Mould], made: Bulk) -> None:
        self._connection, self._turns, self._made = connection, turns, made
        self._makers = {id(mould): _makers(mould) for mould in turns}
        self._accounts = {
            id(mould): [(mould.account(name), key, n) for (name, key), n in mould.postings.items()]
            for mould in turns
        }
        self._counts: dict[str, int] = {}

    def write(self, first: int, ids: list[bytes]) -> None:
        rows: dict[str, list[list[Any]]] = {}
        for number, escrow_id in enumerate(ids, start=first):
            mould = self._turns[number % len(self._turns)]
            values = [
                make(number, escrow_id, self._made.per_user) for make in self._makers[id(mould)]
            ]
            rows.setdefault(mould.events.insert, []).extend(mould.copy(values))
            for table in mould.tables:
                if table.rows:
                    rows.setdefault(table.insert, []).extend(table.render(values))
            self._note(mould, escrow_id, values)
        for table in (*self._turns[0].tables, self._turns[0].events):
            self._count(table, rows.get(table.insert, []))
        for insert, found in rows.items():
            self._connection.executemany(insert, found)

    def _note(self, mould: Mould, escrow_id: bytes, values: Values) -> None:
        made = self._made
        made.escrow_ids.append(escrow_id.decode())
        made.events += mould.versions
        for account, currency, amount in self._accounts[id(mould)]:
            key = (str(account(values)), currency)
            made.balances[key] = made.balances.get(key, 0) + amount

    def _count(self, table: Table, rows: list[list[Any]]) -> None:
        """Number the rows of a table that has a column for that."""
        if table.counted is None:
            return
        for row in rows:
            self._counts[table.name] = row[table.counted] = self._counts.get(table.name, 0) + 1


Maker = Callable[[int, bytes, int], bytes]


def _makers(mould: Mould) -> list[Maker]:
    return [_maker(slot, token, mould.escrow_id) for slot, token in enumerate(mould.tokens)]


def _maker(slot: int, token: bytes, template_id: str) -> Maker:
    """Choose what replaces a token in the copy of a number."""
    if token == template_id.encode():
        return lambda _number, escrow_id, _per_user: escrow_id
    if token in (BUYER.encode(), SELLER.encode()):
        head = token[:-9]
        return lambda number, _id, per_user: b"%b%09d" % (head, number // per_user)
    if token.startswith(b"bulk-"):
        head = token[:-9]
        return lambda number, _id, _per_user: b"%b%09d" % (head, number)
    kind, found, rest = token.partition(b"_")
    if found and len(rest) == 14:
        return lambda number, _id, _per_user: b"%b_B%02d%011d" % (kind, slot, number)
    return lambda _number, _id, _per_user: str(uuid.uuid4()).encode()


def _user(name: str, number: int) -> str:
    return f"{name[:-9]}{number:09d}"


def _ids(template_id: str, count: int) -> Iterator[bytes]:
    """Make escrow ids of the template's kind, in ascending order."""
    rng = random.Random(0)
    if uuid.UUID(template_id).version == 7:
        # RFC 9562, section 5.7: the first 48 bits are milliseconds. One for each copy, up to now.
        first_ms = int(time.time() * 1000) - count
        times = (first_ms + number for number in range(count))
        return (_id((ms << 80) | rng.getrandbits(80), 7) for ms in times)
    return iter(sorted(_id(rng.getrandbits(128), 4) for _ in range(count)))


def _id(bits: int, version: int) -> bytes:
    """Write 128 bits as a UUID with its version and variant."""
    text = b"%032x" % bits
    parts = (text[:8], text[8:12], b"%d%b" % (version, text[13:16]))
    return b"%b-%b-%b-a%b-%b" % (*parts, text[17:20], text[20:])


def _drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop the indexes that can be made again; answer the statements that do so."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [sql for _, sql in found]


def _write_balances(connection: sqlite3.Connection, made: Bulk) -> None:
    """Write what the accounts stand at, as the folding of all postings would leave it."""
    connection.execute("DELETE FROM balance_deltas")
    connection.execute("DELETE FROM balances")
    connection.executemany(
        "INSERT INTO balances (account, currency, amount_minor) VALUES (?, ?, ?)",
        [(account, currency, amount) for (account, currency), amount in made.balances.items()],
    )
