"""Webhooks: verifies the signature, stores the body, and turns it into a command. Moves no money.

The body is stored before anything else. What a crash leaves unread is read at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence, Set

from core.errors import Reason, Refusal
from core.execute import Executor
from core.heartbeat import beat, until_pulse_s
from core.law.command import RAZORPAY
from core.law.escrow import ESCROW_ID, Escrow
from core.razorpay import GatewayError, GatewayUnavailable, Order, Payment, verify_webhook
from core.settlement.delivery import News, NotUnderstood, read
from core.settlement.look import needs_order
from core.settlement.report import Report, payment_report
from core.storage.store import Store
from core.storage.trip import inbox, owed, question

log = logging.getLogger(__name__)

# Characters of the id that Razorpay gives a delivery.
MAX_EVENT_ID_CHARACTERS = 128
US_PER_S = 1_000_000
# How long a delivery waits for its effect. Razorpay gives up after five seconds.
ANSWER_S = 3.0
# How often stored webhooks are looked for that were not applied.
CATCH_UP_EVERY_S = 10.0
# How old such a webhook must be. A younger one is still being applied.
CATCH_UP_AGE_S = 5.0
# Such webhooks that are read at once.
CATCH_UP_PAGE = 100
# How often Razorpay may fail to name an order before the others are left for the next time.
MAX_FAILED_QUESTIONS = 3
# How long a webhook waits for its order. Reconciliation goes on asking.
WAIT_FOR_ORDER_S = 86_400.0

APPLIED, DUPLICATE, IGNORED = "APPLIED", "DUPLICATE", "IGNORED"


# Counted beside the outcomes: deliveries that are signed and make no sense.
NOT_UNDERSTOOD = "NOT_UNDERSTOOD"

OrderOf = Callable[[Escrow, Payment], Awaitable[Order | None]]
"""Asks Razorpay for the order of a payment whose amount does not tell whether it pays the escrow.

Raises GatewayError.
"""


class Inbox:
    """Takes webhooks in, once for each event id."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        *,
        secrets: Sequence[str],
        now_us: Callable[[], int],
        ring_settlement: Callable[[], None],
        order_of: OrderOf,
    ) -> None:
        self._store = store
        self._executor = executor
        self._secrets = secrets
        self._now_us = now_us
        self._ring_settlement = ring_settlement
        self._order_of = order_of
        self._applying: set[asyncio.Task[str]] = set()
        # What became of deliveries.
        self.outcomes: Counter[str] = Counter()

    async def ingest(self, body: bytes, signature: str, event_id: str) -> str:
        """Verify, keep and apply one delivery; answers APPLIED, DUPLICATE or IGNORED.

        What is signed and is JSON is kept and answered, understood or not: Razorpay disables an
        endpoint that refuses for a day, for everything. Raises Refusal SIGNATURE_INVALID,
        WEBHOOK_MALFORMED (no JSON, nothing is kept), STORAGE_UNAVAILABLE.
        """
        if not verify_webhook(body, signature, self._secrets):
            raise Refusal(Reason.SIGNATURE_INVALID, "The signature does not belong to these bytes.")
        news = _read(body)
        event_id = _checked(event_id) or f"sha256:{hashlib.sha256(body).hexdigest()}"
        outcome = await self._store.transact(
            inbox.keep(event_id=event_id, body=body, now_us=self._now_us())
        )
        if outcome is not None:
            self.outcomes[DUPLICATE] += 1
            return DUPLICATE
        applying = asyncio.create_task(self._apply(event_id, news))
        self._applying.add(applying)
        applying.add_done_callback(self._applied)
        await asyncio.wait({applying}, timeout=ANSWER_S)
        # Razorpay waits for five seconds. A stored webhook is answered and applied later, also
        # where Razorpay itself has to be asked first and is away.
        if not applying.done() or isinstance(applying.exception(), GatewayError):
            return APPLIED
        return applying.result()

    def _applied(self, applying: asyncio.Task[str]) -> None:
        self._applying.discard(applying)
        if not applying.cancelled() and applying.exception() is not None:
            log.warning("a webhook waits to be applied: %s", applying.exception())

    async def run(self) -> None:
        """Apply what was stored and not worked off, at the start and now and then; until cancelled.

        Razorpay delivers again what was not answered, so this is only the last resort.
        """
        while True:
            beat()
            try:
                await self._catch_up()
            except Refusal as refusal:
                log.warning("stored webhooks could not be worked off: %s", refusal)
            await asyncio.sleep(until_pulse_s(CATCH_UP_EVERY_S))

    async def _catch_up(self) -> None:
        while waiting := await self._waiting(CATCH_UP_AGE_S):
            left: set[str] = set()
            for event_id, body in waiting:
                beat()
                may_ask = len(left) < MAX_FAILED_QUESTIONS
                if not await self._apply_late(event_id, body, may_ask=may_ask):
                    left.add(event_id)
            log.info("%d stored webhooks were worked off", len(waiting) - len(left))
            if left:  # Razorpay has to be asked first and is away.
                await self._give_up(left)
                return

    async def _waiting(self, age_s: float) -> list[tuple[str, bytes]]:
        before_us = self._now_us() - round(age_s * US_PER_S)
        return await self._store.waiting_webhooks(before_us, limit=CATCH_UP_PAGE)

    async def _give_up(self, left: Set[str]) -> None:
        """Let none wait for ever for an order that Razorpay never names."""
        for event_id, body in await self._waiting(WAIT_FOR_ORDER_S):
            news = _read(body)
            if event_id in left and news is not None:
                log.warning("webhook %s is left to reconciliation: no word of its order", event_id)
                await self._check_soon(news)
                await self._finish(event_id, IGNORED)

    async def _apply_late(self, event_id: str, body: bytes, *, may_ask: bool) -> bool:
        """Work off one stored webhook; answers whether it is done."""
        try:
            await self._apply(event_id, _read(body), may_ask=may_ask)
        except GatewayError as error:
            log.info("webhook %s waits for Razorpay: %s", event_id, error)
            return False
        except Refusal as refusal:
            if refusal.reason is not Reason.WEBHOOK_MALFORMED:
                raise
            await self._finish(event_id, IGNORED)
        except Exception:
            log.exception("webhook %s cannot be applied", event_id)
            await self._finish(event_id, IGNORED)
        return True

    async def _apply(
        self, event_id: str, news: News | NotUnderstood | None, *, may_ask: bool = True
    ) -> str:
        if isinstance(news, NotUnderstood):
            await self._look_instead(event_id, news)
            outcome = IGNORED
        else:
            outcome = IGNORED if news is None else await self._tell(news, may_ask=may_ask)
        await self._finish(event_id, outcome)
        self.outcomes[outcome] += 1
        return outcome

    async def _look_instead(self, event_id: str, failed: NotUnderstood) -> None:
        """Say so, and have Razorpay asked soon about the escrow that it may be about."""
        self.outcomes[NOT_UNDERSTOOD] += 1
        log.warning("webhook %s is signed and not understood: %s", event_id, failed)
        await self._check_soon(failed)

    async def _check_soon(self, about: News | NotUnderstood) -> None:
        escrow = await self._escrow_of(about)
        if escrow is not None:
            asking = question.ask_at(escrow.escrow_id, due_us=self._now_us(), attempts=0)
            await self._store.transact(asking)

    async def _finish(self, event_id: str, outcome: str) -> None:
        await self._store.transact(inbox.finish(event_id=event_id, outcome=outcome))

    async def _tell(self, news: News, *, may_ask: bool) -> str:
        escrow = await self._escrow_of(news)
        if escrow is None:
            return IGNORED
        if news.payment is not None:
            order = news.order
            if order is None and needs_order(escrow, news.payment):
                if not may_ask:
                    raise GatewayUnavailable("Razorpay did not answer for others.")
                order = await self._order_of(escrow, news.payment)
            return await self._execute(escrow, payment_report(news.payment, order))
        if news.command is not None:
            return await self._execute(escrow, Report(news.command, news.cause))
        stirred = owed.make_due(now_us=self._now_us(), escrow_id=escrow.escrow_id)
        await self._store.transact(stirred)
        self._ring_settlement()
        return IGNORED

    async def _escrow_of(self, about: News | NotUnderstood) -> Escrow | None:
        """Find whom it concerns, by the order, the notes, or a payment that was told of before."""
        if about.order_id:
            escrow = await self._store.escrow_of_order(about.order_id)
            if escrow is not None:
                return escrow
        if ESCROW_ID.fullmatch(about.escrow_id):
            return await self._store.escrow(about.escrow_id)
        if about.payment_id:
            paid = await self._store.known(f"razorpay:{about.payment_id}:captured")
            return await self._store.escrow(paid.escrow_id) if paid else None
        return None

    async def _execute(self, escrow: Escrow, report: Report) -> str:
        answer = await self._executor.execute(
            report.command, escrow_id=escrow.escrow_id, caller=RAZORPAY, cause=report.cause
        )
        return APPLIED if answer.has_changed else DUPLICATE


def _read(body: bytes) -> News | NotUnderstood | None:
    try:
        return read(body)
    except NotUnderstood as failed:
        return failed


def _checked(event_id: str) -> str:
    if len(event_id) > MAX_EVENT_ID_CHARACTERS or not event_id.isprintable():
        problem = f"must be at most {MAX_EVENT_ID_CHARACTERS} printable characters"
        raise Refusal(Reason.FIELD_INVALID, f"event_id: {problem}", {"event_id": problem})
    return event_id
