"""One core's inner rooms on a real database: store, executor and feed, wired as the server does."""

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy.pool import QueuePool

from core.errors import Refusal
from core.execute import Answer, Committed, Executor
from core.law import command as c
from core.law.command import RAZORPAY, Caller, Command
from core.law.escrow import Escrow
from core.live.feed import Feed
from core.storage.database import connect
from core.storage.row import ReconRow
from core.storage.store import Store
from tests.core.law.story import BUYER, ORDER_ID, SECOND_US, START_US, create, payment


class Time:
    """A clock that goes on by a microsecond with each look, and by hand."""

    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        self.us += 1
        return self.us

    def pass_s(self, span_s: float) -> None:
        self.us += round(span_s * SECOND_US)


def recon_row(entity_id: str, *, message: str = "", **more: Any) -> ReconRow:
    """A line of a settlement report, explained unless there is a message."""
    fields: dict[str, Any] = {
        "entity_id": entity_id,
        "type": "payment",
        "subject_id": entity_id,
        "debit_minor": 0,
        "credit_minor": 1,
        "amount_minor": 1,
        "fee_minor": 0,
        "tax_minor": 0,
        "currency": "INR",
        "settlement_id": "setl_1",
        "utr": "UTR1",
        "settle_time_us": 1,
        "outcome": "MISSING" if message else "MATCHED",
        "message": message,
        "escrow_id": "",
        "version": None,
    }
    return ReconRow(**fields | more)


class Room:
    """One replica."""

    def __init__(self, store: Store, time: Time) -> None:
        self.store = store
        self.time = time
        self.feed = Feed(store)
        self.batches: list[Sequence[Committed]] = []
        self.executor = Executor(store, now_us=time, published=self._published)
        self._ids = itertools.count()

    def _published(self, committed: Sequence[Committed]) -> None:
        self.batches.append(committed)
        self.feed.publish(committed)

    async def tell(
        self,
        escrow_id: str,
        command: Command,
        caller: Caller = BUYER,
        *,
        cause: str = "",
        fingerprint: bytes = b"",
    ) -> Answer:
        return await self.executor.execute(
            command,
            escrow_id=escrow_id,
            caller=caller,
            cause=cause or f"once:{uuid.uuid4()}",
            fingerprint=fingerprint,
        )

    async def create(self, *, caller: Caller = BUYER, **changes: Any) -> str:
        """Create an escrow and answer its id."""
        escrow_id = str(uuid.uuid4())
        await self.tell(escrow_id, create(escrow_id=escrow_id, **changes), caller)
        return escrow_id

    async def paid(self, *, caller: Caller = BUYER, **changes: Any) -> str:
        """Create an escrow that is HELD, of an order and a payment of its own."""
        escrow_id = await self.create(caller=caller, **changes)
        number = escrow_id[:8]
        await self.tell(escrow_id, c.RecordOrder(f"{ORDER_ID}{number}"), caller)
        amount = changes.get("amount_minor", 100_000)
        report = payment(
            payment_id=f"pay_{number}", order_id=f"{ORDER_ID}{number}", amount_minor=amount
        )
        await self.tell(escrow_id, report, RAZORPAY)
        return escrow_id

    async def place(self) -> None:
        """Let the events that are committed have their positions, as a core does at once."""
        while self.store.is_postgres and await self.store.positions.give():
            pass

    async def escrow(self, escrow_id: str) -> Escrow:
        escrow = await self.store.escrow(escrow_id)
        assert escrow is not None
        return escrow


@contextlib.asynccontextmanager
async def open_room(url: str, time: Time | None = None) -> AsyncIterator[Room]:
    """Open one replica on a database that has its schema."""
    engine = connect(url)
    room = Room(Store(engine), time or Time())
    running = asyncio.create_task(room.executor.run())
    has_passed = False
    try:
        yield room
        has_passed = True
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, Refusal):
            await running
        await room.feed.close()
        assert isinstance(engine.pool, QueuePool)
        for lane in engine.lanes:  # A trip outlives its callers; a connection must not.
            await lane.arrive()
        left_open = engine.pool.checkedout()
        await engine.dispose()
        # Where the test has failed, its own error is the one to show.
        assert left_open == 0 or not has_passed, "something still reads or writes after the test"
