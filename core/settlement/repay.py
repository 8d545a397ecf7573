"""Refunds: each is made once, under a key. One that somebody made by hand counts too. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from core.law.escrow import Escrow
from core.law.money import is_movable
from core.law.part import Part, Settlement
from core.law.payment import Surplus
from core.law.status import AttentionCode
from core.law.words import money
from core.razorpay import Refund
from core.settlement.act import Found, Repay, Step, Stuck, Wait, is_alive, must_wait, refunds_of
from core.settlement.report import WHOLE, Report, adoption_report, refund_report


def refund(escrow: Escrow, part: Part, settlement: Settlement, have: Found) -> Iterator[Step]:
    """Refund what a part still owes; refunds by hand count as shares of it."""
    owing, known = part.owing_minor, _known(escrow)
    ours = [r for r in refunds_of(part.part_id, have) if r.refund_id not in known]
    by_hand = None
    if not any(map(is_alive, ours)):
        # One of the whole payment may count for several parts.
        whole = sum(p.owing_minor for p in escrow.parts)
        by_hand = _by_hand(escrow, have, owing) or _by_hand(escrow, have, whole)
        if by_hand is None and _ends_what_is_left(escrow, have, whole):
            by_hand = _more_than_all(escrow, have, whole)
    if by_hand is not None:
        yield _adopted(by_hand, part.part_id)
        return
    stuck = None if any(map(is_alive, ours)) else _too_little_left(escrow, part, have)
    if stuck is not None:
        yield stuck
        return
    is_first = settlement.turn == 0 and owing == settlement.refund_minor
    key = _key(f"{escrow.escrow_id}-{part.part_id}", ours, "" if is_first else owing)
    yield from _repay(escrow, have, ours, owing, part.part_id, key)


def _ends_what_is_left(escrow: Escrow, have: Found, owing: int) -> bool:
    """Whether a refund by hand of more than is to go back may count as all of it."""
    if all(p.held_minor == p.owing_minor for p in escrow.parts):
        return True
    one = _in_the_way(escrow, have, owing)
    return one is not None and one.refund_id in escrow.borne_refunds


def _more_than_all(escrow: Escrow, have: Found, owing: int) -> Refund | None:
    """Answer a refund by hand that has left less of the payment than all that is to go back.

    What it gave beyond that is a difference that reconciliation tells of.
    """
    one = _in_the_way(escrow, have, owing)
    return replace(one, amount_minor=owing) if one is not None else None


def _in_the_way(escrow: Escrow, have: Found, owing: int) -> Refund | None:
    """Answer the largest refund by hand, if Razorpay can refund no more what is owing."""
    known = _known(escrow)
    made = [r for r in have.refunds if is_alive(r)]
    left = escrow.payment.amount_minor - sum(r.amount_minor for r in made)
    by_hand = [r for r in made if "part" not in r.notes and r.refund_id not in known]
    largest = max(by_hand, key=lambda r: r.amount_minor, default=None)
    return largest if owing > left else None


def _too_little_left(escrow: Escrow, part: Part, have: Found) -> Stuck | None:
    """Say that refunds by hand have left less of the payment than is to be refunded."""
    one = _in_the_way(escrow, have, part.owing_minor)
    if one is None:
        return None
    amount = money(one.amount_minor, escrow.currency)
    more = (
        f"Refund {one.refund_id} of {amount} was not made by Holdfast, and is more than is to be"
        " refunded. Give the buyer more, so that it counts."
    )
    most = (
        f"Refund {one.refund_id} of {amount} was not made by Holdfast, and is more than the buyer"
        " can still be given. Try again to settle the rest as decided: the platform then bears the"
        " difference."
    )
    may_give_more = any(p.may_give_more for p in escrow.parts)
    return Stuck(
        part.part_id,
        more if may_give_more else most,
        AttentionCode.FOREIGN_REFUND,
        subject=one.refund_id,
    )


def refund_late(escrow: Escrow, have: Found) -> Iterator[Step]:
    """Refund what came after the escrow was cancelled, whoever has refunded of it already."""
    owing, known = escrow.held_minor, _known(escrow)
    ours = [
        r
        for r in have.refunds
        if r.refund_id not in known and (r.notes.get("part") == WHOLE or r.amount_minor == owing)
    ]
    by_hand = None
    if not any(map(is_alive, ours)):
        by_hand = _by_hand(escrow, have, owing) or _more_than_all(escrow, have, owing)
    if by_hand is not None:
        yield _adopted(by_hand, "")
        return
    key = _key(escrow.escrow_id, ours, "" if owing == escrow.amount_minor else owing)
    yield from map(_as_settlements, _repay(escrow, have, ours, owing, "", key))


def refund_surplus(escrow: Escrow, surplus: Surplus, have: Found) -> Iterator[Step]:
    """Refund a payment that nobody wanted, but for what somebody has refunded of it already."""
    owing = surplus.rest_minor
    made = [r for r in have.refunds if r.refund_id not in surplus.refund_ids]
    if surplus.refunded_minor > surplus.bank_minor and not surplus.refund_ids:
        made = []  # Reported by a release that did not write down which.
    key = _key(surplus.payment_id, made, "" if owing == surplus.amount_minor else owing)
    for step in map(_as_settlements, _repay(escrow, have, made, owing, "", key)):
        yield replace(step, subject=surplus.payment_id) if isinstance(step, Stuck) else step


def _key(name: str, ours: Sequence[Refund], amount: int | str) -> str:
    """Answer the key of the next try. Razorpay refuses a key that it knows with another amount."""
    failed = sum(not is_alive(r) for r in ours)
    return f"{name}-{failed}-{amount}" if amount else f"{name}-{failed}"


def _known(escrow: Escrow) -> Collection[str]:
    return {one.refund_id for one in escrow.payment.refunds}


def _by_hand(escrow: Escrow, have: Found, owing: int) -> Refund | None:
    """Answer a refund that is nobody's and fits what is owing, best where no crumb is left."""
    known = _known(escrow)
    fitting = [
        one
        for one in reversed(have.refunds)
        if is_alive(one)
        and "part" not in one.notes
        and one.refund_id not in known
        and one.amount_minor <= owing
    ]
    return min(fitting, key=lambda r: _crumb(owing - r.amount_minor), default=None)


def _crumb(left: int) -> int:
    """Rank what would be left: nothing before what can be refunded before what cannot."""
    return 0 if left == 0 else 1 if is_movable(left) else 2


def _adopted(by_hand: Refund, part_id: str) -> Step:
    return adoption_report(by_hand, part_id) if by_hand.status == "processed" else Wait()


def _as_settlements(step: Step) -> Step:
    """Give a report a cause of its own.

    The refund's webhook may have come before the payment's, and have used the usual one.
    """
    if not isinstance(step, Report):
        return step
    return replace(step, cause=step.cause.replace("razorpay:", "settle:", 1))


def _repay(
    escrow: Escrow, have: Found, ours: Sequence[Refund], amount: int, part_id: str, key: str
) -> Iterator[Step]:
    failed = sum(not is_alive(r) for r in ours)
    made = [r for r in ours if is_alive(r)]
    done = next((r for r in made if r.status == "processed"), None)
    if done is not None:
        yield refund_report(done, done.notes.get("escrow_id", ""))
    elif made:
        yield Wait()
    else:
        problem = f"Razorpay failed {failed} refunds to the buyer."
        stuck = must_wait(escrow, failed, problem)
        refund = Repay(have.payment.payment_id, part_id, amount, key)
        yield Stuck(part_id, problem) if stuck else refund
