"""The seller's transfer of a part: brought to what is wanted, on hold until the release. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.law import command as c
from core.law.escrow import Escrow
from core.law.money import MIN_AMOUNT_MINOR
from core.law.part import Move, Part, Settlement
from core.law.status import AttentionCode, Status
from core.razorpay import Refund, Transfer
from core.settlement.act import (
    Blocked,
    Found,
    Hold,
    Reverse,
    Step,
    Stuck,
    Unhold,
    Wait,
    is_alive,
    live,
    must_wait,
    transfers_of,
)
from core.settlement.report import WHOLE, Report


def hold(escrow: Escrow, part: Part, have: Found, account_id: str | None) -> Iterator[Step]:
    """Bring the seller's transfer of a part to what is wanted; yields nothing when it is there."""
    wanted = wanted_minor(escrow, part)
    ours = transfers_of(escrow, part.part_id, have)
    alive = live(ours)
    if any(t.status in ("created", "pending") for t in alive):
        yield Wait()
        return
    standing = sum(t.amount_minor - t.reversed_minor for t in alive)
    if standing > wanted:
        yield _reverse(alive, part, have, standing - wanted)
    elif standing < wanted:
        yield _reversed_by_hand(escrow, part, have, ours) or _transfer(
            escrow, part, have, account_id, wanted - standing, ours
        )
    elif wanted and _is_news(part, standing):
        yield _report(escrow, part, have, alive, standing)


def wanted_minor(escrow: Escrow, part: Part) -> int:
    """What the seller's transfer of a part must come to."""
    if part.settlement is not None:
        return part.settlement.transfer_minor
    return part.held_minor - part.fee_on(part.held_minor, escrow.fee_bps)


def _is_news(part: Part, standing: int) -> bool:
    """Whether the record lacks it. What changes while it settles is reported at the end."""
    if part.settlement is not None:
        return part.on_hold_minor == 0
    return part.on_hold_minor != standing


def _reversed_by_hand(
    escrow: Escrow, part: Part, have: Found, ours: Sequence[Transfer]
) -> Stuck | None:
    """Say that somebody has taken a transfer back, until a person has it made anew."""
    foreign = [
        r for t in ours for r in have.reversals.get(t.transfer_id, ()) if "part" not in r.notes
    ]
    if len(foreign) <= escrow.retries:
        return None
    problem = f"Reversal {foreign[0].reversal_id} was not made by Holdfast."
    return Stuck(part.part_id, problem, AttentionCode.FOREIGN_TRANSFER)


def _reverse(alive: Sequence[Transfer], part: Part, have: Found, excess: int) -> Step:
    transfer = max(alive, key=lambda t: t.amount_minor - t.reversed_minor)
    standing = transfer.amount_minor - transfer.reversed_minor
    if not transfer.on_hold and part.settlement is None:
        return _released_by_hand(part, transfer)
    if excess >= MIN_AMOUNT_MINOR:
        return Reverse(transfer.transfer_id, part.part_id, min(excess, standing))
    # Razorpay reverses no less than its minimum: reverse all of it, and make the transfer again.
    if any(is_alive(r) for r in have.refunds):
        return Stuck(
            part.part_id,
            f"Transfer {transfer.transfer_id} is {excess} too large, which is too little to reverse"
            " and, beside a refund, cannot be transferred anew.",
        )
    return Reverse(transfer.transfer_id, part.part_id, standing)


def _transfer(
    escrow: Escrow,
    part: Part,
    have: Found,
    account_id: str | None,
    missing: int,
    ours: Sequence[Transfer],
) -> Step:
    # Failures count for one account.
    failed = [t for t in ours if t.status == "failed" and t.account_id == account_id]
    why = failed[0].error_reason or "no reason given" if failed else ""
    problem = f"Razorpay failed {len(failed)} transfers to the seller: {why}."
    if must_wait(escrow, len(failed), problem):
        return Stuck(part.part_id, problem, AttentionCode.PAYEE_REFUSED, account_id or "")
    if any(is_alive(r) for r in have.refunds):
        return Stuck(
            part.part_id,
            "A refund of this payment has begun, so that Razorpay takes no transfer to the seller.",
        )
    if account_id is None:
        if part.status is not Status.SETTLING:
            return Blocked()
        return Stuck(
            part.part_id,
            "PAYEE_MISSING: the seller has no linked account; register the payee.",
            AttentionCode.PAYEE_MISSING,
        )
    alive = live(ours)
    if alive and missing < MIN_AMOUNT_MINOR:
        # Razorpay transfers no less than its minimum: take it back, and make it anew in full.
        largest = max(alive, key=lambda t: t.amount_minor - t.reversed_minor)
        left = largest.amount_minor - largest.reversed_minor
        return Reverse(largest.transfer_id, part.part_id, left)
    return Hold(have.payment.payment_id, part.part_id, account_id, missing)


def _report(
    escrow: Escrow, part: Part, have: Found, alive: Sequence[Transfer], standing: int
) -> Step:
    transfer = alive[0]
    if not transfer.on_hold and part.settlement is None:
        return _released_by_hand(part, transfer)
    moves = moves_of(escrow, part, have)
    command = c.ReportHold(transfer.transfer_id, standing, part.part_id, moves)
    cause = f"razorpay:{transfer.transfer_id}:held"
    # The same transfer is told of again where a part of it was taken back.
    return Report(command, f"{cause}:v{escrow.version}" if part.on_hold_minor else cause)


def _released_by_hand(part: Part, transfer: Transfer) -> Stuck:
    problem = f"Transfer {transfer.transfer_id} was released by hand."
    return Stuck(part.part_id, problem, AttentionCode.FOREIGN_TRANSFER)


def release(escrow: Escrow, part: Part, settlement: Settlement, have: Found) -> Step:
    """Answer the end of the hold, or that all of the settlement is done."""
    if settlement.transfer_minor:
        for transfer in live(transfers_of(escrow, part.part_id, have)):
            if transfer.on_hold:
                return _unhold(escrow, part, transfer, have)
    cause = f"settle:{escrow.escrow_id}:{part.part_id or WHOLE}"
    return Report(c.CompleteSettlement(part.part_id, moves_of(escrow, part, have)), cause)


def _unhold(escrow: Escrow, part: Part, transfer: Transfer, have: Found) -> Step:
    if escrow.bank_disputes:
        return Blocked()
    known = {one.refund_id for one in escrow.payment.refunds}
    known |= set(escrow.borne_refunds)
    for refund in have.refunds:
        is_ours = refund.notes.get("escrow_id") == escrow.escrow_id or refund.refund_id in known
        if is_alive(refund) and not is_ours:
            return _beside(part, refund)
    return Unhold(transfer.transfer_id, part.part_id)


def _beside(part: Part, refund: Refund) -> Stuck:
    """Say that nothing is released beside a refund by hand, and what a person can do."""
    counts = (
        f"Refund {refund.refund_id} was not made by Holdfast: nothing is released beside it."
        " Divide the settlement anew, so that it counts as the buyer's share."
    )
    comes_on_top = (
        f"Refund {refund.refund_id} was not made by Holdfast, and comes on top of what the buyer is"
        " to get. Try again to pay the seller as decided: the platform then bears the refund."
    )
    return Stuck(
        part.part_id,
        counts if part.may_divide_anew else comes_on_top,
        AttentionCode.FOREIGN_REFUND,
        subject=refund.refund_id,
    )


def moves_of(escrow: Escrow, part: Part, have: Found) -> tuple[Move, ...]:
    """List every transfer of a part, and every reversal of one, the oldest first."""
    moves: list[Move] = []
    for t in reversed(transfers_of(escrow, part.part_id, have)):
        if t.status == "failed":
            continue
        moves.append(Move(t.transfer_id, t.amount_minor, t.fee_minor, t.tax_minor))
        back = reversed(have.reversals.get(t.transfer_id, ()))
        moves += [Move(r.reversal_id, -r.amount_minor) for r in back]
    return tuple(moves)
