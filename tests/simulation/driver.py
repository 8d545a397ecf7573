"""Everybody who acts upon the world, and the promises that must hold after whatever they do."""

import functools
import hashlib
import hmac
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrow_rpc
from escrow.v1 import payment_service_pb2 as payment_rpc
from google.protobuf.duration_pb2 import Duration

from core import books, ledger
from core.command import Caller
from core.errors import Refusal
from core.escrow import Escrow
from core.rules import outstanding
from scripts.sandbox import dispute, payment, refund
from scripts.sandbox.books import Entity
from scripts.sandbox.refusal import Refusal as SandboxRefusal
from tests.fakes.gateway import KEY_SECRET
from tests.simulation.model import ENDS, Sheet, fees_of
from tests.simulation.world import US_PER_S, Core, World

ADMIN = Caller("admin", frozenset({"admin"}))
RPCS = {
    "cancel": "CancelEscrow",
    "confirm": "AddConfirmation",
    "release": "ReleaseEscrow",
    "refund": "RefundEscrow",
    "dispute": "RaiseDispute",
    "withdraw": "WithdrawDispute",
    "resolve": "ResolveDispute",
}
HOUR_S = 3600
MAX_DEALS = 10
# Rounds of the finale: each settles, reconciles and lets an hour pass.
MAX_ROUNDS = 60


@dataclass
class Deal:
    """One escrow: its paper, its people, and what this side has seen of it."""

    escrow_id: str
    sheets: dict[str, Sheet]
    window_end_s: float
    inspection_s: int
    account_id: str
    # In the names of its people.
    mark: str
    orders: list[str] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    # What was released when somebody moved its money behind Holdfast's back.
    released_before: int | None = None

    @property
    def is_touched(self) -> bool:
        return self.released_before is not None

    @property
    def amount(self) -> int:
        return sum(sheet.amount for sheet in self.sheets.values())

    def who(self, role: str) -> Caller:
        return Caller(f"{role}-{self.mark}")


class Driver:
    """Acts, and looks. Every action may be refused; none may break a promise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.books = world.gateway.books
        self.deals: list[Deal] = []
        self.steps = 0

    @property
    def now_s(self) -> float:
        return self.world.now_us() / US_PER_S

    # What people do.

    async def agree(self, amounts: list[int], window_s: int, inspection_s: int) -> None:
        milestones = [
            pb.NewMilestone(title=f"Part {i}", amount=_inr(amount))
            for i, amount in enumerate(amounts)
        ]
        mark = uuid.uuid4().hex[:8]
        request = escrow_rpc.CreateEscrowRequest(
            buyer_id=f"buyer-{mark}",
            seller_id=f"seller-{mark}",
            arbiter_id=f"arbiter-{mark}",
            title="A bicycle",
            amount=_inr(sum(amounts)),
            terms=pb.Terms(
                payment_window=Duration(seconds=window_s),
                inspection_period=Duration(seconds=inspection_s),
            ),
            milestones=milestones if len(amounts) > 1 else [],
            request_id=uuid.uuid4().hex,
        )
        answer = await self.world.call(ADMIN, lambda c: c.escrows.CreateEscrow(request, None))
        names = [f"m{i}" for i in range(1, len(amounts) + 1)] if len(amounts) > 1 else [""]
        self.deals.append(
            Deal(
                escrow_id=answer.escrow.escrow_id,
                sheets={
                    n: Sheet(a, f) for n, a, f in zip(names, amounts, fees_of(amounts), strict=True)
                },
                window_end_s=self.now_s + window_s,
                inspection_s=inspection_s,
                account_id="acc_" + mark[:7] * 2,
                mark=mark,
            )
        )

    async def bring(self, deal: Deal, beginning: str, *, has_payee: bool) -> None:
        """Bring a fresh escrow as far as `beginning` says, without a fault."""
        if has_payee:
            await self.register_payee(deal)
        if beginning == "agreed":
            return
        await self.start_payment(deal)
        self.pay(deal, "captured", 0, force=False)
        if beginning == "paid":
            return
        await self.world.run(self.world.deliver(len(self.world.gateway.told) - 1))
        if beginning == "on hold":
            for _ in range(2):
                await self.settle(0)
                self.world.gateway.work()
                self.world.advance(1)

    async def register_payee(self, deal: Deal) -> None:
        seller = deal.who("seller")
        request = payment_rpc.RegisterPayeeRequest(
            user_id=seller.user_id, account_id=deal.account_id, request_id=uuid.uuid4().hex
        )
        await self.world.call(seller, lambda c: c.payments.RegisterPayee(request, None))

    async def start_payment(self, deal: Deal) -> None:
        request = payment_rpc.StartPaymentRequest(
            escrow_id=deal.escrow_id, request_id=uuid.uuid4().hex
        )
        try:
            answer = await self.world.call(
                deal.who("buyer"), lambda c: c.payments.StartPayment(request, None)
            )
        except Refusal:  # Paid or cancelled already, or Razorpay does not answer.
            return
        if answer.order_id not in deal.orders:
            deal.orders.append(answer.order_id)

    def pay(self, deal: Deal, outcome: str, odd_minor: int, force: bool) -> None:
        if deal.orders:
            amount = max(deal.amount + odd_minor, 100)
            _perhaps(
                functools.partial(payment.pay, self.books, deal.orders[-1], outcome),
                amount=amount,
                force=force,
            )

    def authorize_late(self, deal: Deal, index: int, then_capture: bool) -> None:
        payments = self.payments(deal)
        if payments:
            chosen = payments[index % len(payments)]["id"]
            _perhaps(
                functools.partial(payment.authorize_late, self.books, chosen),
                then_capture=then_capture,
            )

    async def confirm_payment(self, deal: Deal, index: int) -> None:
        """Bring Checkout's callback."""
        payments = self.payments(deal)
        if not payments:
            return
        paid = payments[index % len(payments)]
        message = f"{paid['order_id']}|{paid['id']}".encode()
        request = payment_rpc.ConfirmPaymentRequest(
            escrow_id=deal.escrow_id,
            order_id=paid["order_id"],
            payment_id=paid["id"],
            signature=hmac.new(KEY_SECRET.encode(), message, hashlib.sha256).hexdigest(),
        )
        refusal = await self._refusal(
            deal.who("buyer"), lambda c: c.payments.ConfirmPayment(request, None)
        )
        assert refusal is None or refusal.reason.retry, refusal

    async def command(self, deal: Deal, part_id: str, verb: str, by: str, release: int) -> None:
        """Have somebody ask for something; the paper says whether it must be granted."""
        part_id = part_id if part_id in deal.sheets else next(iter(deal.sheets))
        sheets = list(deal.sheets.values()) if verb == "cancel" else [deal.sheets[part_id]]
        fields: dict[str, Any] = {"escrow_id": deal.escrow_id, "request_id": uuid.uuid4().hex}
        if verb != "cancel":
            fields["milestone_id"] = part_id
        if verb == "dispute":
            fields["reason"] = "It is not blue."
        if verb == "resolve":
            fields |= {"release_minor": release, "refund_minor": sheets[0].amount - release}
        request = getattr(escrow_rpc, RPCS[verb] + "Request")(**fields)

        is_allowed = all(sheet.allows(verb, by, release) for sheet in sheets)
        refusal = await self._refusal(deal.who(by), functools.partial(_ask, RPCS[verb], request))
        assert is_allowed == (refusal is None), f"{verb} by {by} in {sheets[0].status}: {refusal}"
        for sheet in sheets if is_allowed else []:
            sheet.take(verb, by, release, self.now_s + deal.inspection_s)

    async def _refusal(
        self, who: Caller, act: Callable[[Core], Coroutine[Any, Any, Any]]
    ) -> Refusal | None:
        try:
            await self.world.call(who, act)
        except Refusal as refusal:
            return refusal
        return None

    async def retry(self, deal: Deal) -> None:
        """Have an admin try a settlement again that needs attention."""
        for verb in ("ReleaseEscrow", "RefundEscrow"):
            request = getattr(escrow_rpc, verb + "Request")(escrow_id=deal.escrow_id)
            escrow = await self.escrow(deal)
            if escrow.attention and escrow.status == "SETTLING":
                await self._refusal(ADMIN, functools.partial(_ask, verb, request))

    # What Razorpay, the bank and Razorpay's dashboard do.

    def bank(self, deal: Deal, event: str) -> None:
        for paid in self.captured(deal):
            if event == "created" and self._is_disputed(paid):
                continue  # The sandbox moves only the latest one on.
            _perhaps(functools.partial(dispute.advance, self.books, paid["id"], event))

    def _is_disputed(self, paid: Entity) -> bool:
        disputes = self.books.of("dispute", paid["id"])
        return any(d["status"] not in ("won", "closed") for d in disputes)

    def refund_by_hand(self, deal: Deal, amount: int) -> None:
        for paid in self.captured(deal):
            left = paid["amount"] - paid["amount_refunded"]
            body = {"amount": min(max(amount, 100), left)}
            refund_it = functools.partial(refund.create, self.books, paid["id"], body, None)
            if _perhaps(refund_it) and deal.released_before is None:
                deal.released_before = self._released(deal)

    # What core does, when it is its turn.

    async def settle(self, *cores: int) -> None:
        await self.world.run(*(self.world.cores[i].settler.look() for i in cores))

    async def look(self) -> None:
        """Everything that runs by itself, at once and on both cores."""
        looks = []
        for core in self.world.cores:
            looks += [core.settler.look(), core.reconciler.look_due(), core.clock.look()]
        await self.world.run(*looks)

    # What can be seen.

    def payments(self, deal: Deal) -> list[Entity]:
        return [p for order_id in deal.orders for p in self.books.of("payment", order_id)]

    def captured(self, deal: Deal) -> list[Entity]:
        return [p for p in self.payments(deal) if p["captured"]]

    async def escrow(self, deal: Deal) -> Escrow:
        escrow = await self.world.core.store.escrow(deal.escrow_id)
        assert escrow is not None
        return escrow

    async def check(self) -> None:
        """Every promise, for every escrow."""
        found = await self.world.core.store.books(after_id="", limit=MAX_DEALS)
        by_id = {book.escrow.escrow_id: book for book in found}
        for deal in self.deals:
            book = by_id[deal.escrow_id]
            findings = books.check(book)
            assert not findings, findings
            assert book.events[: len(deal.events)] == deal.events, "the past has changed"
            deal.events = list(book.events)
            self._check_paper(deal, book.escrow)
            self._check_money(deal, book.escrow)

    def _check_paper(self, deal: Deal, escrow: Escrow) -> None:
        is_paid = any(p["amount"] == deal.amount for p in self.captured(deal))
        for part in escrow.parts:
            deal.sheets[part.part_id].drift(
                part.status.value,
                is_paid=is_paid,
                is_overdue=self.now_s >= deal.window_end_s,
                now_s=self.now_s,
            )

    def _check_money(self, deal: Deal, escrow: Escrow) -> None:
        """Nobody is paid or refunded twice, and no release stands beside a refund."""
        for paid in self.payments(deal):
            left = sum(_left(t) for t in self._transfers(paid))
            back = sum(r["amount"] for r in self.books.of("refund", paid["id"]))
            assert back <= paid["amount"]
            assert not left or paid["id"] == escrow.payment.payment_id
            assert left + back <= paid["amount"] or deal.is_touched, f"{left} and {back} of {paid}"
        if deal.released_before is not None:
            assert self._released(deal) == deal.released_before, "released beside a refund"
        for part_id, sheet in deal.sheets.items():
            plan = sheet.plan or (0, 0)
            if sheet.status == "CANCELLED":
                continue
            assert self._standing(escrow, part_id) <= sheet.amount - min(sheet.full_fee, sheet.fee)
            seller, buyer = self._moved(escrow, part_id)
            assert buyer in (0, plan[1]), f"{buyer} refunded where {plan} is planned"
            if sheet.status in ENDS:
                assert (seller, buyer) == (plan[0] - sheet.fee, plan[1]), (
                    f"{part_id}: {seller}, {buyer} of {plan}: {self._list(escrow)}"
                )
            else:
                assert seller in (0, plan[0] - sheet.fee), f"{seller} released of {plan}"

    def _released(self, deal: Deal) -> int:
        transfers = [t for p in self.payments(deal) for t in self._transfers(p)]
        return sum(_left(t) for t in transfers if not t["on_hold"])

    def _transfers(self, paid: Entity) -> list[Entity]:
        return [t for t in self.books.of("transfer", paid["id"]) if t["status"] != "failed"]

    def _standing(self, escrow: Escrow, part_id: str) -> int:
        tags = {"escrow_id": escrow.escrow_id, "part": part_id or "whole"}
        transfers = self.books.of("transfer", escrow.payment.payment_id)
        return sum(_left(t) for t in transfers if t["notes"] == tags and t["status"] != "failed")

    def _moved(self, escrow: Escrow, part_id: str) -> tuple[int, int]:
        """What Razorpay has released and refunded of one part, out of the payment of the escrow."""
        tags = {"escrow_id": escrow.escrow_id, "part": part_id or "whole"}
        payment_id = escrow.payment.payment_id
        transfers = [t for t in self.books.of("transfer", payment_id) if t["notes"] == tags]
        refunds = [r for r in self.books.of("refund", payment_id) if r["notes"] == tags]
        seller = sum(_left(t) for t in transfers if not t["on_hold"])
        return seller, sum(r["amount"] for r in refunds)

    def _list(self, escrow: Escrow) -> list[Entity]:
        return [
            {
                k: v
                for k, v in entity.items()
                if k in ("id", "amount", "notes", "on_hold", "status", "amount_reversed")
            }
            for kind in ("transfer", "refund")
            for entity in self.books.of(kind, escrow.payment.payment_id)
        ]

    async def finish(self) -> None:
        """Stop all faults, let everybody do what is left to do, and look where the money is."""
        self.world.live()
        self.world.gateway.arrive()
        for _ in range(MAX_ROUNDS):
            if await self._are_all_at_rest():
                break
            self.world.gateway.work()
            for deal in self.deals:
                await self._close(deal)
            await self.look()
            await self.check()
            self.world.advance(HOUR_S)
        unfinished = [await self.escrow(d) for d in self.deals if not await self._is_at_rest(d)]
        assert not unfinished, unfinished
        await self._check_ends()

    async def _are_all_at_rest(self) -> bool:
        return all([await self._is_at_rest(deal) for deal in self.deals])

    async def _is_at_rest(self, deal: Deal) -> bool:
        escrow = await self.escrow(deal)
        if deal.is_touched and escrow.attention:
            return True  # A person has to look, and knows it.
        pending = any(
            r["status"] == "pending"
            for p in self.payments(deal)
            for r in self.books.of("refund", p["id"])
        )
        known = {s.payment_id for s in escrow.surplus} | {escrow.payment.payment_id}
        is_told = all(p["id"] in known for p in self.captured(deal))
        return escrow.status in ENDS and is_told and not pending and not outstanding(escrow)

    async def _close(self, deal: Deal) -> None:
        await self.register_payee(deal)
        escrow = await self.escrow(deal)
        if escrow.bank_disputes:
            self.bank(deal, "closed")
            for index in range(len(self.world.gateway.told)):
                if b"payment.dispute" in self.world.gateway.told[index][1]:
                    await self.world.run(self.world.deliver(index))
        for part_id, sheet in deal.sheets.items():
            if sheet.status == "HELD":
                await self.command(deal, part_id, "release", "buyer", 0)
            elif sheet.status == "DISPUTED":
                half = sheet.amount // 2 if sheet.amount >= 200 else 0
                await self.command(deal, part_id, "resolve", "arbiter", half)
        await self.retry(deal)

    async def _check_ends(self) -> None:
        """Razorpay's money is the ledger's, to the paisa."""
        result = await self.world.core.auditor.check(with_razorpay=True)
        touched = {deal.escrow_id for deal in self.deals if deal.is_touched}
        findings = [f for f in result.findings if f.escrow_id not in touched]
        assert not findings, findings
        for deal in self.deals:
            if not deal.is_touched:
                await self._check_end(deal)

    async def _check_end(self, deal: Deal) -> None:
        entries = await self.world.core.store.entries(
            escrow_id=deal.escrow_id, account="", after=None, limit=1_000
        )
        totals: dict[str, int] = {}
        for entry in entries:
            totals[entry.account] = totals.get(entry.account, 0) + entry.amount_minor
        paid = self.captured(deal)
        seller = sum(_left(t) for p in paid for t in self._transfers(p))
        back = sum(r["amount"] for p in paid for r in self.books.of("refund", p["id"]))
        at_razorpay = sum(p["amount"] - p["fee"] for p in paid) - seller - back
        fees = sum(sheet.fee for sheet in deal.sheets.values())
        assert totals.get(ledger.BALANCE, 0) == at_razorpay
        assert totals.get(ledger.PLATFORM_FEES, 0) == -fees
        assert sum(p["amount"] for p in paid) == seller + back + fees
        rest = {
            a: t
            for a, t in totals.items()
            if t and a not in (*ledger.DERIVED, ledger.PLATFORM_FEES)
        }
        assert not rest, rest


def _ask(verb: str, request: Any, core: Core) -> Coroutine[Any, Any, Any]:
    answer: Coroutine[Any, Any, Any] = getattr(core.escrows, verb)(request, None)
    return answer


def _inr(amount: int) -> pb.Money:
    return pb.Money(amount_minor=amount, currency="INR")


def _left(transfer: Entity) -> int:
    left: int = transfer["amount"] - transfer["amount_reversed"]
    return left


def _perhaps(act: Any, **fields: Any) -> bool:
    """Do what Razorpay may refuse; answers whether it did not."""
    try:
        act(**fields)
    except SandboxRefusal:
        return False
    return True
