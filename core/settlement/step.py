"""The comparison: what Razorpay has, what the escrow wants, and the one next step. Pure.

The order: every seller's transfer is on hold before the first refund, because Razorpay takes no
transfer once a refund has begun. Then the excess is reversed, then the refund is made, then the
hold ends. Only Razorpay's listings say what is done. That we asked proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.law import command as c
from core.law.escrow import AttentionCode, Escrow, Part, PaymentStatus, Settlement, Status
from core.law.money import MIN_AMOUNT_MINOR
from core.razorpay import Payment, Refund, Reversal, Transfer
from core.settlement.report import WHOLE, Report, payment_report, refund_report

# How often a transfer or refund that Razorpay fails is made again before a person has to look, and
# as often again each time that one has it tried again.
MAX_FAILED = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What Razorpay's listings say about one payment."""

    payment: Payment
    transfers: Sequence[Transfer] = ()
    reversals: Mapping[str, Sequence[Reversal]] = field(default_factory=dict)
    refunds: Sequence[Refund] = ()


@dataclass(frozen=True, slots=True)
class Capture:
    payment_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Make the seller's transfer, on hold. Razorpay knows no idempotency key for it."""

    payment_id: str
    part_id: str
    account_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take back from the seller's transfer. Razorpay knows no idempotency key for it."""

    transfer_id: str
    part_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Repay:
    """Give back to the buyer, under an idempotency key."""

    payment_id: str
    part_id: str
    amount_minor: int
    key: str


@dataclass(frozen=True, slots=True)
class Unhold:
    transfer_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Razorpay is still at it; look again soon."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Somebody else has to act first, and nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A person has to look."""

    part_id: str
    problem: str
    code: AttentionCode = AttentionCode.GATEWAY_REFUSED


Act = Capture | Hold | Reverse | Repay | Unhold | Report
Step = Act | Wait | Stuck | Blocked

_ORDER = (Wait, Stuck, Blocked)


def next_step(escrow: Escrow, found: Mapping[str, Found], account_id: str | None) -> Step | None:
    """Answer the one next step, or None when Razorpay is where the escrow wants it.

    `found` has the listings of each payment of `payments_of(escrow)`; `account_id` is the seller's
    linked account, if there is one. What can be done goes before what must be waited for.
    """
    rest: list[Step] = []
    for step in _steps(escrow, found, account_id):
        if isinstance(step, Act):
            return step
        rest.append(step)
    return min(rest, key=lambda step: _ORDER.index(type(step)), default=None)


def payments_of(escrow: Escrow) -> list[str]:
    """Answer the payments that have to be looked up."""
    ids = [s.payment_id for s in escrow.surplus if not s.is_returned]
    is_wanted = escrow.payment.is_captured or escrow.payment.status is PaymentStatus.AUTHORIZED
    return [*ids, escrow.payment.payment_id] if is_wanted else ids


def _steps(escrow: Escrow, found: Mapping[str, Found], account_id: str | None) -> Iterator[Step]:
    for surplus in escrow.surplus:
        if not surplus.is_returned:
            paid = found[surplus.payment_id]
            yield from _refund_all(escrow, paid, surplus.amount_minor, surplus.payment_id)
    have = found.get(escrow.payment.payment_id)
    if have is None:
        return
    if escrow.status is Status.INITIATED:
        yield _capture(escrow, have)
    elif escrow.status is Status.CANCELLED:
        if escrow.held_minor:
            if escrow.lost_bank_disputes:
                yield _lost(escrow, "")
            else:
                yield from _refund_all(escrow, have, escrow.held_minor, escrow.escrow_id)
    else:
        yield from _settle(escrow, have, account_id)


def _capture(escrow: Escrow, have: Found) -> Step:
    payment = have.payment
    if payment.status == "authorized":
        return Capture(payment.payment_id, escrow.amount_minor)
    report = payment_report(payment)
    return report if payment.status in ("captured", "refunded") else Wait()


def _settle(escrow: Escrow, have: Found, account_id: str | None) -> Iterator[Step]:
    open_parts = [
        p for p in escrow.parts if p.status in (Status.HELD, Status.DISPUTED, Status.SETTLING)
    ]
    are_held = True
    for part in open_parts:
        for step in _hold(escrow, part, have, account_id):
            are_held = False
            yield step
    for part in open_parts:
        settlement = part.settlement
        if settlement is None:
            continue
        if part.refunded_minor != settlement.refund_minor:
            if escrow.lost_bank_disputes:
                yield _lost(escrow, part.part_id)
            elif are_held:
                yield from _refund(escrow, have, settlement.refund_minor, part.part_id)
            elif settlement.transfer_minor == 0 or not account_id:
                yield Stuck(
                    part.part_id,
                    "The refund waits: Razorpay takes no transfer once a refund has begun, and a"
                    " transfer to the seller is still to be made.",
                )
        elif are_held or not settlement.release_minor:
            yield _release(escrow, part, settlement, have)


def _hold(escrow: Escrow, part: Part, have: Found, account_id: str | None) -> Iterator[Step]:
    """Bring the seller's transfer of a part to what is wanted; yields nothing when it is there."""
    if part.settlement is not None:
        wanted = part.settlement.transfer_minor
    else:
        wanted = part.amount_minor - part.full_fee_minor
    ours = [t for t in have.transfers if _is_of(t.notes, escrow.escrow_id, part.part_id)]
    live = [t for t in ours if t.status != "failed" and t.amount_minor > t.reversed_minor]
    if any(t.status in ("created", "pending") for t in live):
        yield Wait()
        return
    foreign = [
        r for t in ours for r in have.reversals.get(t.transfer_id, ()) if "part" not in r.notes
    ]
    if foreign:
        problem = f"Reversal {foreign[0].reversal_id} was not made by Holdfast."
        yield Stuck(part.part_id, problem, AttentionCode.FOREIGN_TRANSFER)
        return
    standing = sum(t.amount_minor - t.reversed_minor for t in live)
    if standing > wanted:
        yield _reverse(live, part, have, standing - wanted)
    elif standing < wanted:
        yield _transfer(escrow, part, have, account_id, wanted - standing, ours)
    elif part.on_hold_minor == 0 and wanted:
        yield _hold_report(part, live, standing)


def _reverse(live: Sequence[Transfer], part: Part, have: Found, excess: int) -> Step:
    transfer = max(live, key=lambda t: t.amount_minor - t.reversed_minor)
    standing = transfer.amount_minor - transfer.reversed_minor
    if not transfer.on_hold and part.settlement is None:
        return _released_by_hand(part, transfer)
    if excess >= MIN_AMOUNT_MINOR:
        return Reverse(transfer.transfer_id, part.part_id, min(excess, standing))
    # Razorpay reverses no less than its minimum: reverse all of it, and make the transfer again.
    if any(r.status != "failed" for r in have.refunds):
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
    if _must_wait(escrow, len(failed), problem):
        return Stuck(part.part_id, problem)
    if any(r.status != "failed" for r in have.refunds):
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
    return Hold(have.payment.payment_id, part.part_id, account_id, missing)


def _hold_report(part: Part, live: Sequence[Transfer], standing: int) -> Step:
    transfer = live[0]
    if not transfer.on_hold and part.settlement is None:
        return _released_by_hand(part, transfer)
    command = c.ReportHold(transfer.transfer_id, standing, part.part_id)
    return Report(command, f"razorpay:{transfer.transfer_id}:held")


def _released_by_hand(part: Part, transfer: Transfer) -> Stuck:
    problem = f"Transfer {transfer.transfer_id} was released by hand."
    return Stuck(part.part_id, problem, AttentionCode.FOREIGN_TRANSFER)


def _must_wait(escrow: Escrow, failed: int, problem: str) -> bool:
    """Whether a person has to be told of so many failures before the next try.

    Afterwards they are tried again when somebody asks for it or registers the account again, and
    every hour when nobody can ask.
    """
    return failed >= MAX_FAILED * (1 + escrow.retries) and not escrow.is_told(problem)


def _lost(escrow: Escrow, part_id: str) -> Stuck:
    return Stuck(
        part_id,
        f"The bank gave the buyer the money of the lost dispute {escrow.lost_bank_disputes[0]}:"
        " a refund would give it a second time, and is not made.",
        AttentionCode.BANK_DISPUTE,
    )


def _refund(escrow: Escrow, have: Found, amount: int, part_id: str) -> Iterator[Step]:
    tag = part_id or WHOLE
    ours = [r for r in have.refunds if r.notes.get("part") == tag]
    yield from _repay(escrow, have, ours, amount, part_id, f"{escrow.escrow_id}-{part_id}")


def _refund_all(escrow: Escrow, have: Found, amount: int, key: str) -> Iterator[Step]:
    """Refund the whole payment unless that was done, whoever asked for it."""
    ours = [r for r in have.refunds if r.notes.get("part") == WHOLE or r.amount_minor == amount]
    for step in _repay(escrow, have, ours, amount, "", key):
        if isinstance(step, Report):
            # The refund's webhook may have come before the payment's, and have used its cause.
            step = replace(step, cause=step.cause.replace("razorpay:", "settle:", 1))
        yield step


def _repay(
    escrow: Escrow, have: Found, ours: Sequence[Refund], amount: int, part_id: str, key: str
) -> Iterator[Step]:
    failed = sum(r.status == "failed" for r in ours)
    made = [r for r in ours if r.status != "failed"]
    if not made:
        problem = f"Razorpay failed {failed} refunds to the buyer."
        if _must_wait(escrow, failed, problem):
            yield Stuck(part_id, problem)
            return
        yield Repay(have.payment.payment_id, part_id, amount, f"{key}-{failed}")
    elif any(r.status == "pending" for r in made):
        yield Wait()
    else:
        yield refund_report(made[0], made[0].notes.get("escrow_id", ""))


def _release(escrow: Escrow, part: Part, settlement: Settlement, have: Found) -> Step:
    if settlement.release_minor:
        for transfer in have.transfers:
            is_ours = _is_of(transfer.notes, escrow.escrow_id, part.part_id)
            is_live = transfer.amount_minor > transfer.reversed_minor
            if is_ours and is_live and transfer.on_hold and transfer.status != "failed":
                return _unhold(escrow, part, transfer, have)
    cause = f"settle:{escrow.escrow_id}:{part.part_id or WHOLE}"
    return Report(c.CompleteSettlement(part.part_id), cause)


def _unhold(escrow: Escrow, part: Part, transfer: Transfer, have: Found) -> Step:
    if escrow.bank_disputes:
        return Blocked()
    for refund in have.refunds:
        if refund.status != "failed" and refund.notes.get("escrow_id") != escrow.escrow_id:
            return Stuck(
                part.part_id,
                f"Refund {refund.refund_id} was not made by Holdfast: nothing is released beside"
                f" it. Let {transfer.transfer_id} go or reverse it at Razorpay.",
            )
    return Unhold(transfer.transfer_id)


def mark(step: Act, found: Mapping[str, Found]) -> str | None:
    """Answer how to tell later from the listings whether a call that has no key was done."""
    if isinstance(step, Hold):
        return f"hold {step.payment_id} {len(found[step.payment_id].transfers)}"
    if isinstance(step, Reverse):
        return f"reverse {step.transfer_id} {_reversed_minor(step.transfer_id, found)}"
    return None


def is_shown(asked: str, found: Mapping[str, Found]) -> bool:
    """Whether the listings show that the call of a mark was done."""
    verb, entity_id, before = asked.split()
    if verb == "hold":
        return entity_id in found and len(found[entity_id].transfers) > int(before)
    return _reversed_minor(entity_id, found) > int(before)


def _reversed_minor(transfer_id: str, found: Mapping[str, Found]) -> int:
    transfers = (t for one in found.values() for t in one.transfers)
    return sum(t.reversed_minor for t in transfers if t.transfer_id == transfer_id)


def _is_of(notes: Mapping[str, str], escrow_id: str, part_id: str) -> bool:
    return notes.get("escrow_id") == escrow_id and notes.get("part") == (part_id or WHOLE)
