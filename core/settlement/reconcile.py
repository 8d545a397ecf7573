"""Asks Razorpay for what the webhooks did not tell, and reports it by the same commands.

Every escrow with an order is asked about again and again, at growing intervals. The times are rows
of the database. So lost webhooks, late authorisations, second payments and what somebody did in
Razorpay's dashboard are found. Razorpay does not list the bank's disputes by payment, so all of
them are listed every few minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from core.errors import Refusal
from core.execute import Executor
from core.heartbeat import beat, until_pulse_s
from core.law.command import RAZORPAY, SETTLEMENT, EndAttention, FailSettlement
from core.law.escrow import Escrow
from core.law.rules import outstanding
from core.law.status import FINAL, AttentionCode, Status
from core.razorpay import (
    Dispute,
    Gateway,
    GatewayError,
    GatewayRefused,
    GatewayUnavailable,
    Payment,
)
from core.settlement.act import Found
from core.settlement.compare import compare
from core.settlement.look import look_at, order_of
from core.settlement.patience import at_once
from core.settlement.report import Report, dispute_report, payment_report, refund_report
from core.storage.store import Store
from core.storage.trip import question

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
DAY_S = 86_400.0
# How often the table is asked which escrows are due.
LOOK_EVERY_S = 1.0
# Escrows that one process asks about at once: each is one to six calls.
MAX_AT_ONCE = 4
# How long an escrow that is being asked about is left alone by others.
CLAIM_S = 60.0
# Escrows that are taken up at once.
PAGE = 100
# When the bank's disputes are first listed: soon after the start, but not among all that a start
# has to do.
FIRST_DISPUTES_S = 5.0
# How often they are listed from then on.
DISPUTES_EVERY_S = 600.0
# How soon they are listed again after Razorpay has not answered.
DISPUTES_AGAIN_S = 60.0
# How old a dispute may be that no webhook has told of; one that is open is asked for by its id.
DISPUTES_SPAN_S = 10 * DAY_S


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long after a look the next one is due, in seconds: doubled from the first to the last.

    An awaited payment is asked for soon, an escrow at rest less often. Only a look that Razorpay
    answered makes the next pause longer: after an outage, money that no webhook told of is found
    as soon as before it. An escrow that has ended is not asked about after `forget_s`: Razorpay
    returns an authorization that nobody captured after three to five days
    (RZP/payments/late-authorisation.md).
    """

    # The first pause between two looks at an escrow that waits for its payment; it doubles.
    awaited_first_s: float = 5.0
    # The longest such pause.
    awaited_last_s: float = 3_600.0
    # The first pause between two looks at a paid escrow; it doubles.
    resting_first_s: float = 600.0
    # The longest such pause.
    resting_last_s: float = 6 * 3_600.0
    # How long an escrow that has ended is still looked after.
    forget_s: float = 10 * DAY_S
    # How long nobody is asked about after Razorpay has answered for none of a page.
    away_s: float = 10.0

    def next_s(self, escrow: Escrow, attempts: int, now_us: int) -> float | None:
        """Answer when to look again, after so many answered looks; None for never."""
        age_s = (now_us - escrow.update_time_us) / US_PER_S
        if escrow.status in FINAL and not outstanding(escrow) and age_s > self.forget_s:
            return None
        if escrow.status in (Status.INITIATED, Status.CANCELLED):
            return float(min(self.awaited_first_s * 2 ** min(attempts, 30), self.awaited_last_s))
        return float(min(self.resting_first_s * 2 ** min(attempts, 30), self.resting_last_s))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of asking: how many escrows, how many changed, and what failed, with the reason."""

    asked: int
    changed: int
    failed: dict[str, str]


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
        turn: Callable[[], Awaitable[object]] = at_once,
    ) -> None:
        """Each escrow waits for its `turn` to be asked about: nobody waits for it (core.strain)."""
        self._store = store
        self._executor = executor
        self._gateway = gateway
        self._now_us = now_us
        self._schedule = schedule or Schedule()
        self._turn = turn
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._is_away = False

    async def run(self) -> None:
        """Ask about what is due, until cancelled."""
        while True:
            try:
                beat()
                while await self.look_due() and not self._is_away:
                    beat()
            except Refusal as refusal:
                log.warning("what is to be asked could not be read: %s", refusal)
            except Exception:  # One bad escrow must not stop the loop.
                log.exception("an escrow could not be asked about")
            away_s = self._schedule.away_s
            await asyncio.sleep(away_s if self._is_away else until_pulse_s(LOOK_EVERY_S))

    async def look_due(self) -> int:
        """Ask about the escrows that are due, a page of them; answers how many there were.

        After a failure of Razorpay there may be very many: they must not keep commands waiting.
        While it is away only as many are asked about as are at once.
        """
        now_us = self._now_us()
        # Asked first, for an idle core must not write.
        if not await self._store.is_asked(now_us):
            return 0
        claimed_us = now_us + round(CLAIM_S * US_PER_S)
        due = await self._store.transact(
            question.claim(
                now_us=now_us,
                until_us=claimed_us,
                limit=MAX_AT_ONCE if self._is_away else PAGE,
            )
        )
        answered = await asyncio.gather(*(self._look_after(*one) for one in due))
        self._is_away = bool(due) and not any(answered)
        return len(due)

    async def _look_after(self, escrow_id: str, attempts: int) -> bool:
        """Ask about one, and write down when to ask again; answers whether Razorpay answered.

        `attempts` is how often it has answered before.
        """
        has_answered = True
        async with self._slots:
            await self._turn()
            try:
                await self.look(escrow_id)
            except (GatewayError, Refusal) as error:
                has_answered = not isinstance(error, GatewayUnavailable)
                log.info("asking about %s failed: %s", escrow_id, error)
        escrow = await self._store.escrow(escrow_id)
        assert escrow is not None, "only an escrow that exists is asked about"
        now_us = self._now_us()
        wait_s = self._schedule.next_s(escrow, attempts, now_us)
        if wait_s is None:
            await self._store.transact(question.ask_no_more(escrow_id))
        else:
            due_us = now_us + round(wait_s * US_PER_S)
            asking = question.ask_at(escrow_id, due_us=due_us, attempts=attempts + has_answered)
            await self._store.transact(asking)
        return has_answered

    async def run_disputes(
        self,
        *,
        first_s: float = FIRST_DISPUTES_S,
        every_s: float = DISPUTES_EVERY_S,
        again_s: float = DISPUTES_AGAIN_S,
    ) -> None:
        """Ask about the bank's newer disputes, soon and then now and then, until cancelled."""
        await asyncio.sleep(first_s)
        while True:
            beat()
            wait_s = every_s
            try:
                await self.look_at_disputes(self._now_us() - round(DISPUTES_SPAN_S * US_PER_S))
            except (GatewayError, Refusal) as error:
                log.warning("the bank's disputes could not be asked for: %s", error)
                wait_s = again_s
            except Exception:  # One bad dispute must not stop the loop.
                log.exception("the bank's disputes could not be told")
            await asyncio.sleep(wait_s)

    async def since(self, since_us: int, progress: Callable[[int, int], None]) -> Reconciled:
        """Ask about every escrow with an order that changed since a time, and the bank's disputes.

        Goes on past what fails. Calls `progress(asked, changed)` after each page. Raises Refusal
        where the database is away, and GatewayUnavailable where nothing on the first page works.
        """
        asked = 0
        changed: set[str] = set()
        failed: dict[str, str] = {}
        after_id = ""
        while page := await self._store.started_since(since_us, after_id, PAGE):
            after_id = page[-1]
            looks = await asyncio.gather(*(self._look_slowly(one, failed) for one in page))
            changed.update(one for one, has_changed in zip(page, looks, strict=True) if has_changed)
            if not asked and len(failed) == len(page):
                raise GatewayUnavailable(f"Razorpay answers for none: {failed[page[0]]}")
            asked += len(page)
            progress(asked, len(changed))
        try:
            changed |= await self.look_at_disputes(since_us)
        except GatewayError as error:
            failed["the bank's disputes"] = str(error)
        return Reconciled(asked, len(changed), failed)

    async def _look_slowly(self, escrow_id: str, failed: dict[str, str]) -> bool:
        async with self._slots:
            try:
                return await self.look(escrow_id)
            except GatewayError as error:
                failed[escrow_id] = str(error)
        return False

    async def look(self, escrow_id: str) -> bool:
        """Ask about one escrow now and apply the news; answers whether anything changed.

        Raises GatewayError and Refusal.
        """
        changed = False
        for order_id in await self._store.orders_of(escrow_id):
            for payment in await self._gateway.payments_of_order(order_id):
                changed |= await self._tell_payment(escrow_id, payment)
        before = await self._store.escrow(escrow_id)
        if before is None:
            return changed
        changed |= await self._look_at_open_disputes(before)
        found = await look_at(self._gateway, before)
        for one in found.values():
            for refund in one.refunds:
                if refund.status == "processed":
                    changed |= await self._tell(escrow_id, refund_report(refund, escrow_id))
        return await self._compare(before, found) or changed

    async def _tell_payment(self, escrow_id: str, payment: Payment) -> bool:
        escrow = await self._store.escrow(escrow_id)
        assert escrow is not None, "an order belongs to an escrow"
        order = await order_of(self._gateway, escrow, payment)
        return await self._tell(escrow_id, payment_report(payment, order))

    async def _look_at_open_disputes(self, escrow: Escrow) -> bool:
        """Ask what has become of the bank's disputes that have not ended."""
        changed = False
        for dispute_id in _open_disputes(escrow):
            try:
                dispute = await self._gateway.fetch_dispute(dispute_id)
            except GatewayRefused as refusal:  # Only this dispute cannot be read; the others can.
                log.warning("dispute %s of %s: %s", dispute_id, escrow.escrow_id, refusal)
                continue
            report = dispute_report(dispute)
            if dispute_id in escrow.lost_bank_disputes:
                # Told of by an earlier release, under the cause that all reports of it have.
                report = replace(report, cause=f"{report.cause}:amount")
            changed |= await self._tell(escrow.escrow_id, report)
        return changed

    async def look_at_disputes(self, since_us: int) -> set[str]:
        """Ask for the disputes that the bank opened since a time, and tell each to its escrow.

        Answers which escrows changed. A dispute of a payment that is not ours is ignored.
        Raises GatewayError and Refusal.
        """
        changed: set[str] = set()
        for dispute in await self._gateway.disputes(max(since_us // US_PER_S, 0)):
            escrow_id = await self._owner(dispute)
            if escrow_id and await self._tell(escrow_id, dispute_report(dispute)):
                changed.add(escrow_id)
        return changed

    async def _owner(self, dispute: Dispute) -> str | None:
        # The cause of the capture names the escrow, unless Checkout's callback brought it.
        paid = await self._store.known(f"razorpay:{dispute.payment_id}:captured")
        if paid:
            return paid.escrow_id
        try:
            payment = await self._gateway.fetch_payment(dispute.payment_id)
        except GatewayRefused as refusal:
            log.warning("whose dispute %s is: %s", dispute.dispute_id, refusal)
            return None
        return await self._store.owner_of_order(payment.order_id) if payment.order_id else None

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
        problems = compare(escrow, found)
        if not problems:
            return await self._agree(escrow)
        if any(one.code is not AttentionCode.BOOKS_DIFFER for one in escrow.attentions):
            return False
        sentence = "; ".join(f.message for f in problems)
        log.warning("Razorpay and %s differ: %s", escrow.escrow_id, sentence)
        answer = await self._executor.execute(
            FailSettlement(
                f"Razorpay and the escrow differ: {sentence}.", code=AttentionCode.BOOKS_DIFFER
            ),
            escrow_id=escrow.escrow_id,
            caller=SETTLEMENT,
            cause=f"reconcile:{escrow.escrow_id}:v{escrow.version}",
        )
        return answer.has_changed

    async def _agree(self, escrow: Escrow) -> bool:
        """End the attention of a difference that is over."""
        if all(one.code is not AttentionCode.BOOKS_DIFFER for one in escrow.attentions):
            return False
        answer = await self._executor.execute(
            EndAttention(AttentionCode.BOOKS_DIFFER),
            escrow_id=escrow.escrow_id,
            caller=SETTLEMENT,
            cause=f"reconcile:{escrow.escrow_id}:v{escrow.version}",
        )
        return answer.has_changed


def _open_disputes(escrow: Escrow) -> list[str]:
    """List the disputes to be asked about, also those of which an earlier release has no amount."""
    known = {one.dispute_id for one in escrow.chargebacks}
    still = {one.dispute_id for one in escrow.chargebacks if not one.is_over}
    return sorted(still | (set(escrow.bank_disputes) - known))
