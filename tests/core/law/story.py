"""One escrow under the law alone: commands go in, and every event is held against the promises."""

from collections import defaultdict
from typing import Any

from core.law import command as c
from core.law import ledger
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT, Caller, Command
from core.law.escrow import Escrow, Event
from core.law.rules import decide
from core.law.status import Status

BUYER, SELLER, ARBITER = Caller("buyer-1"), Caller("seller-1"), Caller("arbiter-1")
STRANGER = Caller("stranger-1")
ADMIN = Caller("admin-1", frozenset({"admin"}))
SERVICE = Caller("service-1", frozenset({"service"}))

ESCROW_ID = "0a1b2c3d-0000-4000-8000-00000000000a"
ORDER_ID, PAYMENT_ID = "order_1", "pay_1"
AMOUNT, FEE_BPS = 100_000, 250
FEE = 2_500
SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US
WINDOW_US, INSPECTION_US = 3_600 * SECOND_US, 600 * SECOND_US


def create(**changes: Any) -> c.CreateEscrow:
    fields: dict[str, Any] = {
        "escrow_id": ESCROW_ID,
        "buyer_id": BUYER.user_id,
        "seller_id": SELLER.user_id,
        "arbiter_id": ARBITER.user_id,
        "title": "A bicycle",
        "description": "",
        "amount_minor": AMOUNT,
        "currency": "INR",
        "fee_bps": FEE_BPS,
        "payment_window_us": WINDOW_US,
        "inspection_period_us": INSPECTION_US,
        **changes,
    }
    return c.CreateEscrow(**fields)


def milestones(*amounts: int) -> c.CreateEscrow:
    return create(
        amount_minor=sum(amounts),
        milestones=tuple(c.NewMilestone(f"Part {a}", a) for a in amounts),
    )


def payment(
    status: str = "captured", payment_id: str = PAYMENT_ID, order_id: str = ORDER_ID, **more: Any
) -> c.ReportPayment:
    fields: dict[str, Any] = {"amount_minor": AMOUNT, "currency": "INR", **more}
    if status == "captured":
        fields = {"gateway_fee_minor": 2_360, "gateway_tax_minor": 360, **fields}
    return c.ReportPayment(payment_id, order_id, status, **fields)


def bank_dispute(
    phase: str,
    dispute_id: str = "disp_1",
    payment_id: str = PAYMENT_ID,
    amount: int = AMOUNT,
    deducted: int = 0,
) -> c.ReportBankDispute:
    return c.ReportBankDispute(dispute_id, payment_id, phase, amount, deducted_minor=deducted)


def override(
    release: int, refund: int, part_id: str = "", *, seen_version: int = 0
) -> c.OverrideSettlement:
    return c.OverrideSettlement(release, refund, "She is ill", part_id, seen_version)


class Story:
    """What has happened so far. `tell` judges, `now_us` is the time at which it does."""

    def __init__(self, command: c.CreateEscrow | None = None, by: Caller = BUYER) -> None:
        self.now_us = START_US
        self.events: list[Event] = []
        self.accounts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._escrow: Escrow | None = None
        self.tell(command or create(), by)

    @property
    def escrow(self) -> Escrow:
        assert self._escrow is not None
        return self._escrow

    def tell(self, command: Command, caller: Caller) -> Event | None:
        """Judge one command, a second after the last one."""
        self.now_us += SECOND_US
        event = decide(self._escrow, command, caller, self.now_us)
        if event is None:
            return None
        for posting in ledger.postings(self._escrow, event):
            self.accounts[posting.account, posting.currency] += posting.amount_minor
        self._check(event)
        self._escrow = event.escrow
        self.events.append(event)
        return event

    def _check(self, event: Event) -> None:
        after = event.escrow
        assert after.version == len(self.events) + 1, "versions are 1, 2, 3 …"
        paid = after.payment.amount_minor if after.payment.is_captured else 0
        sums = (after.held_minor, after.released_minor, after.refunded_minor, after.fee_minor)
        assert paid == sum(sums), "paid = held + released + refunded + fee"
        assert min(sums) >= 0
        assert self._stands() == ledger.balances(after), "the accounts are what the escrow says"

    def _stands(self) -> dict[tuple[str, str], int]:
        return {
            key: total
            for key, total in self.accounts.items()
            if total and key[0] not in ledger.DERIVED
        }

    def pay(self) -> "Story":
        self.tell(c.RecordOrder(ORDER_ID), BUYER)
        self.tell(payment(amount_minor=self.escrow.amount_minor), RAZORPAY)
        return self

    def hold(self, part_id: str = "") -> "Story":
        part = self.escrow.part(part_id)
        assert part is not None
        amount = part.amount_minor - part.amount_minor * FEE_BPS // 10_000
        self.tell(c.ReportHold(f"trf_{part_id}", amount, part_id), SETTLEMENT)
        return self

    def settle(self, part_id: str = "") -> "Story":
        """Let Razorpay do all that a settlement asks for."""
        part = self.escrow.part(part_id)
        assert part is not None
        assert part.settlement is not None
        transfer, refund = part.settlement.transfer_minor, part.settlement.repay_minor
        if transfer and not part.on_hold_minor:
            self.tell(c.ReportHold(f"trf_{part_id}", transfer, part_id), SETTLEMENT)
        if refund:
            report = c.ReportRefund(f"rfnd_{part_id}", PAYMENT_ID, refund, part_id)
            self.tell(report, RAZORPAY)
        self.tell(c.CompleteSettlement(part_id), SETTLEMENT)
        return self

    def pass_time(self, span_us: int) -> Event | None:
        self.now_us += span_us
        return self.tell(c.PassDeadline(), CLOCK)


def story_in(status: Status) -> Story:
    """A story that has come to a status in the shortest way."""
    story = Story()
    if status is Status.INITIATED:
        return story
    if status is Status.CANCELLED:
        story.tell(c.CancelEscrow(), BUYER)
        return story
    story.pay()
    if status is Status.HELD:
        return story
    if status is Status.REFUNDED:
        story.tell(c.RefundEscrow(), SELLER)
        return story.settle()
    if status in (Status.DISPUTED, Status.SPLIT):
        story.tell(c.RaiseDispute("It is broken"), BUYER)
        if status is Status.SPLIT:
            story.tell(c.ResolveDispute(60_000, 40_000, "Both heard"), ARBITER)
            story.settle()
        return story
    story.tell(c.ReleaseEscrow(), BUYER)
    return story if status is Status.SETTLING else story.settle()
