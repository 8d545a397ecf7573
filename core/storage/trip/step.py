"""Small transactions as one trip: statements that need no more between them than what was read.

A piece of work is a `Step`, or a generator that yields steps and is sent what each has answered. It
must be pure, for on SQLite all of it runs in the thread of the connection. It runs once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg

from core.storage.database import write_at_once
from core.storage.link import STATEMENT_S, Link, give_up
from core.storage.plan import Plan

Answer = TypeVar("Answer")
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Step(Generic[Answer]):
    """One statement, what is bound to it, and what its rows mean."""

    plan: Plan
    given: Mapping[str, Any]
    read: Callable[[Rows], Answer]

    def __iter__(self) -> Generator[Step[Any], Any, Answer]:
        answer: Answer = yield self
        return answer


Steps = Generator[Step[Any], Any, Answer]
Work = Step[Answer] | Steps[Answer]


def write(plan: Plan, **given: Any) -> Step[None]:
    """Make the step of a statement whose rows say nothing."""
    return Step(plan, given, lambda _: None)


def found(plan: Plan, **given: Any) -> Step[bool]:
    """Make the step of a statement that answers whether there are rows."""
    return Step(plan, given, bool)


def run_on_sqlite(connection: sqlite3.Connection, work: Work[Answer]) -> Answer:
    """Run a transaction; the connection is in no transaction, before and after."""
    with write_at_once(connection):
        return drive_on_sqlite(connection, work)


def drive_on_sqlite(connection: sqlite3.Connection, work: Work[Answer]) -> Answer:
    """Run each step of a transaction that has begun; answers what the work does."""
    steps = iter(work)
    told: Any = None
    while True:
        try:
            step = steps.send(told)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        lite = step.plan.lite
        told = step.read(connection.execute(lite.text, lite.values(step.given)).fetchall())


async def drive(work: Work[Answer], fetch: Callable[[Step[Any]], Awaitable[Rows]]) -> Answer:
    """Run each step of a transaction that `fetch` is in; answers what the work does."""
    steps = iter(work)
    told: Any = None
    while True:
        try:
            step = steps.send(told)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        told = step.read(await fetch(step))


async def run_on_postgres(driver: asyncpg.Connection, link: Link, work: Work[Answer]) -> Answer:
    """Run a transaction; the connection is in no transaction, before and after."""

    async def fetch(step: Step[Any]) -> Rows:
        wire = step.plan.postgres
        with link.within(STATEMENT_S):
            rows: Rows = await driver.fetch(wire.text, *wire.values(step.given))
            return rows

    if isinstance(work, Step):
        # A lone statement is a transaction, and commits, by itself.
        return work.read(await fetch(work))
    try:
        with link.within(STATEMENT_S):
            await driver.execute("BEGIN")
        answer = await drive(work, fetch)
        with link.within(STATEMENT_S):
            await driver.execute("COMMIT")
    except BaseException:
        await give_up(driver, link)
        raise
    return answer
