"""Measures ListEscrows on a large database: `python -m scripts.lists [--escrows N] [--on NAME]`.

It writes a million escrows, of which one user has every tenth as buyer, seller or arbiter, into a
new SQLite file and a PostgreSQL of its own, and asks for a page of 50 by every filter and order. It
prints a line for each question: milliseconds of the first page with nothing of the database in
memory, of the second page right after, and of the first page again. The call itself, about 2 ms,
is left out.

The rows are copies of one escrow with other columns: nothing but lists can be asked of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from escrow.v1 import escrow_service_pb2 as rpc
from google.protobuf import json_format

from core.law import command as c
from core.law.command import Caller
from core.law.message import escrow_message
from core.law.record import dump_row
from core.law.rules import decide
from core.service import listing
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.store import Store
from scripts.bench.postgres import Postgres

ESCROWS = 1_000_000
PAGE = 50
ROUNDS = 5
# A minute between one escrow and the next: a million are nearly two years.
STEP_US = 60_000_000
END_US = 1_760_000_000_000_000
MANY, ADMIN = Caller("many"), Caller("admin", frozenset({"admin"}))
# Figures above this are marked.
SLOW_MS = 100.0

_HASH = "(n.i * 2654435761 / 65536 % 1000)"
_STATUS = f"""CASE WHEN {_HASH} < 150 THEN 'HELD' WHEN {_HASH} < 180 THEN 'INITIATED'
    WHEN {_HASH} < 183 THEN 'DISPUTED' WHEN {_HASH} < 185 THEN 'SETTLING'
    WHEN {_HASH} < 950 THEN 'RELEASED' ELSE 'CANCELLED' END"""
# Every tenth is the large user's, in each role in turn. The very first has a word of its own.
_ROWS = f"""
INSERT INTO escrows (escrow_id, version, status, buyer_id, seller_id, arbiter_id, create_time_us,
    update_time_us, last_hash, body, created_by, attention_code, external_id, amount_minor,
    held_minor, needs_buyer, needs_seller, needs_arbiter, words)
WITH RECURSIVE n(i) AS (
    SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {{count}}
),
mixed AS (
    SELECT n.i AS i, {_STATUS} AS status, {_HASH} AS mix,
        CASE WHEN n.i % 30 = 0 THEN 'many'
            ELSE 'buyer-' || CAST(n.i % 45007 AS TEXT) END AS buyer_id,
        CASE WHEN n.i % 30 = 10 THEN 'many' WHEN n.i % 30 = 0 AND n.i % 7 = 0 THEN 'shop'
            ELSE 'seller-' || CAST(n.i % 9001 AS TEXT) END AS seller_id,
        CASE WHEN n.i % 30 = 20 THEN 'many' WHEN n.i % 3 = 0 THEN 'judge' ELSE '' END AS arbiter_id
    FROM n
)
SELECT '00000000-0000-7000-8000-' || CAST(100000000000 + i AS TEXT), 3, status, buyer_id, seller_id,
    arbiter_id, {END_US} - ({{count}} - i) * {STEP_US},
    {END_US} - ({{count}} - i) * {STEP_US} + (i % 1000) * {STEP_US}, {{hash}}, '{{body}}', buyer_id,
    CASE WHEN i % 500 <> 0 THEN '' WHEN i % 2000 = 0 THEN 'GATEWAY_REFUSED'
        ELSE 'PAYEE_MISSING' END,
    'ext-' || CAST(i AS TEXT), 10000 + i * 7919 % 5000000,
    CASE WHEN status IN ('HELD', 'DISPUTED', 'SETTLING') THEN 10000 + i * 7919 % 5000000 ELSE 0 END,
    CASE WHEN status = 'INITIATED' OR (status = 'HELD' AND mix % 2 = 0) THEN 1 ELSE 0 END,
    CASE WHEN status = 'HELD' AND mix % 5 = 0 THEN 1 ELSE 0 END,
    CASE WHEN status = 'DISPUTED' AND arbiter_id > '' THEN 1 ELSE 0 END,
    CASE WHEN i <= 30 THEN 'harmonium' WHEN i % 3 = 0 THEN 'oak table, oiled'
        ELSE 'bicycle, second hand, blue' END
        || ' ' || buyer_id || ' ' || seller_id || ' ' || arbiter_id || ' ext-' || CAST(i AS TEXT)
FROM mixed
"""

Fields = dict[str, Any]


def _filters() -> dict[str, Fields]:
    """What a list may be asked for, one by one and together."""
    return {
        "no filter": {},
        "status HELD": {"status": "ESCROW_STATUS_HELD"},
        "status DISPUTED": {"status": "ESCROW_STATUS_DISPUTED"},
        "status SPLIT, none": {"status": "ESCROW_STATUS_SPLIT"},
        "role buyer": {"role": "ESCROW_ROLE_BUYER"},
        "role arbiter, HELD": {"role": "ESCROW_ROLE_ARBITER", "status": "ESCROW_STATUS_HELD"},
        "waits for me": {"needs_me": True},
        "needs a person": {"attention": True},
        "one reason": {"attention_code": "ATTENTION_CODE_GATEWAY_REFUSED"},
        "with one other": {"party": "shop"},
        "with one other, HELD": {"party": "shop", "status": "ESCROW_STATUS_HELD"},
        "created in one old month": {
            "create_time_from": "2024-02-01T00:00:00Z",
            "create_time_to": "2024-03-01T00:00:00Z",
        },
        "changed in the last days": {"update_time_from": "2025-10-06T00:00:00Z"},
        "changed in one old month": {
            "update_time_from": "2024-02-01T00:00:00Z",
            "update_time_to": "2024-03-01T00:00:00Z",
        },
        "a common word": {"query": "oak"},
        "a word of the oldest alone": {"query": "harmonium"},
        "a word of none": {"query": "xylophone"},
        "three words of none, HELD": {"query": "oak blue xyl", "status": "ESCROW_STATUS_HELD"},
        "a person": {"query": "buyer-30"},
        "an amount": {"query": "12,345"},
        "an escrow's id": {"query": "00000000-0000-7000-8000-100000300030"},
        "a caller's own id": {"query": "ext-300030"},
    }


ORDERS = ("NEWEST", "OLDEST", "NEEDS_ME")


@dataclass(frozen=True)
class Question:
    """One kind of list, in the name of a user."""

    name: str
    who: Caller
    fields: Fields

    def request(self, token: str = "") -> rpc.ListEscrowsRequest:
        request = rpc.ListEscrowsRequest(page_size=PAGE, page_token=token)
        return json_format.ParseDict(self.fields, request)


TOTALS = Question("many, totals", MANY, {"with_totals": True})


def questions() -> list[Question]:
    """Every filter in every order, by the large user and by one who sees all."""
    made = []
    for who in (MANY, ADMIN):
        for name, fields in _filters().items():
            for order in ORDERS:
                if order == "NEEDS_ME" and (who.sees_all or fields.get("needs_me")):
                    continue
                if who.sees_all and ("role" in fields or "needs_me" in fields):
                    continue
                asked = {**fields, "order_by": f"ESCROW_ORDER_{order}"}
                made.append(Question(f"{who.user_id}, {name}, {order.lower()}", who, asked))
    return [*made, TOTALS]


async def ask(store: Store, question: Question, token: str = "") -> tuple[float, str, int]:
    """Answer a page; milliseconds, the next token and how many escrows it has."""
    start = time.perf_counter()
    asked = listing.read(question.request(token), question.who)
    page = await listing.answer(store, asked)
    answer = rpc.ListEscrowsResponse(
        escrows=[escrow_message(one) for one in page.escrows],
        next_page_token=page.token,
        totals=await listing.totals(store, asked),
    )
    answer.SerializeToString()
    return (time.perf_counter() - start) * 1_000, page.token, len(page.escrows)


async def whole_search(store: Store, question: Question) -> tuple[float, int]:
    """Follow the tokens to the end; seconds, and calls."""
    spent, token, calls = 0.0, "", 0
    while True:
        taken, token, _ = await ask(store, question, token)
        spent, calls = spent + taken, calls + 1
        if not token:
            return spent / 1_000, calls


class Lite:
    """A SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lists.db"
        self.url = f"sqlite+aiosqlite:///{self._path}"

    def forget(self) -> None:
        """Have the system keep nothing of the file in memory."""
        for path in self._path.parent.glob("lists.db*"):
            _forget(path)

    async def write(self, rows: str, **values: Any) -> None:
        """Write with the indexes made anew afterwards, which is far quicker."""
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        found = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'escrows' AND type = 'index'"
        indexes = connection.execute(f"{found} AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(rows.format(hash="zeroblob(32)", **values))
        for _, made in indexes:
            connection.execute(made)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def close(self) -> None:
        pass


class Server:
    """A PostgreSQL that is stopped and started, so that it keeps nothing in memory."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgres"
        self._server = Postgres(self._data)
        self.url = self._server.url()

    async def write(self, rows: str, **values: Any) -> None:
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        found = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'escrows'"
        indexes = await connection.fetch(f"{found} AND indexname NOT LIKE '%pkey'")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['indexname']}")
        zeros = "decode(repeat('00', 32), 'hex')"
        await connection.execute(rows.format(hash=zeros, **values))
        for index in indexes:
            await connection.execute(index["indexdef"])
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        await connection.close()

    def forget(self) -> None:
        self._server._server.stop()
        for path in self._data.rglob("*"):
            if path.is_file():
                _forget(path)
        self._server._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.close()


def _forget(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def fill(place: Lite | Server, count: int) -> None:
    engine = connect(place.url)
    await upgrade(engine)
    await engine.dispose()
    create = c.CreateEscrow(
        escrow_id="00000000-0000-7000-8000-000000000000",
        buyer_id="buyer",
        seller_id="seller",
        arbiter_id="judge",
        title="A bicycle, second hand, blue",
        description="As seen on Saturday, with lamps and a seat for a child.",
        amount_minor=250_000,
        currency="INR",
        fee_bps=250,
        payment_window_us=3_600_000_000,
        inspection_period_us=0,
    )
    event = decide(None, create, Caller("buyer"), END_US)
    assert event is not None
    await place.write(_ROWS, count=count, body=dump_row(event.escrow))


async def measure(name: str, place: Lite | Server) -> None:
    for question in questions():
        place.forget()
        engine = connect(place.url)
        store = Store(engine)
        cold, token, found = await ask(store, question)
        second = (await ask(store, question, token))[0] if token else None
        again = median([(await ask(store, question))[0] for _ in range(ROUNDS)])
        await engine.dispose()
        figures = [cold, again, *([second] if second is not None else [])]
        mark = " SLOW" if max(figures) > SLOW_MS else ""
        said = "    -" if second is None else f"{second:5.1f}"
        print(
            f"{name:8} {question.name:50} cold {cold:6.1f} second {said} again {again:5.1f} ms,"
            f" {found} found{mark}",
            flush=True,
        )
    engine = connect(place.url)
    for who in (MANY, ADMIN):
        spent, calls = await whole_search(
            Store(engine), Question("", who, {"query": "xylophone", "page_size": PAGE})
        )
        print(f"{name:8} {who.user_id}, a word of none to the end: {spent:.1f} s, {calls} calls")
    await engine.dispose()


@contextmanager
def places(names: list[str]) -> Iterator[dict[str, Callable[[], Lite | Server]]]:
    with tempfile.TemporaryDirectory(prefix="holdfast-lists-") as folder:
        opened: list[Lite | Server] = []

        def keep(place: Lite | Server) -> Lite | Server:
            opened.append(place)
            return place

        kinds: dict[str, Callable[[], Lite | Server]] = {
            "sqlite": lambda: keep(Lite(Path(folder))),
            "postgres": lambda: keep(Server(Path(folder))),
        }
        try:
            yield {name: kinds[name] for name in names}
        finally:
            for place in opened:
                place.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.lists", description=__doc__)
    parser.add_argument("--escrows", type=int, default=ESCROWS)
    parser.add_argument("--on", nargs="+", default=["sqlite", "postgres"])
    given = parser.parse_args(arguments)
    with places(given.on) as wanted:
        for name, make in wanted.items():
            place = make()
            start = time.monotonic()
            asyncio.run(fill(place, given.escrows))
            print(f"{name}: written in {time.monotonic() - start:.0f} s", file=sys.stderr)
            gc.collect()
            asyncio.run(measure(name, place))
    return 0


if __name__ == "__main__":
    sys.exit(main())
