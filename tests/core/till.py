"""A replica that settles with a Razorpay of its own: store, executor, gateway, settler, sandbox."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import sqlalchemy as sa

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.escrow import Escrow
from core.law.payee import register
from core.razorpay import Gateway
from core.settlement.patience import Patience
from core.settlement.report import payment_report
from core.settlement.settle import Settler
from core.storage import tables as t
from core.storage.row import PayeeRow
from core.storage.trip import owed
from core.storage.trip import payee as payees
from scripts.sandbox import Sandbox
from tests.core.room import Room, Time, open_room
from tests.fakes.visitor import Visitor

ACCOUNT = "acc_12345678901234"
LIMIT_S = 20.0
# Less than a call may take in all, which is less than a lease: no call outlives its lease.
GATEWAY_TIMEOUT_S = 1.5
QUICK = Patience(
    lease_s=2.0,
    call_s=1.6,
    listing_s=1.0,
    pending_first_s=0.01,
    pending_last_s=0.1,
    error_first_s=0.01,
    error_last_s=0.1,
)


class WallTime(Time):
    """The true time."""

    def __call__(self) -> int:
        return time.time_ns() // 1_000


class Till:
    """Drives escrows through their money and looks at what Razorpay has."""

    def __init__(self, room: Room, gateway: Gateway, buyer: Visitor, patience: Patience) -> None:
        self.room = room
        self.gateway = gateway
        self.buyer = buyer
        self.settler = Settler(
            room.store, room.executor, gateway, now_us=room.time, patience=patience
        )

    async def order(self, **changes: Any) -> tuple[str, str]:
        """Create an escrow with its order; answers both ids."""
        escrow_id = await self.room.create(**changes)
        order_id = await self.buyer.order(changes.get("amount_minor", 100_000))
        await self.room.tell(escrow_id, c.RecordOrder(order_id))
        return escrow_id, order_id

    async def pay(self, escrow_id: str, order_id: str, **more: Any) -> str:
        """Pay, and tell what became of it as a webhook would; answers the payment's id."""
        payment_id = await self.buyer.pay(order_id, **more)
        report = payment_report(await self.gateway.fetch_payment(payment_id))
        await self.room.tell(escrow_id, report.command, RAZORPAY, cause=report.cause)
        self.settler.ring()
        return payment_id

    async def paid(self, *, payee: bool = True, **changes: Any) -> str:
        if payee:
            await self.register()
        escrow_id, order_id = await self.order(**changes)
        await self.pay(escrow_id, order_id)
        return escrow_id

    async def register(self, account_id: str = ACCOUNT, seller_id: str = "seller-1") -> None:
        async with self.room.store.write() as transaction:
            now_us = self.room.time()
            await transaction.run(owed.make_due(now_us=now_us, seller_id=seller_id))
            latest = await transaction.run(payees.latest(seller_id))
            after = register(latest, seller_id, account_id, seller_id, now_us, 0)
            if after is not None:
                await transaction.run(payees.add(PayeeRow(after, f"rpc:{now_us}", b"")))
        self.settler.ring()

    async def tell(self, escrow_id: str, command: c.Command, caller: c.Caller) -> None:
        await self.room.tell(escrow_id, command, caller)
        self.settler.ring()

    async def reaches(self, escrow_id: str, *wanted: str) -> Escrow:
        """Wait until the escrow's status, or its attention, has one of these words in it."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                escrow = await self.room.escrow(escrow_id)
                if any(word == escrow.status or word in escrow.attention for word in wanted):
                    return escrow
                await asyncio.sleep(0.01)

    async def rests(self, escrow_id: str) -> Escrow:
        """Wait until nothing is owed for the escrow any more."""
        await self._until(escrow_id, lambda owed: owed is None)
        return await self.room.escrow(escrow_id)

    async def waits(self, escrow_id: str) -> Escrow:
        """Wait until settlement has nothing to do but to wait for somebody else."""
        much_later_us = self.room.time() + 60_000_000
        await self._until(
            escrow_id,
            lambda owed: owed and (owed.due_us is None or owed.due_us > much_later_us),
        )
        return await self.room.escrow(escrow_id)

    async def gives_back(self, escrow_id: str) -> None:
        """Wait until nobody works on the escrow."""
        await self._until(escrow_id, lambda owed: owed is None or owed.lease_id is None)

    async def _until(self, escrow_id: str, holds: Callable[[Any], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds(await self.owed(escrow_id)):  # noqa: ASYNC110 - another's doing
                await asyncio.sleep(0.01)

    async def owed(self, escrow_id: str) -> Any:
        """The row of what is owed, or None."""
        query = sa.select(t.owed).where(t.owed.c.escrow_id == escrow_id)
        rows = await self.room.store._rows(query)
        return rows[0] if rows else None

    async def money(self) -> dict[str, list[tuple[int, bool | str]]]:
        """What has moved at Razorpay: what is left of transfers and their hold; refunds."""
        state = await self.buyer.state()
        return {
            "transfers": [
                (t["amount"] - t["amount_reversed"], t["on_hold"])
                for t in state["transfers"]
                if t["status"] != "failed" and t["amount"] > t["amount_reversed"]
            ],
            "refunds": [(r["amount"], r["status"]) for r in state["refunds"]],
        }


@contextlib.asynccontextmanager
async def open_till(url: str, sandbox: Sandbox, patience: Patience = QUICK) -> AsyncIterator[Till]:
    """Open one replica, its settler running."""
    gateway = Gateway(
        key_id=sandbox.key_id,
        key_secret=sandbox.key_secret,
        base_url=sandbox.base_url,
        timeout_s=GATEWAY_TIMEOUT_S,
    )
    async with open_room(url, WallTime()) as room, Visitor(sandbox) as buyer:
        till = Till(room, gateway, buyer, patience)
        running = asyncio.create_task(till.settler.run())
        try:
            yield till
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await gateway.close()
