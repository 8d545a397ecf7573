"""A month of business in the sandbox, whose clock goes on from day to day."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from core.books.recon import INDIA
from core.law import command as c
from core.law.command import RAZORPAY
from core.razorpay import parse_dispute
from core.settlement.report import dispute_report, payment_report
from tests.core.law.story import ADMIN, ARBITER, BUYER, SELLER
from tests.core.till import Till

DAYS = 30
DEALS_A_DAY = 2
AMOUNTS = (40_000, 100_000, 250_050, 1_234_567)


class Calendar:
    """The sandbox's clock: noon in India, on a day that is set by hand."""

    def __init__(self, today: date) -> None:
        self.today = today

    def __call__(self) -> int:
        return int(datetime.combine(self.today, time(12), INDIA).timestamp())


class Month:
    """The business, the days that it was done on, and what is held from one day to another."""

    def __init__(self, till: Till, calendar: Calendar, seed: int) -> None:
        self.till = till
        self.days = [calendar.today + timedelta(days=number) for number in range(DAYS)]
        self.done: Counter[str] = Counter()
        self._calendar = calendar
        self._choose = random.Random(seed)
        self._held: list[str] = []

    async def do_business(self) -> None:
        """Do every kind of deal some times over; Razorpay pays to the bank each evening."""
        await self.till.register()
        deals = [*DEALS] * (DAYS * DEALS_A_DAY // len(DEALS) + 1)
        self._choose.shuffle(deals)
        for day in self.days:
            self._calendar.today = day
            today = [deals.pop() for _ in range(DEALS_A_DAY)]
            await asyncio.gather(*(self._do(deal) for deal in today), self._go_on())
            status, told = await self.till.buyer.door("POST", "/settle", {})
            assert status == 200, told
            self.done["settlements"] += told["settlement"] is not None

    async def _do(self, deal: "Deal") -> None:
        await deal(self, self._choose.choice(AMOUNTS))
        self.done[deal.__name__] += 1

    async def _go_on(self) -> None:
        """Let something become of what is held since an earlier day."""
        if len(self._held) > 1:
            escrow_id = self._held.pop(0)
            end = self._choose.choice((_release, _lose, _win, _return_at_onset))
            await end(self, escrow_id)
            self.done[end.__name__] += 1

    async def pay(self, amount: int, **more: Any) -> str:
        """Create an escrow and have it paid, as a customer of such an account does."""
        till = self.till
        escrow_id, order_id = await till.order(amount_minor=amount)
        payment_id = await till.buyer.pay(order_id, **more)
        payment = await till.gateway.fetch_payment(payment_id)
        report = payment_report(payment, await till.gateway.fetch_order(order_id))
        await till.room.tell(escrow_id, report.command, RAZORPAY, cause=report.cause)
        till.settler.ring()
        return escrow_id

    async def bank(self, escrow_id: str, event: str, **more: Any) -> None:
        """Let the buyer's bank act, and tell of it as a webhook would."""
        payment_id = (await self.till.room.escrow(escrow_id)).payment.payment_id
        path = f"/payments/{payment_id}/dispute"
        status, dispute = await self.till.buyer.door("POST", path, {"event": event, **more})
        assert status == 200, dispute
        report = dispute_report(parse_dispute(dispute), event)
        await self.till.room.tell(escrow_id, report.command, RAZORPAY, cause=report.cause)
        self.till.settler.ring()

    def keep(self, escrow_id: str) -> None:
        self._held.append(escrow_id)


Deal = Callable[[Month, int], Awaitable[None]]


async def released(month: Month, amount: int) -> None:
    await _release(month, await month.pay(amount))


async def refunded(month: Month, amount: int) -> None:
    escrow_id = await month.pay(amount)
    await month.till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await month.till.reaches(escrow_id, "REFUNDED")


async def split(month: Month, amount: int) -> None:
    escrow_id = await month.pay(amount)
    await month.till.tell(escrow_id, c.RaiseDispute("It is scratched."), BUYER)
    part = amount // 3
    verdict = c.ResolveDispute(amount - part, part, "A third is worn.")
    await month.till.tell(escrow_id, verdict, ARBITER)
    await month.till.reaches(escrow_id, "SPLIT")


async def in_parts(month: Month, amount: int) -> None:
    till, first = month.till, amount // 4
    parts = (c.NewMilestone("Frame", first), c.NewMilestone("Wheels", amount - first))
    escrow_id = await till.paid(payee=False, amount_minor=amount, milestones=parts)
    await till.tell(escrow_id, c.ReleaseEscrow(part_id="m1"), BUYER)
    await till.tell(escrow_id, c.RefundEscrow(part_id="m2"), ADMIN)
    await till.rests(escrow_id)


async def still_held(month: Month, amount: int) -> None:
    escrow_id = await month.pay(amount)
    await month.till.rests(escrow_id)
    month.keep(escrow_id)


async def nowhere_to_go(month: Month, amount: int) -> None:
    """The seller has no account yet: the money stays, and the bank gets it meanwhile."""
    escrow_id, order_id = await month.till.order(amount_minor=5 * amount, seller_id="seller-2")
    await month.till.pay(escrow_id, order_id)
    await month.till.waits(escrow_id)


async def paid_late(month: Month, amount: int) -> None:
    till = month.till
    escrow_id, order_id = await till.order(amount_minor=amount)
    await till.tell(escrow_id, c.CancelEscrow(), BUYER)
    await till.pay(escrow_id, order_id)
    await till.rests(escrow_id)


async def paid_twice(month: Month, amount: int) -> None:
    till = month.till
    escrow_id, order_id = await till.order(amount_minor=amount)
    await till.pay(escrow_id, order_id)
    await till.pay(escrow_id, order_id, force=True)
    await _release(month, escrow_id)
    await till.rests(escrow_id)


async def customer_bears_the_fee(month: Month, amount: int) -> None:
    escrow_id = await month.pay(amount, customer_fee=amount * 2 // 100)
    await month.till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await month.till.reaches(escrow_id, "REFUNDED")


async def paid_with_an_offer(month: Month, amount: int) -> None:
    await month.till.rests(await month.pay(amount, discount=1_000))


async def _release(month: Month, escrow_id: str) -> None:
    await month.till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await month.till.reaches(escrow_id, "RELEASED")


async def _lose(month: Month, escrow_id: str) -> None:
    await month.bank(escrow_id, "created")
    await month.bank(escrow_id, "lost")
    await month.till.reaches(escrow_id, "REFUNDED")
    await month.till.rests(escrow_id)


async def _win(month: Month, escrow_id: str) -> None:
    await month.bank(escrow_id, "created")
    await month.bank(escrow_id, "won")
    await _release(month, escrow_id)


async def _return_at_onset(month: Month, escrow_id: str) -> None:
    """The bank takes the money at once and gives it back later."""
    await month.bank(escrow_id, "created", deduct_at_onset=True)
    await month.bank(escrow_id, "won")
    await _release(month, escrow_id)


DEALS: Sequence[Deal] = (
    released,
    refunded,
    split,
    in_parts,
    still_held,
    still_held,
    nowhere_to_go,
    nowhere_to_go,
    paid_late,
    paid_twice,
    customer_bears_the_fee,
    paid_with_an_offer,
)
