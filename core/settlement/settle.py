"""The only way out: does at Razorpay what escrows want, one step at a time, and looks after each.

It works under a lease, so that replicas share the work and a crash only costs the lease's time.
A time-out is an unknown outcome, never a failure. A call without an idempotency key is written down
before it is made. Nothing else is done for that escrow until Razorpay's listing shows the call, or
has had the time to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from core.errors import Reason, Refusal
from core.execute import Executor
from core.heartbeat import beat, stop, until_pulse_s
from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.escrow import Escrow
from core.law.rules import outstanding
from core.law.status import AttentionCode, Status
from core.razorpay import (
    Gateway,
    GatewayError,
    GatewayRefused,
    GatewayUnavailable,
    OutcomeUnknown,
)
from core.settlement.act import (
    Act,
    Blocked,
    Capture,
    Found,
    Hold,
    Repay,
    Reverse,
    Step,
    Stuck,
    Unhold,
    Wait,
)
from core.settlement.asked import has_no_key, mark, must_wait_for
from core.settlement.look import look_at
from core.settlement.patience import Patience, at_once, is_under_way
from core.settlement.report import Report, tags
from core.settlement.step import next_step
from core.storage.row import Owed
from core.storage.store import Store
from core.storage.trip import owed
from core.storage.trip import payee as payees
from core.storage.trip.step import Steps, Work

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# Escrows that one process settles at once.
MAX_AT_ONCE = 8
# How often the table is read without a ring.
POLL_S = 1.0
# How long a step under way may take when the process stops: a little above the gateway's time-out.
DRAIN_S = 9.0
# Steps of one escrow under one lease; the longest honest way takes about ten for a part.
MAX_STEPS = 400


class Settler:
    """Does the work in the table `owed`, beside other replicas."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        gateway: Gateway,
        *,
        now_us: Callable[[], int],
        patience: Patience | None = None,
        turn: Callable[[], Awaitable[object]] = at_once,
    ) -> None:
        """Each step waits for its `turn`: nobody waits for it as for an answer (core.strain)."""
        self._store = store
        self._executor = executor
        self._gateway = gateway
        self._now_us = now_us
        self._patience = patience or Patience()
        self._turn = turn
        self._rung = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._next_look_us: int | None = None
        self._closed = False

    def ring(self) -> None:
        """Look for work at once."""
        self._rung.set()

    async def close(self) -> None:
        """Take no more work, and finish each escrow's present step."""
        self._closed = True
        if self._working:
            await asyncio.wait(self._working, timeout=DRAIN_S)

    async def run(self) -> None:
        """Take what is due and work on it, until cancelled; cancels the work under way too."""
        try:
            while not self._closed:
                beat()
                self._rung.clear()
                try:
                    await self._take()
                except Refusal as refusal:
                    log.warning("what is owed could not be read: %s", refusal)
                except Exception:  # One bad row must not stop the loop.
                    log.exception("what is owed could not be read")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._rung.wait()
        finally:
            await stop(self._working)

    def _pause_s(self) -> float:
        poll_s = until_pulse_s(POLL_S)
        if self._next_look_us is None:
            return poll_s
        wait_s = (self._next_look_us - self._now_us()) / US_PER_S
        self._next_look_us = None
        return min(max(wait_s, 0.01), poll_s)

    async def look(self) -> int:
        """Work on what is due now as far as possible; answers how many escrows there were."""
        taken = await self._take()
        if taken:
            await asyncio.wait(taken)
        return len(taken)

    async def _take(self) -> list[asyncio.Task[None]]:
        free = MAX_AT_ONCE - len(self._working)
        now_us = self._now_us()
        if free <= 0 or not await self._store.is_owed(now_us):
            return []
        taken = await self._store.transact(
            owed.lease(
                # A new id each time, because a slow worker of this process has lost its lease too.
                lease_id=uuid.uuid4().hex,
                now_us=now_us,
                until_us=now_us + round(self._patience.lease_s * US_PER_S),
                limit=free,
            )
        )
        tasks = [asyncio.create_task(self._work(work)) for work in taken]
        for task in tasks:
            self._working.add(task)
            task.add_done_callback(self._done)
        return tasks

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._rung.set()

    async def _work(self, work: Owed) -> None:
        try:
            await self._converge(work)
        except Refusal as refusal:
            # The lease runs out by itself and the comparison starts anew.
            log.warning("settling %s stops: %s", work.escrow_id, refusal)
        except Exception:
            log.exception("settling %s stops", work.escrow_id)

    async def _converge(self, work: Owed) -> None:
        """Compare and take the next step until there is none, or something has to be waited for."""
        refused: Step | None = None
        reported_version: int | None = None
        for _ in range(MAX_STEPS):
            step: Step | None = None
            account_id: str | None = None
            await self._turn()
            escrow = await self._store.escrow(work.escrow_id)
            if escrow is None or not outstanding(escrow):
                # What was reported has ended the work in its own transaction.
                return None if reported_version else await self._drop(work, escrow)
            if self._closed:
                return await self._give_back(work, escrow, 0.0)
            if escrow.version == reported_version:
                # The report changed nothing. Wait, or this loop would spin.
                return await self._give_back(work, escrow, self._patience.pending_s(work.attempts))
            try:
                found = await look_at(self._gateway, escrow)
                payee = await self._store.payee(escrow.seller_id)
                account_id = payee.account_id if payee else None
                step = next_step(escrow, found, account_id)
                if self._is_open(work, found, step):
                    return await self._give_back(work, escrow, self._patience.listing_s / 4)
                if isinstance(step, Stuck):
                    return await self._give_up(work, escrow, step, account_id)
                if step is None or isinstance(step, Blocked):
                    return await self._rest(work, escrow, None, account_id)
                if isinstance(step, Wait):
                    return await self._give_back(
                        work, escrow, self._patience.pending_s(work.attempts)
                    )
                reported_version = escrow.version if isinstance(step, Report) else None
                work = await self._act(work, escrow, step, found)
                refused = None
            except GatewayRefused as refusal:
                if step is not None and step == refused:
                    return await self._give_up(work, escrow, _stuck(step, refusal), account_id)
                refused = step  # The listing may have been old, so look once more.
            except GatewayError as error:
                log.info("settling %s waits: %s", work.escrow_id, error)
                return await self._give_back(work, escrow, self._patience.error_s(work.attempts))
        log.error("settling %s took more than %d steps", work.escrow_id, MAX_STEPS)
        return None

    def _is_open(self, work: Owed, found: Mapping[str, Found], step: Step | None) -> bool:
        """Whether the step must wait for a call that the listings may still come to show."""
        if not is_under_way(work, found, self._now_us(), self._patience):
            return False
        return work.asked is not None and must_wait_for(work.asked, step, found)

    async def _act(self, work: Owed, escrow: Escrow, step: Act, found: Mapping[str, Found]) -> Owed:
        if isinstance(step, Report):
            caller = SETTLEMENT
            if isinstance(step.command, c.ReportPayment | c.ReportRefund):
                caller = RAZORPAY
            await self._executor.execute(
                step.command,
                escrow_id=work.escrow_id,
                caller=caller,
                cause=step.cause,
                lease_id=work.lease_id if step.is_exclusive else "",
            )
            return work
        before = work
        work = await self._remember(work, mark(step, found), seen_version=escrow.version)
        try:
            async with asyncio.timeout(self._patience.call_s):
                await self._call(escrow, step)
        except TimeoutError:
            raise OutcomeUnknown("Razorpay takes too long.") from None
        except (GatewayRefused, GatewayUnavailable):
            await self._forget(work, before)
            raise
        # One with a key need not be forgotten: the listings show it, and it may be made again.
        is_kept = work.asked is None or not has_no_key(work.asked)
        return work if is_kept else await self._remember(work, None)

    async def _forget(self, work: Owed, before: Owed) -> None:
        """Strike out a call that was certainly not done; an earlier try of it may still be."""
        if before.asked == work.asked:
            await self._remember(work, before.asked, asked_us=before.asked_us)
        else:
            await self._remember(work, None)

    async def _call(self, escrow: Escrow, step: Capture | Hold | Reverse | Repay | Unhold) -> None:
        gateway = self._gateway
        if isinstance(step, Capture):
            await gateway.capture(step.payment_id, step.amount_minor, escrow.currency)
        elif isinstance(step, Unhold):
            await gateway.release_transfer(step.transfer_id)
        elif isinstance(step, Repay):
            await gateway.refund(
                payment_id=step.payment_id,
                amount_minor=step.amount_minor,
                idempotency_key=step.key,
                notes=tags(escrow.escrow_id, step.part_id),
            )
        elif isinstance(step, Reverse):
            await gateway.reverse(
                transfer_id=step.transfer_id,
                amount_minor=step.amount_minor,
                notes=tags(escrow.escrow_id, step.part_id),
            )
        else:
            await gateway.create_transfer(
                payment_id=step.payment_id,
                account_id=step.account_id,
                amount_minor=step.amount_minor,
                currency=escrow.currency,
                on_hold=True,
                notes=tags(escrow.escrow_id, step.part_id),
            )

    async def _remember(
        self,
        work: Owed,
        asked: str | None,
        *,
        asked_us: int | None = None,
        seen_version: int | None = None,
    ) -> Owed:
        """Keep the lease and write down what is about to be asked, before it is.

        It is refused where more is owed than what was seen, because a bank's dispute that was
        acknowledged stops what has not begun.
        """
        now_us = self._now_us()
        asked_us = (asked_us or now_us) if asked else None
        is_ours = await self._store.transact(
            owed.renew(
                work,
                until_us=now_us + round(self._patience.lease_s * US_PER_S),
                asked=asked,
                asked_us=asked_us,
                seen_version=seen_version,
            )
        )
        if not is_ours:
            if seen_version is not None:
                await self._store.transact(
                    owed.give_back(
                        work, due_us=now_us, attempts=work.attempts, seen_version=seen_version
                    )
                )
            raise Refusal(Reason.OVERLOADED, "the escrow has changed, or another process has it")
        return replace(work, asked=asked, asked_us=asked_us)

    async def _give_up(
        self, work: Owed, escrow: Escrow, step: Stuck, account_id: str | None
    ) -> None:
        """Say that a person has to look, and wait for one, or for a while when nobody can act."""
        await self._executor.execute(
            c.FailSettlement(step.problem, step.part_id, step.code, step.subject),
            escrow_id=escrow.escrow_id,
            caller=SETTLEMENT,
            cause=f"settle:{escrow.escrow_id}:v{escrow.version}:failed",
        )
        is_settling = any(p.status is Status.SETTLING for p in escrow.parts)
        wait_s = None if is_settling else self._patience.stuck_s
        await self._rest(work, escrow, wait_s, account_id)

    async def _rest(
        self, work: Owed, escrow: Escrow, wait_s: float | None, account_id: str | None
    ) -> None:
        """Wait for a person, unless the seller has another account by now than was looked at."""
        due_us, at_once_us = self._due_us(wait_s), self._now_us()

        def rest() -> Steps[int | None]:
            # A change of it that has looked for what is owed before this was, and that is not
            # committed yet, would be missed: it holds this lock until it is.
            yield from payees.lock(escrow.seller_id)
            payee = yield from payees.latest(escrow.seller_id)
            is_same = (payee.account_id if payee else None) == account_id
            until_us = due_us if is_same else at_once_us
            yield from _end(work, escrow, until_us)
            return until_us

        self._look_at(await self._store.transact(rest()))

    async def _give_back(self, work: Owed, escrow: Escrow, wait_s: float) -> None:
        due_us = self._due_us(wait_s)
        await self._store.transact(_end(work, escrow, due_us))
        self._look_at(due_us)

    def _due_us(self, wait_s: float | None) -> int | None:
        """Answer when to look again; None waits to be stirred."""
        return None if wait_s is None else self._now_us() + round(wait_s * US_PER_S)

    def _look_at(self, due_us: int | None) -> None:
        if due_us is not None:
            self._next_look_us = min(due_us, self._next_look_us or due_us)

    async def _drop(self, work: Owed, escrow: Escrow | None) -> None:
        seen_version = escrow.version if escrow else work.version
        await self._store.transact(owed.drop(work, seen_version=seen_version))


def _end(work: Owed, escrow: Escrow, due_us: int | None) -> Work[None]:
    """End the lease, and say when to look again."""
    return owed.give_back(
        work, due_us=due_us, attempts=work.attempts + 1, seen_version=escrow.version
    )


def _stuck(step: Step, refusal: GatewayRefused) -> Stuck:
    """Say what Razorpay refuses, and about whom."""
    problem = f"Razorpay refuses: {refusal.description} ({refusal.reason or refusal.code})"
    if isinstance(step, Hold) and "balance" not in refusal.description.lower():
        return Stuck(step.part_id, problem, AttentionCode.PAYEE_REFUSED, step.account_id)
    return Stuck(getattr(step, "part_id", ""), problem, AttentionCode.GATEWAY_REFUSED)
