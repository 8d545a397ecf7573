"""The rows of one escrow, taken apart into what is the same in every copy and what is not."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from escrow.v1 import escrow_pb2

from scripts.bench.process import Broken

# Ids of ours, of Razorpay's, and what story.py wrote to be replaced.
_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TOKEN = re.compile(
    rb"%s|\b(?:order|pay|trf|rfnd|rvrsl|setl)_[0-9A-Za-z]{14}\b|bulk-[a-z0-9]+-0{9}" % _UUID
)
# The field `hash` of EscrowEvent: its tag, number 12 and bytes, and its length.
_HASH_HEAD = bytes([12 << 3 | 2, 32])

Values = list[bytes]
Cell = Callable[[Values], Any]


class Unfit(Broken):
    """The record is not written as docs/architecture/record-and-ledger.md says."""


class Row:
    """One row: what is the same in every copy, and a cell for each column that is not."""

    def __init__(self, constants: list[Any], cells: dict[int, Cell]) -> None:
        self._constants, self._cells = constants, list(cells.items())

    def render(self, values: Values) -> list[Any]:
        made = self._constants.copy()
        for at, cell in self._cells:
            made[at] = cell(values)
        return made


@dataclass
class Table:
    """How the rows of one table are made. `counted` is a column that must be unique by itself."""

    name: str
    columns: list[str]
    rows: list[Row] = field(default_factory=list)
    counted: int | None = None

    @property
    def insert(self) -> str:
        marks = ",".join("?" * len(self.columns))
        return f"INSERT INTO {self.name} ({','.join(self.columns)}) VALUES ({marks})"

    def render(self, values: Values) -> list[list[Any]]:
        """Make one copy's rows."""
        return [row.render(values) for row in self.rows]


class Mould:
    """What a copy is made of. `tokens` are the texts that each copy replaces by its own."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.row_factory = sqlite3.Row
        names = self._names("SELECT name FROM sqlite_master WHERE type = 'table'")
        rows = {name: self._rows(name) for name in names if "escrow_id" in self._columns(name)}
        (self.escrow_id,) = {str(row["escrow_id"]) for row in rows["escrows"]}
        self.tokens = _tokens(rows.values())
        self._hashes = [_split(row["body"]).hash for row in _in_order(rows["events"])]
        self._slots = [*self.tokens, *self._hashes]
        events = _in_order(rows.pop("events"))
        # Each event's hash must be there before the next one is made.
        self.events = self._table("events", [])
        self._body_at = self.events.columns.index("body")
        self._seals = [self._event(row) for row in events]
        self.tables = [self._table(name, found) for name, found in rows.items()]
        self.postings = self._sums(rows.get("postings", []))
        self._connection.close()

    @property
    def versions(self) -> int:
        """The events of one copy."""
        return len(self._seals)

    def copy(self, values: Values) -> list[list[Any]]:
        """Make the rows of one copy's events, and append their hashes to `values`."""
        made = []
        for before, after, rest in self._seals:
            first, last = before(values), after(values)
            values.append(hashlib.sha256(first + last).digest())
            row = rest.render(values)
            row[self._body_at] = first + _HASH_HEAD + values[-1] + last
            made.append(row)
        return made

    def _event(self, row: sqlite3.Row) -> tuple[Cell, Cell, Row]:
        event = _split(row["body"])
        if hashlib.sha256(event.before + event.after).digest() != event.hash:
            raise Unfit("the hash of an event is not SHA-256 over all its other fields")
        rest = list(row)
        rest[self._body_at] = b""
        return self._always(event.before), self._always(event.after), self._row(rest)

    def _always(self, text: bytes) -> Cell:
        return self._cell(text) or (lambda _values: text)

    def _row(self, values: Sequence[Any]) -> Row:
        cells = {at: self._cell(value) for at, value in enumerate(values)}
        return Row(list(values), {at: cell for at, cell in cells.items() if cell})

    def _table(self, name: str, rows: Sequence[sqlite3.Row]) -> Table:
        columns = self._columns(name)
        made = [self._row(tuple(row)) for row in rows]
        return Table(name, columns, made, self._counted(name, columns))

    def _cell(self, value: Any) -> Cell | None:
        """Make what renders one column; None where it is the same in every copy."""
        if not isinstance(value, str | bytes):
            return None
        text = value.encode() if isinstance(value, str) else value
        slots = sorted(self._slots, key=len, reverse=True)
        pattern = re.compile(b"|".join(map(re.escape, slots)))
        if not pattern.search(text):
            return None
        numbers = [self._slots.index(found) for found in pattern.findall(text)]
        form = b"%b".join(part.replace(b"%", b"%%") for part in pattern.split(text))
        take = itemgetter(*numbers)
        if isinstance(value, str):
            return lambda values: (form % take(values)).decode()
        return lambda values: form % take(values)

    def _counted(self, name: str, columns: list[str]) -> int | None:
        """Find a column of numbers that is unique by itself, such as a global position."""
        for index in self._connection.execute(f"PRAGMA index_list({name})"):
            keys = self._names(f"SELECT name FROM pragma_index_info('{index['name']}')")
            if index["unique"] and len(keys) == 1 and self._is_number(name, keys[0]):
                return columns.index(keys[0])
        keys = self._names(f"SELECT name FROM pragma_table_info('{name}') WHERE pk > 0")
        alone = len(keys) == 1 and self._is_number(name, keys[0])
        return columns.index(keys[0]) if alone else None

    def _is_number(self, table: str, column: str) -> bool:
        query = f"SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}'"
        return "INT" in self._names(query)[0].upper()

    def _sums(self, postings: Sequence[sqlite3.Row]) -> dict[tuple[bytes, str], int]:
        """What one copy adds to each account whose balance is kept."""
        sums: dict[tuple[bytes, str], int] = {}
        for row in postings:
            if not row["account"].startswith("escrow:"):
                key = (row["account"].encode(), row["currency"])
                sums[key] = sums.get(key, 0) + row["amount_minor"]
        return sums

    def account(self, name: bytes) -> Cell:
        """Make the name of an account for each copy."""
        return self._cell(name.decode()) or (lambda _values: name.decode())

    def _rows(self, table: str) -> list[sqlite3.Row]:
        return self._connection.execute(f"SELECT * FROM {table}").fetchall()

    def _columns(self, table: str) -> list[str]:
        return self._names(f"SELECT name FROM pragma_table_info('{table}')")

    def _names(self, query: str) -> list[str]:
        return [str(row[0]) for row in self._connection.execute(query)]


def _tokens(tables: Any) -> list[bytes]:
    seen: dict[bytes, None] = {}
    for rows in tables:
        for row in rows:
            for value in tuple(row):
                if isinstance(value, str | bytes):
                    text = value.encode() if isinstance(value, str) else value
                    seen.update(dict.fromkeys(_TOKEN.findall(text)))
    return list(seen)


def _in_order(events: Sequence[sqlite3.Row]) -> list[sqlite3.Row]:
    return sorted(events, key=lambda row: int(row["version"]))


@dataclass(frozen=True)
class _Sealed:
    """An event's bytes, cut at its hash."""

    before: bytes
    hash: bytes
    after: bytes


def _split(body: bytes) -> _Sealed:
    seal = escrow_pb2.EscrowEvent.FromString(body).hash
    before, found, after = bytes(body).partition(_HASH_HEAD + seal)
    if not found:
        raise Unfit("an event has no hash of 32 bytes")
    return _Sealed(before, seal, after)
