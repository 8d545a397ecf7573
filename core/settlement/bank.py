"""Lost chargebacks: where the money comes from that the bank has given to the buyer. Pure.

It is taken from what is held and what Razorpay has done nothing with yet. An un-hold or a refund
that Razorpay's listings show was faster, and is reported as usual. What nothing is left for is the
platform's loss.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.law import command as c
from core.law.chargeback import charged, unsettled
from core.law.escrow import Escrow
from core.law.money import MIN_AMOUNT_MINOR
from core.law.part import Part
from core.law.payment import Chargeback, Surplus
from core.law.status import Status
from core.settlement.act import Blocked, Found, Step, is_alive, live, refunds_of, transfers_of
from core.settlement.hold import wanted_minor
from core.settlement.report import WHOLE, Report

# In this order a lost dispute takes from what is held.
_ORDER = (Status.HELD, Status.DISPUTED, Status.SETTLING, Status.CANCELLED)


def of_surplus(escrow: Escrow, surplus: Surplus, have: Found) -> Iterator[Step]:
    """Say what the bank's disputes make of a surplus payment; nothing if it is to be refunded."""
    if any(is_alive(r) and r.refund_id not in surplus.refund_ids for r in have.refunds):
        return  # The refund was faster, and is reported as usual.
    for one in escrow.chargebacks:
        if one.payment_id == surplus.payment_id and not one.is_over:
            yield Blocked()
            return
    for one in unsettled(escrow):
        if one.payment_id == surplus.payment_id:
            amount = min(one.unsettled_minor, surplus.rest_minor)
            command = c.TakeBack(one.dispute_id, amount, payment_id=surplus.payment_id)
            yield Report(command, _cause(escrow, one, surplus.payment_id), is_exclusive=True)
            return


def of_payment(escrow: Escrow, have: Found) -> Iterator[Step]:
    """Take what was lost of the escrow's payment from its parts; nothing where all is settled."""
    for one in _lost(escrow):
        holding = sorted(_holding(escrow), key=lambda p: _ORDER.index(p.status))
        quiet = [part for part in holding if not _is_under_way(escrow, part, have)]
        for part in quiet:
            amount = _givable(escrow, part, min(one.unsettled_minor, part.held_minor), have)
            if amount:
                command = c.TakeBack(one.dispute_id, amount, part.part_id)
                cause = _cause(escrow, one, part.part_id or WHOLE)
                yield Report(command, cause, is_exclusive=True)
                return
        if quiet and len(quiet) == len(holding):
            yield _loss(escrow, one)
            return


def _givable(escrow: Escrow, part: Part, amount: int, have: Found) -> int:
    """Answer how much of an amount can be taken from a part without leaving it stuck.

    Beside a refund Razorpay makes no transfer, and it reverses no less than its minimum. So a crumb
    between the seller's transfer and what the seller is to get could never be moved.
    """
    if part.status is Status.CANCELLED or not any(map(is_alive, have.refunds)):
        return amount
    alive = live(transfers_of(escrow, part.part_id, have))
    standing = sum(t.amount_minor - t.reversed_minor for t in alive)
    missing = max(wanted_minor(escrow, part) - standing, 0)
    for less in (amount, part.owing_minor, part.owing_minor - MIN_AMOUNT_MINOR):
        if 0 < less <= amount:
            excess = standing - wanted_minor(escrow, charged(escrow, part, less, now_us=0))
            if -missing <= excess <= 0 or excess >= MIN_AMOUNT_MINOR:
                return less
    return 0


def losses(escrow: Escrow) -> Iterator[Step]:
    """Write off what nothing is held for any more."""
    for one in unsettled(escrow):
        is_ours = one.payment_id == escrow.payment.payment_id
        if is_ours and any(_holding(escrow)):
            continue
        if any(s.payment_id == one.payment_id and not s.is_returned for s in escrow.surplus):
            continue
        yield _loss(escrow, one)


def _loss(escrow: Escrow, one: Chargeback) -> Report:
    return Report(c.WriteOff(one.dispute_id), _cause(escrow, one, "loss"), is_exclusive=True)


def _lost(escrow: Escrow) -> list[Chargeback]:
    payment_id = escrow.payment.payment_id
    return [one for one in unsettled(escrow) if one.payment_id == payment_id]


def _holding(escrow: Escrow) -> list[Part]:
    return [p for p in escrow.parts if p.held_minor and p.status in _ORDER]


def _is_under_way(escrow: Escrow, part: Part, have: Found) -> bool:
    """Whether Razorpay has paid the part out, or has a refund that is not in the record yet."""
    if any(not t.on_hold for t in live(transfers_of(escrow, part.part_id, have))):
        return True
    known = {one.refund_id for one in escrow.payment.refunds}
    if part.repaid_minor and not known:
        return False  # Its one refund was reported by a release that did not write down which.
    ours = refunds_of(part.part_id, have)
    if part.status is Status.CANCELLED:
        ours = list(have.refunds)
    return any(is_alive(r) and r.refund_id not in known for r in ours)


def _cause(escrow: Escrow, one: Chargeback, what: str) -> str:
    return f"settle:{one.dispute_id}:{what}:v{escrow.version}"
