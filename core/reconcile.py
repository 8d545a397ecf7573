"""Asks Razorpay what the webhooks did not tell, through the same commands as the webhooks.

Every escrow with an order is asked about again and again, at growing intervals, from durable rows;
so that lost webhooks, late authorisations, second payments and what was done by hand in Razorpay's
dashboard are found, whatever was missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from core import books
from core.command import RAZORPAY, SETTLEMENT, FailSettlement
from core.errors import Refusal
from core.escrow import FINAL, Escrow, Status
from core.execute import Executor
from core.look import look_at
from core.razorpay import Gateway, GatewayError
from core.rules import outstanding
from core.step import Found, Report, payment_report, refund_report
from core.store import Store

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
DAY_S = 86_400.0
LOOK_EVERY_S = 1.0
# Escrows that one process asks about at once: each is one to six calls.
MAX_AT_ONCE = 4
# While an escrow is being asked about, and how soon again when that fails.
CLAIM_S = 60.0
PAGE = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long after a look the next one is due, in seconds: doubled from the first to the last.

    A payment that is awaited is asked for soon; what rests is looked after now and then. An escrow
    that has ended is forgotten after `forget_s`: Razorpay returns an authorization that nobody
    captured after three to five days (RZP/payments/late-authorisation.md).
    """

    awaited_first_s: float = 5.0
    awaited_last_s: float = 3_600.0
    resting_first_s: float = 600.0
    resting_last_s: float = 6 * 3_600.0
    forget_s: float = 10 * DAY_S

    def next_s(self, escrow: Escrow, attempts: int, now_us: int) -> float | None:
        """Answer when to look again; None for never."""
        age_s = (now_us - escrow.update_time_us) / US_PER_S
        if escrow.status in FINAL and not outstanding(escrow) and age_s > self.forget_s:
            return None
        if escrow.status in (Status.INITIATED, Status.CANCELLED):
            return float(min(self.awaited_first_s * 2 ** min(attempts, 30), self.awaited_last_s))
        return float(min(self.resting_first_s * 2 ** min(attempts, 30), self.resting_last_s))


class Reconciler:
    """Looks after every escrow that has an order, for ever."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        gateway: Gateway,
        *,
        now_us: Callable[[], int],
        schedule: Schedule | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._gateway = gateway
        self._now_us = now_us
        self._schedule = schedule or Schedule()
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self) -> None:
        """Ask about what is due, until cancelled."""
        while True:
            try:
                while await self.look_due():
                    pass
            except Refusal as refusal:
                log.warning("what is to be asked could not be read: %s", refusal)
            except Exception:  # The loop must outlive whatever is wrong with one escrow.
                log.exception("an escrow could not be asked about")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look_due(self) -> int:
        """Ask about the escrows that are due, a page of them; answers how many there were."""
        now_us = self._now_us()
        async with self._store.write() as transaction:
            due = await transaction.due_checks(now_us=now_us, limit=PAGE)
            claimed_us = now_us + round(CLAIM_S * US_PER_S)
            await transaction.check_again(
                [
                    {"escrow_id": escrow_id, "due_us": claimed_us, "attempts": attempts}
                    for escrow_id, attempts in due
                ]
            )
        await asyncio.gather(*(self._look_after(*one) for one in due))
        return len(due)

    async def _look_after(self, escrow_id: str, attempts: int) -> None:
        async with self._slots:
            try:
                await self.look(escrow_id)
            except (GatewayError, Refusal) as error:
                log.info("asking about %s failed: %s", escrow_id, error)
        escrow = await self._store.escrow(escrow_id)
        assert escrow is not None, "only an escrow that exists is asked about"
        now_us = self._now_us()
        wait_s = self._schedule.next_s(escrow, attempts, now_us)
        async with self._store.write() as transaction:
            if wait_s is None:
                return await transaction.check_no_more([escrow_id])
            due_us = now_us + round(wait_s * US_PER_S)
            row = {"escrow_id": escrow_id, "due_us": due_us, "attempts": attempts + 1}
            return await transaction.check_again([row])

    async def since(self, since_us: int, progress: Callable[[int, int], None]) -> tuple[int, int]:
        """Ask about every escrow with an order that changed since a time.

        Calls `progress(asked, changed)` after each page, and answers the same at the end.
        """
        asked = changed = 0
        after_id = ""
        while page := await self._store.started_since(since_us, after_id, PAGE):
            after_id = page[-1]
            changed += sum(await asyncio.gather(*(self._look_slowly(one) for one in page)))
            asked += len(page)
            progress(asked, changed)
        return asked, changed

    async def _look_slowly(self, escrow_id: str) -> bool:
        async with self._slots:
            return await self.look(escrow_id)

    async def look(self, escrow_id: str) -> bool:
        """Ask about one escrow now and apply the news; answers whether anything changed.

        Raises GatewayError and Refusal.
        """
        changed = False
        for order_id in await self._store.orders_of(escrow_id):
            for payment in await self._gateway.payments_of_order(order_id):
                changed |= await self._tell(escrow_id, payment_report(payment))
        before = await self._store.escrow(escrow_id)
        if before is None:
            return changed
        found = await look_at(self._gateway, before)
        for one in found.values():
            for refund in one.refunds:
                if refund.status == "processed":
                    changed |= await self._tell(escrow_id, refund_report(refund, escrow_id))
        return await self._compare(before, found) or changed

    async def _tell(self, escrow_id: str, report: Report) -> bool:
        answer = await self._executor.execute(
            report.command, escrow_id=escrow_id, caller=RAZORPAY, cause=report.cause
        )
        return answer.has_changed

    async def _compare(self, before: Escrow, found: dict[str, Found]) -> bool:
        """Raise attention where Razorpay and an escrow that rests differ."""
        escrow = await self._store.escrow(before.escrow_id)
        if escrow is None or escrow.version != before.version or outstanding(escrow):
            return False
        problems = books.compare(escrow, found)
        if not problems or escrow.attention:
            return False
        sentence = "; ".join(f.message for f in problems)
        log.warning("Razorpay and %s differ: %s", escrow.escrow_id, sentence)
        answer = await self._executor.execute(
            FailSettlement(f"Razorpay and the escrow differ: {sentence}."),
            escrow_id=escrow.escrow_id,
            caller=SETTLEMENT,
            cause=f"reconcile:{escrow.escrow_id}:v{escrow.version}",
        )
        return answer.has_changed
