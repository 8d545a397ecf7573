"""Kept balances: exact at every moment, whoever commits, folds or crashes meanwhile."""

import asyncio
import random
from collections.abc import Mapping

import pytest
import sqlalchemy as sa

from core.books.fold import Folder, recount
from core.law import command as c
from core.law.ledger import BALANCE, PLATFORM_FEES
from core.storage import tables as t
from tests.core.law.story import ADMIN, AMOUNT, FEE
from tests.core.room import Room

# What Razorpay leaves of a payment of the tests.
NET = 97_640
PAYMENTS = 12


async def execute(room: Room, statement: sa.Executable) -> None:
    async with room.store._engine.begin() as connection:
        await connection.execute(statement)


async def unfolded(room: Room) -> int:
    rows = await room.store._rows(sa.select(sa.func.count()).select_from(t.balance_deltas))
    return int(rows[0][0])


async def balance(room: Room, account: str) -> Mapping[str, int]:
    return dict(await room.store.ledger.balance(account))


async def released(room: Room) -> str:
    escrow_id = await room.paid()
    await room.tell(escrow_id, c.ReleaseEscrow(), ADMIN)
    return escrow_id


async def test_a_balance_is_the_same_before_while_and_after_it_is_folded(room: Room) -> None:
    for _ in range(3):
        await released(room)
    wanted = {BALANCE: 3 * NET, PLATFORM_FEES: -3 * FEE, "payee:seller-1": -3 * (AMOUNT - FEE)}
    for limit in (0, 2, 1_000):
        async with room.store.write() as transaction:
            await transaction.fold(limit)
        for account, amount in wanted.items():
            assert await balance(room, account) == {"INR": amount}
        assert await room.store.ledger.drifts(10) == []
    assert await unfolded(room) == 0


async def test_each_currency_of_an_account_has_its_balance(room: Room) -> None:
    escrow_id = await room.paid()
    order_id = (await room.escrow(escrow_id)).payment.order_id
    surplus = c.ReportPayment(
        "pay_2", order_id, "captured", 7_000, "USD", gateway_fee_minor=0, gateway_tax_minor=0
    )
    await room.tell(escrow_id, surplus, c.RAZORPAY)
    assert await balance(room, BALANCE) == {"INR": NET, "USD": 7_000}
    await Folder(room.store).fold()
    assert await balance(room, BALANCE) == {"INR": NET, "USD": 7_000}


async def test_an_account_that_nothing_was_posted_to_has_no_balance(room: Room) -> None:
    await room.paid()
    assert await balance(room, "razorpay:nothing") == {}


async def test_a_kept_balance_does_not_read_the_postings(room: Room) -> None:
    await room.paid()
    await Folder(room.store).fold()
    await room.paid()
    await execute(room, sa.delete(t.postings))
    assert await balance(room, BALANCE) == {"INR": 2 * NET}


async def test_the_account_of_an_escrow_is_summed(room: Room) -> None:
    escrow_id = await room.paid()
    await Folder(room.store).fold()
    assert await balance(room, f"escrow:{escrow_id}") == {"INR": -AMOUNT}
    kept = await room.store._rows(sa.select(t.balances.c.account))
    assert f"escrow:{escrow_id}" not in {row.account for row in kept}


async def test_a_crash_while_folding_loses_nothing_and_counts_nothing_twice(room: Room) -> None:
    async def crash() -> None:
        async with room.store.write() as transaction:
            assert await transaction.fold(10)
            raise ZeroDivisionError

    await room.paid()
    with pytest.raises(ZeroDivisionError):
        await crash()
    assert await balance(room, BALANCE) == {"INR": NET}
    await Folder(room.store).fold()
    assert await balance(room, BALANCE) == {"INR": NET}


async def test_a_command_that_is_refused_or_repeated_changes_no_balance(room: Room) -> None:
    escrow_id = await room.paid()
    before = await unfolded(room)
    await room.tell(escrow_id, c.ReleaseEscrow(), ADMIN, cause="rpc:1")
    once = await unfolded(room)
    await room.tell(escrow_id, c.ReleaseEscrow(), ADMIN, cause="rpc:1")
    assert await unfolded(room) == once > before


async def test_two_replicas_that_commit_and_fold_at_once_keep_exact_balances(
    two_rooms: tuple[Room, Room],
) -> None:
    one, other = two_rooms
    choose = random.Random(7)
    seen: list[int] = []
    is_done = asyncio.Event()

    async def look() -> None:
        while not is_done.is_set():
            seen.append((await balance(other, BALANCE)).get("INR", 0))
            assert await one.store.ledger.drifts(10) == []

    async def fold(room: Room) -> None:
        while not is_done.is_set():
            await Folder(room.store).fold(choose.randint(1, 5))
            await asyncio.sleep(0)

    async def commit(room: Room) -> None:
        for _ in range(PAYMENTS):
            await released(room)

    others = [asyncio.create_task(x) for x in (look(), fold(one), fold(other))]
    try:
        await asyncio.gather(*(commit(room) for room in two_rooms))
    finally:
        is_done.set()
        await asyncio.gather(*others)
    assert seen == sorted(seen)
    assert all(amount % NET == 0 for amount in seen)
    assert await balance(one, BALANCE) == {"INR": 2 * PAYMENTS * NET}
    await Folder(one.store).fold()
    assert await unfolded(one) == 0
    assert await balance(one, PLATFORM_FEES) == {"INR": -2 * PAYMENTS * FEE}


async def test_a_balance_that_is_not_the_sum_of_its_postings_is_named(room: Room) -> None:
    await room.paid()
    await Folder(room.store).fold()
    row = t.balances.c
    more = sa.update(t.balances).where(row.account == BALANCE)
    await execute(room, more.values(amount_minor=row.amount_minor + 1))
    (drift,) = await room.store.ledger.drifts(10)
    assert (drift.account, drift.kept_minor, drift.posted_minor) == (BALANCE, NET + 1, NET)
    await execute(room, sa.delete(t.balances).where(row.account == BALANCE))
    (drift,) = await room.store.ledger.drifts(10)
    assert (drift.kept_minor, drift.posted_minor) == (0, NET)


async def test_a_recount_corrects_what_is_wrong_while_commands_go_on(room: Room) -> None:
    await room.paid()
    await Folder(room.store).fold()
    row = t.balances.c
    more = sa.update(t.balances).where(row.account == BALANCE)
    await execute(room, more.values(amount_minor=row.amount_minor + 5))
    await execute(room, sa.delete(t.balances).where(row.account != BALANCE))
    correcting = asyncio.create_task(recount(room.store))
    await asyncio.gather(*(released(room) for _ in range(5)))
    wrong = await correcting
    assert {drift.account for drift in wrong} >= {BALANCE, "razorpay:fees", "razorpay:tax"}
    assert await room.store.ledger.drifts(10) == []
    assert await balance(room, BALANCE) == {"INR": 6 * NET}
    assert await recount(room.store) == []
