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
from core.law.escrow import Escrow
from core.law.money import MIN_AMOUNT_MINOR
from core.law.part import Part
from core.law.rules import decide
from core.law.words import money
from core.razorpay import Gateway, Transfer
from core.settlement.act import Found, is_alive, live, refunds_of, transfers_of
from core.settlement.look import look_at
from core.settlement.patience import Patience, is_under_way
from core.settlement.refusal import answering
from core.storage.row import Owed
from core.storage.store import Store
from core.storage.trip import owed

US_PER_S = 1_000_000
# How long it waits for a step of settlement's that is under way.
WAIT_S = 5.0
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
        wait_s: float = WAIT_S,
    ) -> None:
        self._store = store
        self._executor = executor
        self._gateway = gateway
        self._now_us = now_us
        self._patience = patience or Patience()
        self._ring_settlement = ring_settlement
        self._wait_s = wait_s

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
        work = await self._lease(command, escrow_id, caller)
        try:
            escrow, after = await self._judge(command, escrow_id, caller)
            await self._require_nothing_done(escrow, after, command.part_id, work)
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

    async def _judge(
        self, command: c.OverrideSettlement, escrow_id: str, caller: Caller
    ) -> tuple[Escrow, Escrow]:
        """Load the escrow, and answer it with what it would become.

        Refuse what the law refuses whatever Razorpay has.
        """
        escrow = await self._store.escrow(escrow_id)
        version = escrow.version if escrow else 0
        event = decide(escrow, replace(command, seen_version=version), caller, self._now_us())
        assert escrow is not None, "the law refuses what does not exist"
        assert event is not None, "the law never ignores an override"
        return escrow, event.escrow

    async def _lease(self, command: c.OverrideSettlement, escrow_id: str, caller: Caller) -> Owed:
        """Take the lease as soon as settlement gives it back, if it is not done by then."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._wait_s
        while True:
            await self._judge(command, escrow_id, caller)
            now_us = self._now_us()
            work = await self._store.transact(
                owed.lease_one(
                    escrow_id,
                    lease_id=uuid.uuid4().hex,
                    now_us=now_us,
                    until_us=now_us + round(self._patience.lease_s * US_PER_S),
                )
            )
            if work is not None:
                return work
            if loop.time() >= until_s:
                raise _under_way()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _require_nothing_done(
        self, escrow: Escrow, after: Escrow, part_id: str, work: Owed
    ) -> None:
        with answering():
            found = await look_at(self._gateway, escrow)
        if is_under_way(work, found, self._now_us(), self._patience):
            raise _under_way()
        require_possible(escrow, after, part_id, found)

    async def _give_back(self, work: Owed) -> None:
        """Let settlement go on, with what is wanted now."""
        await self._store.transact(
            owed.give_back(work, due_us=self._now_us(), attempts=0, seen_version=work.version)
        )
        self._ring_settlement()


def require_possible(
    escrow: Escrow, after: Escrow, part_id: str, found: Mapping[str, Found]
) -> None:
    """Refuse where the listings show that a division can no longer be made. Pure.

    `after` is the escrow as divided anew. Raises Refusal WRONG_STATUS with what was found.
    """
    have = found[escrow.payment.payment_id]
    part, anew = escrow.part(part_id), after.part(part_id)
    assert part is not None, "the law has found it"
    assert anew is not None, "no part goes away"
    assert anew.settlement is not None, "it was divided"
    wanted = anew.settlement.transfer_minor
    alive = live(transfers_of(escrow, part_id, have))
    _require_not_paid_out(escrow, part, alive, wanted)
    _require_not_refunded(escrow, part, have)
    if any(is_alive(r) for r in have.refunds):
        standing = sum(t.amount_minor - t.reversed_minor for t in alive)
        _require_beside_refund(escrow, standing, wanted)
        if wanted:
            _require_room_for_refunds(after, have)


def _require_beside_refund(escrow: Escrow, standing: int, wanted: int) -> None:
    """Refuse a transfer that would have to grow, or to be made anew, beside a refund."""
    held = money(standing, escrow.currency)
    begun = "A refund of this payment has begun, so that Razorpay"
    if wanted > standing:
        raise Refusal(
            Reason.WRONG_STATUS,
            f"{begun} transfers no more to the seller than the {held} that it holds.",
        )
    if wanted and 0 < standing - wanted < MIN_AMOUNT_MINOR:
        least = money(MIN_AMOUNT_MINOR, escrow.currency)
        raise Refusal(
            Reason.WRONG_STATUS,
            f"{begun} can take back nothing, or at least {least}, of the {held} that it holds for"
            " the seller.",
        )


def _require_room_for_refunds(after: Escrow, have: Found) -> None:
    """Refuse to release beside a refund by hand that the buyer's share does not take in."""
    known = {one.refund_id for one in after.payment.refunds}
    by_hand = [
        r
        for r in have.refunds
        if is_alive(r) and "part" not in r.notes and r.refund_id not in known
    ]
    made = sum(r.amount_minor for r in by_hand)
    owing = sum(p.owing_minor for p in after.parts)
    if made > owing:
        raise Refusal(
            Reason.WRONG_STATUS,
            f"The buyer has {money(made, after.currency)} back already, by a refund that was made"
            f" at Razorpay by hand ({by_hand[0].refund_id}). Give the buyer at least as much.",
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
