"""A month of business in the sandbox, and Razorpay's settlement reports of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from core.law import command as c
from core.law.command import RAZORPAY
from core.razorpay import parse_dispute
from core.settlement.report import dispute_report
from tests.core.law.story import ADMIN, ARBITER, BUYER, SELLER
from tests.core.till import Till
from tests.fakes.reports import Line, ReportServer, line_of

DAYS = 30
AT_ONCE = 6
AMOUNTS = (40_000, 100_000, 250_050, 1_234_567)

Deal = Callable[[Till, int], Awaitable[object]]


async def released(till: Till, amount: int) -> None:
    escrow_id = await till.paid(payee=False, amount_minor=amount)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.reaches(escrow_id, "RELEASED")


async def refunded(till: Till, amount: int) -> None:
    escrow_id = await till.paid(payee=False, amount_minor=amount)
    await till.tell(escrow_id, c.RefundEscrow(), SELLER)
    await till.reaches(escrow_id, "REFUNDED")


async def split(till: Till, amount: int) -> None:
    escrow_id = await till.paid(payee=False, amount_minor=amount)
    await till.tell(escrow_id, c.RaiseDispute("It is scratched."), BUYER)
    part = amount // 3
    verdict = c.ResolveDispute(amount - part, part, "A third is worn.")
    await till.tell(escrow_id, verdict, ARBITER)
    await till.reaches(escrow_id, "SPLIT")


async def in_parts(till: Till, amount: int) -> None:
    first = amount // 4
    parts = (c.NewMilestone("Frame", first), c.NewMilestone("Wheels", amount - first))
    escrow_id = await till.paid(payee=False, amount_minor=amount, milestones=parts)
    await till.tell(escrow_id, c.ReleaseEscrow(part_id="m1"), BUYER)
    await till.tell(escrow_id, c.RefundEscrow(part_id="m2"), ADMIN)
    await till.rests(escrow_id)


async def still_held(till: Till, amount: int) -> None:
    await till.rests(await till.paid(payee=False, amount_minor=amount))


async def paid_late(till: Till, amount: int) -> None:
    escrow_id, order_id = await till.order(amount_minor=amount)
    await till.tell(escrow_id, c.CancelEscrow(), BUYER)
    await till.pay(escrow_id, order_id)
    await till.rests(escrow_id)


async def paid_twice(till: Till, amount: int) -> None:
    escrow_id, order_id = await till.order(amount_minor=amount)
    await till.pay(escrow_id, order_id)
    await till.pay(escrow_id, order_id, force=True)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.reaches(escrow_id, "RELEASED")
    await till.rests(escrow_id)


async def charged_back(till: Till, amount: int) -> None:
    escrow_id = await till.paid(payee=False, amount_minor=amount)
    await till.rests(escrow_id)
    for event in ("created", "lost"):
        await _bank(till, escrow_id, event)
    await till.reaches(escrow_id, "REFUNDED")
    await till.rests(escrow_id)


async def charged_back_after_release(till: Till, amount: int) -> None:
    escrow_id = await till.paid(payee=False, amount_minor=amount)
    await till.tell(escrow_id, c.ReleaseEscrow(), BUYER)
    await till.reaches(escrow_id, "RELEASED")
    for event in ("created", "lost"):
        await _bank(till, escrow_id, event)
    await till.rests(escrow_id)


async def _bank(till: Till, escrow_id: str, event: str) -> None:
    payment_id = (await till.room.escrow(escrow_id)).payment.payment_id
    path = f"/payments/{payment_id}/dispute"
    status, dispute = await till.buyer.door("POST", path, {"event": event})
    assert status == 200, dispute
    report = dispute_report(parse_dispute(dispute), event)
    await till.room.tell(escrow_id, report.command, RAZORPAY, cause=report.cause)
    till.settler.ring()


DEALS: Sequence[Deal] = (
    released,
    refunded,
    split,
    in_parts,
    still_held,
    paid_late,
    paid_twice,
    charged_back,
    charged_back_after_release,
)


async def do_business(till: Till, seed: int, rounds: int) -> None:
    """Do every kind of deal some times over, with amounts at random, several at once."""
    choose = random.Random(seed)
    slots = asyncio.Semaphore(AT_ONCE)
    await till.register()

    async def one(deal: Deal, amount: int) -> None:
        async with slots:
            await deal(till, amount)

    deals = [*DEALS] * rounds
    choose.shuffle(deals)
    await asyncio.gather(*(one(deal, choose.choice(AMOUNTS)) for deal in deals))


async def lines_of(till: Till) -> list[Line]:
    """What Razorpay's balance did for all of this, as its reports say it."""
    state = await till.buyer.state()
    lines = [_paid(one) for one in state["payments"] if one["captured"]]
    lines += [_refunded(one) for one in state["refunds"] if one["status"] == "processed"]
    lines += [_moved(one) for one in state["transfers"] if one["status"] != "failed"]
    lines += [line_of(one["id"], "reversal", one["amount"]) for one in state["reversals"]]
    for dispute in await till.gateway.disputes(0):
        of = {"dispute_id": dispute.dispute_id, "payment_id": dispute.payment_id}
        number = dispute.dispute_id.removeprefix("disp_")
        lines.append(line_of(f"adj_{number}", "adjustment", -dispute.deducted_minor, **of))
    return lines


def _paid(one: dict[str, Any]) -> Line:
    fees = {"fee": one["fee"], "tax": one["tax"], "order_id": one["order_id"]}
    return line_of(one["id"], "payment", one["amount"] - one["fee"], **fees)


def _refunded(one: dict[str, Any]) -> Line:
    return line_of(one["id"], "refund", -one["amount"], payment_id=one["payment_id"])


def _moved(one: dict[str, Any]) -> Line:
    fees = {"fee": one["fees"], "tax": one["tax"], "payment_id": one["source"]}
    return line_of(one["id"], "transfer", -one["amount"] - one["fees"], **fees)


@dataclass
class Month:
    """Thirty days whose lines are brought to the bank, each day's together.

    A day whose lines come to less than nothing is brought with the next one, as Razorpay does it.
    """

    first: date
    days: list[list[Line]] = field(default_factory=lambda: [[] for _ in range(DAYS)])

    @property
    def dates(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range(DAYS)]

    def spread(self, lines: Sequence[Line], choose: random.Random) -> None:
        """Put each line on some day."""
        for line in lines:
            choose.choice(self.days).append(line)

    def report(self, server: ReportServer) -> int:
        """Hand all to the server, settled day by day; answers what came to the bank."""
        waiting: list[Line] = []
        at_bank = 0
        for number, (day, lines) in enumerate(zip(self.dates, self.days, strict=True)):
            waiting += lines
            total = sum(line["credit"] - line["debit"] for line in waiting)
            if waiting and total >= 0:
                server.settle(day.isoformat(), f"setl_{number}", *waiting)
                at_bank += total
                waiting = []
        server.days[self.dates[-1].isoformat()] += waiting
        return at_bank
