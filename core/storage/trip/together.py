"""Small transactions that wait for SQLite's one writer: all that wait then are one commit.

Each is still done whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from core.storage.database import as_sqlalchemy, write_at_once
from core.storage.lane import Outcome
from core.storage.trip.step import Work, drive_on_sqlite, run_on_sqlite


def run_together(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Outcome]:
    """Run each as a part of one transaction; raises only where none of them is done.

    The connection is in no transaction, before and after.
    """
    if len(works) == 1:
        return [(run_on_sqlite(connection, works[0]), None)]
    with write_at_once(connection):
        return [_apart(connection, work) for work in works]


def _apart(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """Run one so that its failure leaves nothing behind, and the others alone."""
    connection.execute("SAVEPOINT one")
    try:
        answer = drive_on_sqlite(connection, work)
    except Exception as error:
        if not connection.in_transaction:  # SQLite has rolled back all of it, as on a full disk.
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, as_sqlalchemy(error)
    connection.execute("RELEASE one")
    return answer, None
