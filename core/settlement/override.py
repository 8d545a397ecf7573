"""OverrideSettlement: another division of what is settling, decided by what Razorpay has.

It works under settlement's lease, so that no call of settlement's is under way meanwhile. What
Razorpay's listings show decides, never what the record believes. A call on its way wins.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

from core.errors import Reason, Refusal
from core.execute import Answer, Executor
from core.law import command as c
from core.law.command import Caller
from core.law.escrow import Escrow, Part
from core.law.rules import decide
from core.law.words import money
from core.razorpay import Gateway, GatewayError, GatewayRefused, Transfer
from core.settlement.act import Found, is_alive, live, refunds_of, transfers_of
from core.settlement.look import look_at
from core.settlement.settle import Patience, is_under_way
from core.storage.row import Owed
from core.storage.store import Store

US_PER_S = 1_000_000
# How long it waits for a step of settlement's that is under way.
WAIT_S = 12.0
# How often it looks whether the step is over.
LOOK_EVERY_S = 0.1


class Overrider:
    """Divides anew what is settling."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        gateway: Gateway,
        *,
        now_us: Callable[[], int],
        patience: Patience | None = None,
        ring_settlement: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._gateway = gateway
        self._now_us = now_us
        self._patience = patience or Patience()
        self._ring_settlement = ring_settlement

    async def override(
        self,
        command: c.OverrideSettlement,
        *,
        escrow_id: str,
        caller: Caller,
        cause: str,
        fingerprint: bytes,
    ) -> Answer:
        """Look at Razorpay under the lease, then decide.

        Raises Refusal: what the law says of the command, SETTLEMENT_UNDER_WAY while a call may be
        on its way, WRONG_STATUS where the money has moved, GATEWAY_UNAVAILABLE, GATEWAY_REFUSED.
        """
        await self._judge(command, escrow_id, caller)
        work = await self._lease(escrow_id)
        try:
            escrow = await self._judge(command, escrow_id, caller)
            await self._require_nothing_done(escrow, command, work)
            answer = await self._executor.execute(
                replace(command, seen_version=escrow.version),
                escrow_id=escrow_id,
                caller=caller,
                cause=cause,
                fingerprint=fingerprint,
                lease_id=work.lease_id,
            )
        finally:
            await asyncio.shield(self._give_back(work))
        return answer

    async def _judge(self, command: c.OverrideSettlement, escrow_id: str, caller: Caller) -> Escrow:
        """Load the escrow; refuse what the law refuses whatever Razorpay has."""
        escrow = await self._store.escrow(escrow_id)
        version = escrow.version if escrow else 0
        decide(escrow, replace(command, seen_version=version), caller, self._now_us())
        assert escrow is not None, "the law refuses what does not exist"
        return escrow

    async def _lease(self, escrow_id: str) -> Owed:
        """Take the lease as soon as settlement gives it back."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + WAIT_S
        while True:
            now_us = self._now_us()
            async with self._store.write() as transaction:
                work = await transaction.lease_one(
                    escrow_id,
                    lease_id=uuid.uuid4().hex,
                    now_us=now_us,
                    until_us=now_us + round(self._patience.lease_s * US_PER_S),
                )
            if work is not None:
                return work
            if loop.time() > until_s:
                raise _under_way()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _require_nothing_done(
        self, escrow: Escrow, command: c.OverrideSettlement, work: Owed
    ) -> None:
        try:
            found = await look_at(self._gateway, escrow)
        except GatewayRefused as refusal:
            raise Refusal(
                Reason.GATEWAY_REFUSED, f"Razorpay refuses: {refusal.description}"
            ) from refusal
        except GatewayError as error:
            raise Refusal(
                Reason.GATEWAY_UNAVAILABLE, "Razorpay does not answer; try again in a moment."
            ) from error
        if is_under_way(work, found, self._now_us(), self._patience):
            raise _under_way()
        part = escrow.part(command.part_id)
        assert part is not None, "the law has found it"
        require_possible(escrow, part, found, command)

    async def _give_back(self, work: Owed) -> None:
        """Let settlement go on, with what is wanted now."""
        async with self._store.write() as transaction:
            await transaction.give_back(
                work, due_us=self._now_us(), attempts=0, seen_version=work.version
            )
        self._ring_settlement()


def require_possible(
    escrow: Escrow, part: Part, found: Mapping[str, Found], command: c.OverrideSettlement
) -> None:
    """Refuse where the listings show that what is wanted now can no longer be. Pure.

    Raises Refusal WRONG_STATUS with what was found.
    """
    have = found[escrow.payment.payment_id]
    alive = live(transfers_of(escrow, part.part_id, have))
    release = command.release_minor
    wanted = release - part.fee_on(release, escrow.fee_bps)
    _require_not_paid_out(escrow, part, alive, wanted)
    _require_not_refunded(escrow, part, have)
    standing = sum(t.amount_minor - t.reversed_minor for t in alive)
    if wanted > standing and any(is_alive(r) for r in have.refunds):
        raise Refusal(
            Reason.WRONG_STATUS,
            "A refund of this payment has begun, so that Razorpay transfers no more to the seller"
            f" than the {money(standing, escrow.currency)} that it holds.",
        )


def _require_not_paid_out(escrow: Escrow, part: Part, alive: list[Transfer], wanted: int) -> None:
    paid = sum(t.amount_minor - t.reversed_minor for t in alive if not t.on_hold)
    settlement = part.settlement
    assert settlement is not None, "a settling part has its settlement"
    # What somebody has paid out by hand, and against what was decided, can be agreed to.
    if paid and not (paid == wanted and paid != settlement.transfer_minor):
        raise Refusal(
            Reason.WRONG_STATUS,
            f"Razorpay has paid {money(paid, escrow.currency)} out to the seller already.",
        )


def _require_not_refunded(escrow: Escrow, part: Part, have: Found) -> None:
    for one in refunds_of(part.part_id, have):
        if is_alive(one):
            state = "has been made" if one.status == "processed" else "is under way"
            raise Refusal(
                Reason.WRONG_STATUS,
                f"The refund {one.refund_id} of {money(one.amount_minor, escrow.currency)} to the"
                f" buyer {state}.",
            )


def _under_way() -> Refusal:
    return Refusal(
        Reason.SETTLEMENT_UNDER_WAY,
        "Razorpay is being asked to pay this out or to refund it right now; look at the escrow,"
        " and try again in half a minute.",
    )
