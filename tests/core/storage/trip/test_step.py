"""Small transactions: each as few trips as it can be, whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from core.errors import Reason, Refusal
from core.law.payee import register
from core.storage import audit
from core.storage.row import FindingRow, Owed, PayeeRow
from core.storage.trip import inbox, owed, question
from core.storage.trip import payee as payees
from core.storage.trip.step import Step, Steps
from tests.core.room import Room, open_room

US = 1_000_000
WORK = Owed("escrow", 1, 0, 0, "lease", None, None)
# What PostgreSQL is asked where more than one statement is needed: begin and commit come to these.
BEGIN_AND_COMMIT = 2
STEPS: dict[str, Step[Any]] = {
    "lease": owed.lease(lease_id="lease", now_us=US, until_us=2 * US, limit=8),
    "lease one": owed.lease_one("escrow", lease_id="lease", now_us=US, until_us=2 * US),
    "renew": owed.renew(WORK, until_us=US, asked=None, asked_us=None, seen_version=1),
    "give back": owed.give_back(WORK, due_us=None, attempts=1, seen_version=1),
    "drop": owed.drop(WORK, seen_version=1),
    "make an escrow due": owed.make_due(now_us=US, escrow_id="escrow"),
    "make a seller's due": owed.make_due(now_us=US, seller_id="seller-1"),
    "keep a webhook": inbox.keep(event_id="evt_1", body=b"{}", now_us=US),
    "finish a webhook": inbox.finish(event_id="evt_1", outcome="APPLIED"),
    "claim questions": question.claim(now_us=US, until_us=US, limit=8),
    "ask again": question.ask_at("escrow", due_us=US, attempts=1),
}


@pytest.fixture
async def trips(room: Room, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every trip to the database from now on."""
    made: list[str] = []

    def counted(kind: type, name: str) -> None:
        real: Callable[..., Any] = getattr(kind, name)

        async def call(self: Any, what: Any, *more: Any, **named: Any) -> Any:
            made.append(str(what))
            return await real(self, what, *more, **named)

        monkeypatch.setattr(kind, name, call)

    await room.store.probe()  # The connection is open.
    if room.store.is_postgres:
        for name in ("fetch", "execute"):
            counted(asyncpg.Connection, name)
    else:
        counted(aiosqlite.Connection, "_execute")
    return made


def change(account_id: str, cause: str) -> Steps[bool]:
    payee = register(None, "seller-1", account_id, "seller-1", US, 0)
    assert payee is not None
    return payees.add(PayeeRow(payee, cause, b""))


@pytest.mark.parametrize("name", STEPS)
async def test_what_settlement_and_inbox_write_is_one_trip(
    room: Room, trips: list[str], name: str
) -> None:
    await room.store.transact(STEPS[name])
    assert len(trips) == 1


async def test_several_steps_are_one_trip_to_a_thread(room: Room, trips: list[str]) -> None:
    def rest() -> Steps[None]:
        yield from payees.lock("seller-1")
        yield from payees.latest("seller-1")
        yield from owed.give_back(WORK, due_us=None, attempts=1, seen_version=1)

    await room.store.transact(rest())
    assert len(trips) == (3 + BEGIN_AND_COMMIT if room.store.is_postgres else 1)


async def test_hot_reads_are_one_trip(room: Room, trips: list[str]) -> None:
    store = room.store
    for read in (
        store.payee("seller-1"),
        store.owner_of_order("order_1"),
        store.escrow_of_order("order_1"),
        store.orders_of("escrow"),
        store.unpaid_of("buyer-1", limit=1),
        store.unpaid_of("buyer-1", towards="seller-1", limit=1),
        store.overdue(US, 1),
        store.due_payees(US, 1),
        store.waiting_webhooks(US, 1),
    ):
        trips.clear()
        await read
        assert len(trips) == 1


async def test_what_fails_in_the_middle_leaves_nothing_behind(room: Room) -> None:
    def broken(error: Exception) -> Steps[None]:
        yield from inbox.keep(event_id="evt_1", body=b"{}", now_us=1)
        raise error

    for error in (RuntimeError("a crash"), Refusal(Reason.WRONG_STATUS, "The law says no.")):
        with pytest.raises(type(error)):
            await room.store.transact(broken(error))
        assert await room.store.waiting_webhooks(US, 10) == []
    await room.store.transact(inbox.keep(event_id="evt_1", body=b"{}", now_us=1))
    assert await room.store.waiting_webhooks(US, 10) == [("evt_1", b"{}")]


async def test_a_statement_that_is_refused_undoes_those_before_it(room: Room) -> None:
    finding = FindingRow("escrow", "BALANCES", "It is wrong.")

    def twice() -> Steps[None]:
        yield from inbox.keep(event_id="evt_1", body=b"{}", now_us=1)
        yield from audit.replace(["escrow"], [finding])
        yield from audit.replace([], [finding])

    with pytest.raises(IntegrityError):
        await room.store.transact(twice())
    assert await room.store.waiting_webhooks(US, 10) == []
    assert await room.store.audit.count_findings() == 0


async def test_a_payee_is_added_once_for_its_version_and_its_cause(room: Room) -> None:
    assert await room.store.transact(change("acc_1", "rpc:1"))
    assert not await room.store.transact(change("acc_2", "rpc:2"))
    assert not await room.store.transact(change("acc_2", "rpc:1"))
    payee = await room.store.payee("seller-1")
    assert payee is not None
    assert payee.account_id == "acc_1"


async def test_what_goes_to_a_file_that_was_deleted_is_not_acknowledged(sqlite_url: str) -> None:
    async with open_room(sqlite_url) as room:
        await room.store.probe()
        Path(make_url(sqlite_url).database or "").unlink()  # noqa: ASYNC240 - it waits for none
        with pytest.raises(Refusal) as refused:
            await room.store.transact(inbox.keep(event_id="evt_1", body=b"{}", now_us=1))
    assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
    assert "deleted or replaced" in room.store.condition.problem
