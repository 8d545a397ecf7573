"""What an operator has core do once, by the command line; each may run beside serving cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date

from core.books import fold
from core.books.recon import DayResult
from core.clock import wall_us
from core.config import Settings
from core.heartbeat import stop
from core.rooms import opened
from core.settlement.reconcile import Reconciled
from core.storage.row import Drift


async def reconcile(
    settings: Settings, since_us: int, progress: Callable[[int, int], None]
) -> Reconciled:
    """Ask Razorpay about all that changed since a time.

    Calls `progress` with how many were asked about, and how many changed, as it goes on.
    """
    async with opened(settings) as rooms:
        running = asyncio.create_task(rooms.executor.run())
        try:
            return await rooms.reconciler.since(since_us, progress)
        finally:
            await rooms.executor.close()
            await stop([running])


async def books(
    settings: Settings, days: Sequence[date], progress: Callable[[str], None]
) -> list[DayResult]:
    """Hold Razorpay's settlement reports of some days against the books, as core does by itself.

    Raises Refusal, with the days before done.
    """
    async with opened(settings) as rooms:
        return [await rooms.recon.look(day, progress) for day in days]


async def recount(settings: Settings) -> list[Drift]:
    """Correct kept balances from the postings."""
    async with opened(settings) as rooms:
        return await fold.recount(rooms.store)


async def confirm_time(settings: Settings) -> None:
    """Write down that this machine's clock is right; every core whose clock agrees believes it."""
    async with opened(settings) as rooms, rooms.store.write() as transaction:
        await transaction.confirm_time(wall_us())
