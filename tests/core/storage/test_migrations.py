"""The schema's history ends where the tables say, on both databases."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage import migrations
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.store import Store
from core.storage.tables import metadata
from tests.core.room import open_room

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
Empty = Callable[[str], Awaitable[str]]


def differences(connection: sa.Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("kind", BOTH)
async def test_migrations_and_tables_agree(kind: str, empty_database_url: Empty) -> None:
    engine = connect(await empty_database_url(kind))
    await upgrade(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize("kind", BOTH)
async def test_upgrading_twice_changes_nothing(kind: str, empty_database_url: Empty) -> None:
    url = await empty_database_url(kind)
    engine = connect(url)
    await upgrade(engine)
    async with open_room(url) as room:
        escrow_id = await room.create()
        await upgrade(engine)
        assert (await room.escrow(escrow_id)).version == 1
    await engine.dispose()


@pytest.mark.parametrize("kind", BOTH)
async def test_every_step_of_the_history_can_be_taken_alone(
    kind: str, empty_database_url: Empty
) -> None:
    script = ScriptDirectory(str(migrations.__path__[0]))
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions
    engine = connect(await empty_database_url(kind))
    for revision in revisions:
        await upgrade(engine, revision)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.postgres
async def test_replicas_that_start_at_once_migrate_once(empty_database_url: Empty) -> None:
    url = await empty_database_url("postgres")
    engines = [connect(url) for _ in range(4)]
    await asyncio.gather(*(upgrade(engine) for engine in engines))
    async with engines[0].connect() as connection:
        assert await connection.run_sync(differences) == []
    for engine in engines:
        await engine.dispose()


_ID = "0a1b2c3d-0000-4000-8000-00000000000"


def _old_escrow(number: int, payment_id: str) -> dict[str, Any]:
    return {
        "escrow_id": f"{_ID}{number}",
        "version": 4,
        "status": "HELD",
        "buyer_id": "buyer-1",
        "seller_id": "seller-1",
        "arbiter_id": "",
        "create_time_us": 1,
        "update_time_us": 1,
        "last_hash": b"",
        "body": f'{{"payment": {{"payment_id": "{payment_id}"}}}}',
    }


# What an older version has left: by escrow the payment, and by event its cause and postings.
OLD = {
    1: (
        "pay_1",
        [
            ("PAYMENT_CAPTURED", "razorpay:pay_1:captured", [("razorpay:balance", 900)]),
            ("FUNDS_HELD", "razorpay:trf_1:held", [("razorpay:on_hold", 800)]),
            ("ATTENTION_RAISED", "razorpay:pay_9:captured", [("razorpay:balance", 50)]),
            ("SETTLEMENT_STARTED", "rpc:5:buyer:r1", [("platform:fees", -100)]),
            (
                "PAYMENT_REFUNDED",
                "razorpay:rfnd_1:processed",
                [
                    ("razorpay:balance", 800),
                    ("razorpay:on_hold", -800),
                    ("refunds:in_flight", 900),
                    ("razorpay:balance", -900),
                ],
            ),
        ],
    ),
    2: (
        "pay_2",
        [
            ("PAYMENT_CAPTURED", "rpc:5:buyer:r2", [("razorpay:balance", 400)]),
            ("PAYMENT_REFUNDED", "settle:rfnd_2:processed", [("razorpay:balance", -400)]),
        ],
    ),
}


async def _leave_old(connection: AsyncConnection) -> None:
    old = sa.MetaData()
    await connection.run_sync(lambda c: old.reflect(c, only=["escrows", "events", "postings"]))
    for number, (payment_id, events) in OLD.items():
        row = _old_escrow(number, payment_id)
        await connection.execute(sa.insert(old.tables["escrows"]).values(row))
        for version, (kind, cause, lines) in enumerate(events, start=1):
            key = {"escrow_id": row["escrow_id"], "version": version, "create_time_us": 1}
            await connection.execute(
                sa.insert(old.tables["events"]).values(
                    key | {"cause": cause, "type": kind, "fingerprint": b"", "body": b""}
                )
            )
            for position, (account, amount) in enumerate(lines):
                await connection.execute(
                    sa.insert(old.tables["postings"]).values(
                        key
                        | {"position": position, "account": account, "amount_minor": amount}
                        | {"currency": "INR"}
                    )
                )


@pytest.mark.parametrize("kind", BOTH)
async def test_balances_and_names_of_an_older_ledger_are_worked_out(
    kind: str,
    empty_database_url: Empty,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    engine = connect(await empty_database_url(kind))
    await upgrade(engine, "0006")
    async with engine.begin() as connection:
        await _leave_old(connection)
    monkeypatch.setattr(migrations, "SLICE", 1)
    await upgrade(engine)
    ledger = Store(engine).ledger
    assert await ledger.balance("razorpay:balance") == [("INR", 850)]
    assert await ledger.balance("platform:fees") == [("INR", -100)]
    assert await ledger.drifts(10) == []
    rows = await ledger.entries(escrow_id="", account="razorpay:balance", after=None, limit=20)
    assert sorted((row.entity_id, row.amount_minor) for row in rows) == [
        ("", 800),
        ("pay_1", 900),
        ("pay_2", 400),
        ("pay_9", 50),
        ("rfnd_1", -900),
        ("rfnd_2", -400),
    ]
    rows = await ledger.entries(escrow_id="", account="razorpay:on_hold", after=None, limit=20)
    assert sorted((row.entity_id, row.amount_minor) for row in rows) == [("", -800), ("trf_1", 800)]
    told = [r.getMessage() for r in caplog.records if r.name == migrations.__name__]
    assert told == [
        *(f"balances: the postings of {n} escrows are summed" for n in (1, 2)),
        *(f"lists: {n} of 10 indexes of the escrows are made" for n in range(1, 11)),
        "positions: the events are put in order",
        *(
            f"lists: the row of escrow {_old_escrow(n, '')['escrow_id']} cannot be read"
            for n in OLD
        ),
        "lists: 2 escrows are read",
    ]
    await engine.dispose()
