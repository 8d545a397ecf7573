"""Webhooks: verifies the signature, stores the body, and turns it into a command. Moves no money.

The body is stored before anything else. What a crash leaves unread is read at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Reason, Refusal
from core.execute import Executor
from core.heartbeat import beat
from core.law.command import RAZORPAY, Command
from core.law.escrow import ESCROW_ID
from core.razorpay import Dispute, parse_payment, parse_refund, verify_webhook
from core.settlement.report import dispute_report, payment_report, refund_report
from core.storage.store import Store

log = logging.getLogger(__name__)

# The longest body of a webhook.
MAX_BODY_BYTES = 1 << 20
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

# Events of bank disputes (RZP/webhooks/disputes.md).
_PHASES = frozenset({"created", "under_review", "action_required", "won", "lost", "closed"})
_RAZORPAY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

APPLIED, DUPLICATE, IGNORED = "APPLIED", "DUPLICATE", "IGNORED"


@dataclass(frozen=True, slots=True)
class News:
    """What one webhook says: for which order or escrow, and what to do about it.

    Without a command it only makes settlement look again.
    """

    order_id: str
    escrow_id: str = ""
    command: Command | None = None
    cause: str = ""


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
    ) -> None:
        self._store = store
        self._executor = executor
        self._secrets = secrets
        self._now_us = now_us
        self._ring_settlement = ring_settlement
        self._applying: set[asyncio.Task[str]] = set()

    async def ingest(self, body: bytes, signature: str, event_id: str) -> str:
        """Verify, keep and apply one delivery; answers APPLIED, DUPLICATE or IGNORED.

        Raises Refusal SIGNATURE_INVALID, WEBHOOK_MALFORMED (nothing is kept), STORAGE_UNAVAILABLE.
        """
        if not verify_webhook(body, signature, self._secrets):
            raise Refusal(Reason.SIGNATURE_INVALID, "The signature does not belong to these bytes.")
        news = read(body)
        event_id = _checked(event_id) or f"sha256:{hashlib.sha256(body).hexdigest()}"
        async with self._store.write() as transaction:
            outcome = await transaction.keep_webhook(
                event_id=event_id, body=body, now_us=self._now_us()
            )
        if outcome is not None:
            return DUPLICATE
        applying = asyncio.create_task(self._apply(event_id, news))
        self._applying.add(applying)
        applying.add_done_callback(self._applied)
        done, _ = await asyncio.wait({applying}, timeout=ANSWER_S)
        # Razorpay waits for five seconds. A stored webhook is answered and applied later.
        return applying.result() if done else APPLIED

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
            await asyncio.sleep(CATCH_UP_EVERY_S)

    async def _catch_up(self) -> None:
        before_us = self._now_us() - round(CATCH_UP_AGE_S * US_PER_S)
        while waiting := await self._store.waiting_webhooks(before_us, limit=CATCH_UP_PAGE):
            for event_id, body in waiting:
                await self._apply_late(event_id, body)
            log.info("%d stored webhooks were worked off", len(waiting))

    async def _apply_late(self, event_id: str, body: bytes) -> None:
        try:
            await self._apply(event_id, read(body))
        except Refusal as refusal:
            if refusal.reason is not Reason.WEBHOOK_MALFORMED:
                raise
            await self._finish(event_id, IGNORED)
        except Exception:
            log.exception("webhook %s cannot be applied", event_id)
            await self._finish(event_id, IGNORED)

    async def _apply(self, event_id: str, news: News | None) -> str:
        outcome = IGNORED if news is None else await self._tell(news)
        await self._finish(event_id, outcome)
        return outcome

    async def _finish(self, event_id: str, outcome: str) -> None:
        async with self._store.write() as transaction:
            await transaction.finish_webhook(event_id=event_id, outcome=outcome)

    async def _tell(self, news: News) -> str:
        escrow_id = await self._store.owner_of_order(news.order_id) if news.order_id else None
        escrow_id = escrow_id or news.escrow_id
        if not ESCROW_ID.fullmatch(escrow_id) or await self._store.escrow(escrow_id) is None:
            return IGNORED
        if news.command is None:
            async with self._store.write() as transaction:
                await transaction.make_due(now_us=self._now_us(), escrow_id=escrow_id)
            self._ring_settlement()
            return IGNORED
        answer = await self._executor.execute(
            news.command, escrow_id=escrow_id, caller=RAZORPAY, cause=news.cause
        )
        return APPLIED if answer.has_changed else DUPLICATE


def _checked(event_id: str) -> str:
    if len(event_id) > MAX_EVENT_ID_CHARACTERS or not event_id.isprintable():
        problem = f"must be at most {MAX_EVENT_ID_CHARACTERS} printable characters"
        raise Refusal(Reason.FIELD_INVALID, f"event_id: {problem}", {"event_id": problem})
    return event_id


def read(body: bytes) -> News | None:
    """Say what a webhook means, or None where it has no effect. Raises WEBHOOK_MALFORMED."""
    if len(body) > MAX_BODY_BYTES:
        raise _malformed(f"it is longer than {MAX_BODY_BYTES} bytes")
    try:
        envelope = json.loads(body)
        event, payload = envelope["event"], envelope.get("payload", {})
        if not isinstance(event, str) or not isinstance(payload, dict):
            raise TypeError("event must be text and payload an object")
        return _news(event, payload)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(str(error) or type(error).__name__) from None


def _malformed(why: str) -> Refusal:
    return Refusal(Reason.WEBHOOK_MALFORMED, f"body: not a webhook of Razorpay: {why}")


def _news(event: str, payload: dict[str, Any]) -> News | None:
    if event in ("payment.authorized", "payment.captured", "payment.failed", "order.paid"):
        payment = parse_payment(payload["payment"]["entity"])
        report = payment_report(payment)
        return News(payment.order_id, command=report.command, cause=report.cause)
    if event in ("refund.processed", "refund.failed"):
        return _refund_news(event, payload)
    if event in ("transfer.processed", "transfer.failed", "transfers.failed"):
        notes = payload["transfer"]["entity"].get("notes") or {}
        return News("", _text(notes, "escrow_id"))
    phase = event.removeprefix("payment.dispute.")
    if phase in _PHASES:
        return _dispute_news(phase, payload)
    return None


def _refund_news(event: str, payload: dict[str, Any]) -> News:
    refund = parse_refund(payload["refund"]["entity"])
    payment = (payload.get("payment") or {}).get("entity") or {}
    order_id = _id(payment, "order_id") if payment.get("order_id") else ""
    escrow_id = refund.notes.get("escrow_id", "")
    if event == "refund.failed":
        return News(order_id, escrow_id)
    report = refund_report(refund, escrow_id)
    return News(order_id, escrow_id, report.command, report.cause)


def _dispute_news(phase: str, payload: dict[str, Any]) -> News:
    entity = payload["dispute"]["entity"]
    payment = (payload.get("payment") or {}).get("entity") or {}
    amount = entity.get("amount") or 0
    if type(amount) is not int:
        raise TypeError("the amount of a dispute must be a whole number")
    # Read less strictly than an API answer, because the event's name says what happened.
    dispute = Dispute(
        dispute_id=_id(entity, "id"),
        payment_id=_id(entity, "payment_id") if "payment_id" in entity else _id(payment, "id"),
        amount_minor=amount,
        reason_code=_text(entity, "reason_code"),
        status=_text(entity, "status"),
    )
    report = dispute_report(dispute, phase)
    order_id = _id(payment, "order_id") if payment.get("order_id") else ""
    return News(order_id, command=report.command, cause=report.cause)


def _id(entity: Any, name: str) -> str:
    value = _text(entity, name)
    if not _RAZORPAY_ID.fullmatch(value):
        raise ValueError(f"{name} must be an id")
    return value


def _text(entity: Any, name: str) -> str:
    value = entity.get(name) if isinstance(entity, dict) else None
    return value if isinstance(value, str) else ""
