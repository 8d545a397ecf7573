"""All actors of the simulation: users, the bank, Razorpay, and core's loops."""

import contextlib
import functools
import hashlib
import hmac
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrow_rpc
from escrow.v1 import payment_service_pb2 as payment_rpc
from google.protobuf.duration_pb2 import Duration

from core.errors import Reason, Refusal
from core.law.command import Caller
from core.razorpay import GatewayError
from core.settlement.reconcile import DISPUTES_SPAN_S
from scripts.sandbox import dispute, payment, refund, transfer
from scripts.sandbox.refusal import Refusal as SandboxRefusal
from tests.fakes.fee import fees_of
from tests.fakes.gateway import KEY_SECRET
from tests.simulation.deal import Deal
from tests.simulation.judge import Judge
from tests.simulation.model import Sheet
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
    "say": "AddDisputeMessage",
    "override": "OverrideSettlement",
}
# Why an override that the law allows may be refused: what Razorpay has, or may come to have.
FOUND = (
    Reason.WRONG_STATUS,
    Reason.SETTLEMENT_UNDER_WAY,
    Reason.GATEWAY_REFUSED,
    Reason.GATEWAY_UNAVAILABLE,
)
HOUR_S = 3600
# Rounds of the finale: each settles, reconciles and lets an hour pass.
MAX_ROUNDS = 60


class Driver:
    """Performs actions. Each may be refused, but none may break a promise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.books = world.gateway.books
        self.deals: list[Deal] = []
        self.judge = Judge(world)

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
                sheets={name: Sheet(amount) for name, amount in zip(names, amounts, strict=True)},
                full_fees=dict(zip(names, fees_of(amounts), strict=True)),
                window_end_s=self.now_s + window_s,
                inspection_s=inspection_s,
                account_id="acc_" + mark[:7] * 2,
                mark=mark,
                books=self.books,
            )
        )

    async def bring(self, deal: Deal, beginning: str, *, has_payee: bool) -> None:
        """Bring a new escrow as far as `beginning` says, without a fault."""
        if has_payee:
            await self.register_payee(deal)
        if beginning == "agreed":
            return
        await self.start_payment(deal)
        self.pay(deal, "captured", {}, force=False)
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

    def pay(self, deal: Deal, outcome: str, odd: dict[str, int], force: bool) -> None:
        """Pay an order; `odd` may hold an amount that is added, a customer's fee or a discount."""
        if deal.orders:
            more = dict(odd)
            if "odd_minor" in more:
                more["amount"] = max(deal.amount + more.pop("odd_minor"), 100)
            _perhaps(
                functools.partial(payment.pay, self.books, deal.orders[-1], outcome),
                force=force,
                **more,
            )

    def authorize_late(self, deal: Deal, index: int, then_capture: bool) -> None:
        payments = deal.payments()
        if payments:
            chosen = payments[index % len(payments)]["id"]
            _perhaps(
                functools.partial(payment.authorize_late, self.books, chosen),
                then_capture=then_capture,
            )

    async def confirm_payment(self, deal: Deal, index: int) -> None:
        """Deliver Checkout's callback."""
        payments = deal.payments()
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
        """Send a command of some user; the model says whether it must be accepted."""
        part_id = part_id if part_id in deal.sheets else next(iter(deal.sheets))
        sheets = list(deal.sheets.values()) if verb == "cancel" else [deal.sheets[part_id]]
        fields: dict[str, Any] = {"escrow_id": deal.escrow_id, "request_id": uuid.uuid4().hex}
        if verb != "cancel":
            fields["milestone_id"] = part_id
        if verb == "dispute":
            fields["reason"] = "It is not blue."
        if verb == "say":
            fields["text"] = "It is green."
        if verb in ("resolve", "override"):
            release = min(release, sheets[0].held)
            fields |= {"release_minor": release, "refund_minor": sheets[0].held - release}
            fields["note"] = "Both sides were heard."
        request = getattr(escrow_rpc, RPCS[verb] + "Request")(**fields)

        can_be_split = deal.can_be_split(part_id, release)
        is_allowed = all(s.allows(verb, by, can_be_split=can_be_split) for s in sheets)
        refusal = await self._refusal(deal.who(by), functools.partial(_ask, RPCS[verb], request))
        if verb == "override" and is_allowed and refusal is not None:
            assert refusal.reason in FOUND, refusal
            return
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
        """Retry, as an admin, a settlement that needs attention."""
        for verb in ("ReleaseEscrow", "RefundEscrow"):
            request = getattr(escrow_rpc, verb + "Request")(escrow_id=deal.escrow_id)
            escrow = await self.judge.escrow(deal)
            if escrow.attention and escrow.status == "SETTLING":
                await self._refusal(ADMIN, functools.partial(_ask, verb, request))

    # What Razorpay, the bank and Razorpay's dashboard do.

    def bank(
        self, deal: Deal, event: str, amount: int | None = None, *, at_onset: bool = False
    ) -> None:
        """Let the bank open a dispute about every payment of a deal, or move the open one on."""
        for paid in deal.captured():
            if (event == "created") == bool(deal.open_disputes(paid)):
                continue  # The sandbox moves only the latest one on.
            most = paid["amount"] - deal.lost_minor(paid)
            if most:
                advance = functools.partial(dispute.advance, self.books, paid["id"], event)
                _perhaps(advance, amount=min(amount or most, most), deduct_at_onset=at_onset)

    def judge_account(self, deal: Deal, status: str) -> None:
        """Let the KYC of the seller's account come to an end."""
        transfer.set_account(self.books, deal.account_id, {"status": status})

    def refund_by_hand(self, deal: Deal, amount: int) -> None:
        for paid in deal.captured():
            left = paid["amount"] - paid["amount_refunded"]
            body = {"amount": min(max(amount, 100), left)}
            refund_it = functools.partial(refund.create, self.books, paid["id"], body, None)
            if _perhaps(refund_it):
                deal.released_before = deal.released()
                deal.releases_late = bool(self.world.gateway.underway)

    # What core does, when it is its turn.

    async def settle(self, *cores: int) -> None:
        await self.world.run(*(self.world.cores[i].settler.look() for i in cores))

    async def look(self) -> None:
        """Run all of core's loops once, on both cores at the same time."""
        looks: list[Coroutine[Any, Any, Any]] = []
        for i, core in enumerate(self.world.cores):
            looks += [core.settler.look(), core.reconciler.look_due(), core.clock.look()]
            looks.append(self.look_at_disputes(i))
        await self.world.run(*looks)

    async def look_at_disputes(self, core: int) -> None:
        since_us = self.world.now_us() - round(DISPUTES_SPAN_S * US_PER_S)
        with contextlib.suppress(GatewayError):  # The next time will do.
            await self.world.cores[core].reconciler.look_at_disputes(since_us)

    async def finish(self) -> None:
        """Stop all faults, let everybody finish, and check where the money is."""
        self.world.live()
        self.world.gateway.arrive()
        for round_number in range(MAX_ROUNDS):
            if await self._are_all_at_rest():
                break
            self.world.gateway.work()
            for deal in self.deals:
                await self._close(deal, is_patient=round_number % 2 == 0)
            await self.look()
            await self.judge.check(self.deals)
            self.world.advance(HOUR_S)
        unfinished = [
            await self.judge.escrow(d) for d in self.deals if not await self.judge.is_at_rest(d)
        ]
        assert not unfinished, unfinished
        await self.judge.check_ends(self.deals)

    async def _are_all_at_rest(self) -> bool:
        return all([await self.judge.is_at_rest(deal) for deal in self.deals])

    async def _close(self, deal: Deal, *, is_patient: bool) -> None:
        await self.register_payee(deal)
        # No webhook tells of it: it is for reconciliation to find.
        self.bank(deal, "lost" if len(deal.events) % 2 else "closed")
        for part_id, sheet in deal.sheets.items():
            if sheet.status == "HELD":
                await self.command(deal, part_id, "release", "buyer", 0)
            elif sheet.status == "DISPUTED":
                half = sheet.amount // 2
                release = half if deal.can_be_split(part_id, half) else 0
                await self.command(deal, part_id, "resolve", "arbiter", release)
        if is_patient:
            await self.retry(deal)
        else:
            await self._give_up(deal)

    async def _give_up(self, deal: Deal) -> None:
        """Refund, as an admin, what cannot be paid out."""
        is_stuck = (await self.judge.escrow(deal)).attention
        for part_id, sheet in deal.sheets.items():
            if sheet.status == "SETTLING" and is_stuck:
                await self.command(deal, part_id, "override", "admin", 0)


def _ask(verb: str, request: Any, core: Core) -> Coroutine[Any, Any, Any]:
    answer: Coroutine[Any, Any, Any] = getattr(core.escrows, verb)(request, None)
    return answer


def _inr(amount: int) -> pb.Money:
    return pb.Money(amount_minor=amount, currency="INR")


def _perhaps(act: Any, **fields: Any) -> bool:
    """Do what Razorpay may refuse; answer whether it was done."""
    try:
        act(**fields)
    except SandboxRefusal:
        return False
    return True
