"""Small transactions that wait for SQLite's one writer: all that wait then are one commit.

Each is still done whole or not at all. A lone one goes at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.storage.database import as_sqlalchemy, write_at_once
from core.storage.trip.step import Answer, Work, drive_on_sqlite, run_on_sqlite

# Small transactions in one commit.
MAX_TOGETHER = 100

Waiting = tuple[Work[Any], asyncio.Future[Any]]
# What a piece of work came to: its answer, or what it raised.
Outcome = tuple[Any, Exception | None]
InThread = Callable[[Callable[[sqlite3.Connection], list[Outcome]]], Awaitable[list[Outcome]]]


class Together:
    """Those that wait for the writer. Its methods are called by one task at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()

    def add(self, work: Work[Answer]) -> asyncio.Future[Answer]:
        """Have it done by whoever becomes the writer next."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, answer))
        return answer

    async def run(self, in_thread: InThread) -> None:
        """Do what waits, and answer it. Must not be broken off. Called by the writer."""
        taken: list[Waiting] = []
        while self._waiting and len(taken) < MAX_TOGETHER:
            work, answer = self._waiting.popleft()
            if not answer.done():  # Who asked for it may have been cancelled.
                taken.append((work, answer))
        works = [work for work, _ in taken]
        try:
            outcomes = await in_thread(lambda connection: run_together(connection, works))
        except Exception as failure:
            outcomes = [(None, failure)] * len(taken)
        for (_, answer), (told, error) in zip(taken, outcomes, strict=True):
            if answer.done():
                continue
            if error is None:
                answer.set_result(told)
            else:
                answer.set_exception(as_sqlalchemy(error))


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
        return None, error
    connection.execute("RELEASE one")
    return answer, None
