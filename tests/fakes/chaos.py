"""Many escrows at once, each with an outcome that is planned beforehand to the paisa."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.deal import Deal, Money
from tests.fakes.fee import fee_of, fees_of
from tests.fakes.stack import Client, Stack

LEAST_PART_MINOR = 1_000
MOST_PART_MINOR = 300_000
# A split leaves each side at least this much, so that every transfer is large enough to be reversed
# in part.
LEAST_SHARE_MINOR = 300


@dataclass(frozen=True)
class Part:
    """The planned outcome of one milestone, or of the whole escrow, in minor units."""

    amount: int
    release: int

    @property
    def refund(self) -> int:
        return self.amount - self.release


@dataclass(frozen=True)
class Fate:
    """The planned outcome of one escrow. Several parts are milestones."""

    parts: tuple[Part, ...]
    is_cancelled: bool = False
    is_paid: bool = True
    # The seller has no linked account before the decision, so that settlement makes the transfer.
    is_payee_late: bool = False

    @property
    def amount(self) -> int:
        return sum(part.amount for part in self.parts)

    @property
    def released(self) -> int:
        return sum(part.release for part in self.parts) - self.fee

    @property
    def fees(self) -> list[int]:
        """The fee of each part. Parts that are released in full share the fee on the whole."""
        shares = fees_of([part.amount for part in self.parts])
        return [
            share if part.refund == 0 else fee_of(part.release)
            for part, share in zip(self.parts, shares, strict=True)
        ]

    @property
    def fee(self) -> int:
        return sum(self.fees)

    @property
    def refunded(self) -> int:
        return sum(part.refund for part in self.parts) if self.is_paid else 0

    @property
    def status(self) -> str:
        if self.is_cancelled:
            return "CANCELLED"
        if all(part.refund == 0 for part in self.parts):
            return "RELEASED"
        return "REFUNDED" if all(part.release == 0 for part in self.parts) else "SPLIT"


def _part(rng: random.Random, way: str) -> Part:
    amount = rng.randint(LEAST_PART_MINOR, MOST_PART_MINOR)
    shared = rng.randint(LEAST_SHARE_MINOR, amount - LEAST_SHARE_MINOR)
    return Part(amount, {"release": amount, "refund": 0, "split": shared}[way])


def settled(rng: random.Random, count: int) -> list[Fate]:
    """Outcomes that all go through settlement: release, refund and split in turn."""
    ways = itertools.islice(itertools.cycle(["release", "refund", "split"]), count)
    return [
        Fate((_part(rng, way),), is_payee_late=way == "release" and rng.random() < 0.5)
        for way in ways
    ]


def mixed(rng: random.Random, count: int) -> list[Fate]:
    """Outcomes of every kind, in random order."""
    makers: list[Callable[[], Fate]] = [
        lambda: settled(rng, 1)[0],
        lambda: Fate((_part(rng, "refund"),)),
        lambda: Fate((_part(rng, "split"),)),
        lambda: Fate((_part(rng, "refund"),), is_cancelled=True),
        lambda: Fate((_part(rng, "refund"),), is_cancelled=True, is_paid=False),
        lambda: Fate(tuple(_part(rng, way) for way in ("release", "refund", "split"))),
    ]
    fates = [make() for make in itertools.islice(itertools.cycle(makers), count)]
    rng.shuffle(fates)
    return fates


class Story:
    """Brings one escrow to its planned outcome. Repeats every call until core answers it."""

    def __init__(self, client: Client, fate: Fate) -> None:
        self.fate = fate
        self.deal = Deal(client)

    async def begin(self) -> None:
        """Create the escrow and start the payment."""
        deal = self.deal
        if not self.fate.is_payee_late:
            await self._register()
        amounts = [{"amount_minor": p.amount, "currency": "INR"} for p in self.fate.parts]
        more: dict[str, Any] = {"amount": {"amount_minor": self.fate.amount, "currency": "INR"}}
        if len(amounts) > 1:
            more["milestones"] = [{"title": "A part of it", "amount": a} for a in amounts]
        answer = await deal.buyer.insist("CreateEscrow", **deal.terms(**more))
        deal.escrow_id = answer.escrow.escrow_id
        started = await deal.buyer.insist("StartPayment", escrow_id=deal.escrow_id)
        deal.order_id = started.order_id

    async def pay(self, *, is_confirmed: bool) -> None:
        """Pay, then confirm with Checkout's signature or leave that to Razorpay's webhook."""
        deal = self.deal
        told = await deal.client.pay(deal.order_id)
        if is_confirmed:
            fields = {name.removeprefix("razorpay_"): value for name, value in told.items()}
            await deal.buyer.insist("ConfirmPayment", escrow_id=deal.escrow_id, **fields)

    async def cancel(self) -> None:
        await self.deal.seller.insist("CancelEscrow", escrow_id=self.deal.escrow_id)

    async def decide(self) -> None:
        """Make the calls that lead each part to its planned outcome."""
        if self.fate.is_payee_late:
            await self._register()
        for number, part in enumerate(self.fate.parts, start=1):
            name = {"milestone_id": f"m{number}"} if len(self.fate.parts) > 1 else {}
            await self._decide(part, {"escrow_id": self.deal.escrow_id, **name})

    async def _decide(self, part: Part, which: dict[str, str]) -> None:
        deal = self.deal
        if part.refund == 0:
            await deal.seller.insist("AddConfirmation", **which)
            await deal.buyer.insist("AddConfirmation", **which)
        elif part.release == 0:
            await deal.seller.insist("RefundEscrow", **which)
        else:
            await deal.buyer.insist("RaiseDispute", reason="scratched", **which)
            shares = {"release_minor": part.release, "refund_minor": part.refund}
            note = "both sides were heard"
            await deal.arbiter.insist("ResolveDispute", note=note, **shares, **which)

    async def end(self, limit_s: float) -> Any:
        """Wait until the escrow and its money are final; answer the escrow."""
        if self.fate.is_cancelled and self.fate.is_paid:
            return await self.deal.until(
                lambda event: event.escrow.refunded.amount_minor == self.fate.amount, limit_s
            )
        return await self.deal.until_status(self.fate.status, limit_s)

    async def _register(self) -> None:
        seller = self.deal.seller.user_id
        account = "acc_" + f"{random.getrandbits(56):014x}"
        await self.deal.seller.insist("RegisterPayee", user_id=seller, account_id=account)


def money_by_order(state: dict[str, list[dict[str, Any]]]) -> dict[str, Money]:
    """Sort the sandbox's whole state by order; failed transfers and refunds moved nothing."""
    moneys = {order["id"]: Money([], [], []) for order in state["orders"]}
    by_payment = {}
    for payment in state["payments"]:
        if payment["captured"]:
            by_payment[payment["id"]] = money = moneys[payment["order_id"]]
            money.payments.append(payment)
    for transfer in state["transfers"]:
        if transfer["status"] != "failed":
            by_payment[transfer["source"]].transfers.append(transfer)
    for refund in state["refunds"]:
        if refund["status"] != "failed":
            by_payment[refund["payment_id"]].refunds.append(refund)
    return moneys


async def few_at_once(doings: Sequence[Coroutine[Any, Any, None]], limit: int) -> None:
    """Run all of them, at most so many at a time. The first that fails cancels the rest."""
    slots = asyncio.Semaphore(limit)

    async def one(doing: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await doing

    try:
        async with asyncio.TaskGroup() as group:
            for doing in doings:
                group.create_task(one(doing))
    finally:
        for doing in doings:
            doing.close()


@asynccontextmanager
async def mortal_stack(folder: Path, database_url: str | None = None) -> AsyncIterator[Client]:
    """A client for a stack of its own, whose core waits less."""
    stack = Stack(folder, database_url=database_url, core_module="tests.fakes.chaos_core")
    try:
        await stack.start()
        async with stack.client() as client:
            yield client
    finally:
        stack.stop()
