"""Chargebacks: disputes of the buyer's bank, and where the money of a lost one comes from. Pure.

While one is open, nothing of its payment is released. One that is won or closed changes nothing.
The money of a lost one is with the buyer already. It is taken from what is held, part by part; what
is held no more is the platform's loss. Only settlement can say which it is, because only the
provider's listings show what has been paid out: it gives TakeBack and WriteOff.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.law import command as c
from core.law.attention import ended, raised
from core.law.command import Caller
from core.law.escrow import Attention, Escrow, Event
from core.law.event import step
from core.law.money import MIN_AMOUNT_MINOR
from core.law.part import BANK, Dispute, Part, Settlement
from core.law.payment import Chargeback, Surplus
from core.law.status import FINAL, AttentionCode, DisputeStatus, EventType, Status
from core.law.words import money

# The tails of `payment.dispute.*` that leave the money where it is (RZP/webhooks/disputes.md).
_ENDED = frozenset({"won", "closed"})


def reported(
    escrow: Escrow, command: c.ReportBankDispute, caller: Caller, now_us: int
) -> Event | None:
    if not _is_of(escrow, command):
        return None
    before = _known(escrow, command)
    after = _told(before, command)
    if after in escrow.chargebacks or (before.is_over and after == before):
        return None
    escrow_after = _marked(_with(escrow, after), after)
    data: dict[str, Any] = {"dispute_id": command.dispute_id, "phase": command.phase}
    if after.is_lost and not _can_take(escrow_after, after):
        escrow_after = _written_off(escrow_after, after, now_us)
        data["platform_loss_minor"] = after.unsettled_minor
        data["attention"] = escrow_after.attention
    elif after.is_over and not after.is_lost:
        over = {AttentionCode.BANK_DISPUTE}
        escrow_after = ended(escrow_after, over, subject=after.dispute_id)
    else:
        item = _warning(escrow, after, now_us)
        escrow_after = raised(escrow_after, item)
        data["attention"] = item.message
    return step(escrow, escrow_after, now_us, EventType.ATTENTION_RAISED, caller, data=data)


def _is_of(escrow: Escrow, command: c.ReportBankDispute) -> bool:
    """Whether the dispute is about money that this escrow has seen, or may come to see."""
    if command.dispute_id in escrow.bank_disputes:
        return True
    if any(s.payment_id == command.payment_id for s in escrow.surplus):
        return True
    return not escrow.payment.is_captured or escrow.payment.payment_id == command.payment_id


def _known(escrow: Escrow, command: c.ReportBankDispute) -> Chargeback:
    for one in escrow.chargebacks:
        if one.dispute_id == command.dispute_id:
            return one
    is_over = command.dispute_id in escrow.ended_bank_disputes
    return Chargeback(command.dispute_id, command.payment_id, 0, is_over=is_over)


def _told(before: Chargeback, command: c.ReportBankDispute) -> Chargeback:
    """Answer what is known of a dispute after a report. Reports come in any order."""
    if before.is_lost:
        return before  # A lost dispute stays lost, whatever is reported before or after.
    # What was reported first counts, because phases arrive in any order. Only the end changes it.
    amount = before.amount_minor or command.amount_minor
    told = replace(before, amount_minor=amount)
    if command.phase == "lost":
        amount = command.amount_minor or amount
        taken = max(amount, command.deducted_minor)
        told = replace(told, amount_minor=amount)
        return replace(
            told, is_over=True, is_lost=True, deducted_minor=taken, unsettled_minor=taken
        )
    if command.phase in _ENDED:
        return replace(told, is_over=True, deducted_minor=0)
    if before.is_over:
        return before
    return replace(told, deducted_minor=max(before.deducted_minor, command.deducted_minor))


def _with(escrow: Escrow, chargeback: Chargeback) -> Escrow:
    rest = [one for one in escrow.chargebacks if one.dispute_id != chargeback.dispute_id]
    ordered = sorted((*rest, chargeback), key=lambda one: one.dispute_id)
    return replace(escrow, chargebacks=tuple(ordered))


def _marked(escrow: Escrow, chargeback: Chargeback) -> Escrow:
    """Note what the dispute bars: the release, until it is over and its money is settled."""
    dispute_id = chargeback.dispute_id
    payment = escrow.payment
    is_ours = not payment.is_captured or payment.payment_id == chargeback.payment_id
    is_barring = is_ours and (not chargeback.is_over or chargeback.unsettled_minor > 0)
    return replace(
        escrow,
        bank_disputes=_member(escrow.bank_disputes, dispute_id, is_barring),
        ended_bank_disputes=_member(
            escrow.ended_bank_disputes,
            dispute_id,
            chargeback.is_over and not chargeback.is_lost,
        ),
        lost_bank_disputes=_member(escrow.lost_bank_disputes, dispute_id, chargeback.is_lost),
    )


def paid(escrow: Escrow) -> Escrow:
    """Answer the escrow after a payment has come: now it is known which disputes are about it."""
    ours = {escrow.payment.payment_id, *(s.payment_id for s in escrow.surplus)}
    for one in escrow.chargebacks:
        escrow = _marked(escrow, one)
        if escrow.payment.is_captured and one.payment_id not in ours:
            escrow = ended(escrow, {AttentionCode.BANK_DISPUTE}, subject=one.dispute_id)
    return escrow


def _member(ids: tuple[str, ...], one: str, is_in: bool) -> tuple[str, ...]:
    rest = tuple(other for other in ids if other != one)
    return tuple(sorted((*rest, one))) if is_in else rest


def _warning(escrow: Escrow, chargeback: Chargeback, now_us: int) -> Attention:
    verb = "has lost" if chargeback.is_lost else "faces"
    amount = money(chargeback.amount_minor, escrow.currency)
    return Attention(
        AttentionCode.BANK_DISPUTE,
        f"Payment {chargeback.payment_id} {verb} the bank's dispute {chargeback.dispute_id} of"
        f" {amount}; nothing is released meanwhile.",
        now_us,
        subject=chargeback.dispute_id,
    )


def _can_take(escrow: Escrow, chargeback: Chargeback) -> bool:
    """Whether something may be held that a lost dispute can be taken from."""
    for surplus in escrow.surplus:
        if surplus.payment_id == chargeback.payment_id:
            return not surplus.is_returned
    if not escrow.payment.is_captured:
        return True  # The payment's own report is still to come.
    return any(p.held_minor and p.status not in FINAL - {Status.CANCELLED} for p in escrow.parts)


def unsettled(escrow: Escrow) -> list[Chargeback]:
    """List the lost disputes of payments that have come, whose money is not taken from anybody."""
    ours = {s.payment_id for s in escrow.surplus}
    if escrow.payment.is_captured:
        ours.add(escrow.payment.payment_id)
    return [one for one in escrow.chargebacks if one.unsettled_minor and one.payment_id in ours]


def taken_back(escrow: Escrow, command: c.TakeBack, caller: Caller, now_us: int) -> Event | None:
    chargeback = _unsettled(escrow, command.dispute_id)
    if chargeback is None:
        return None
    if command.payment_id:
        return _from_surplus(escrow, chargeback, command, caller, now_us)
    part = escrow.part(command.part_id)
    if part is None or not 0 < command.amount_minor <= part.held_minor:
        return None
    after = rounded_off(escrow.with_part(charged(escrow, part, command.amount_minor, now_us)))
    payment = replace(
        escrow.payment,
        charged_back_minor=escrow.payment.charged_back_minor + command.amount_minor,
    )
    return _settled(escrow, replace(after, payment=payment), chargeback, command, caller, now_us)


def _unsettled(escrow: Escrow, dispute_id: str) -> Chargeback | None:
    return next((one for one in unsettled(escrow) if one.dispute_id == dispute_id), None)


def charged(escrow: Escrow, part: Part, amount: int, now_us: int) -> Part:
    """Take an amount from a part, and divide anew what is left of it."""
    held = part.held_minor - amount
    part = replace(
        part,
        held_minor=held,
        refunded_minor=part.refunded_minor + amount,
        bank_minor=part.bank_minor + amount,
    )
    if part.status is Status.CANCELLED:
        return part
    if held < MIN_AMOUNT_MINOR:
        # The provider moves no less than its minimum: a remainder below it stays with the platform.
        whole = Settlement(
            release_minor=held,
            refund_minor=part.repaid_minor + amount,
            fee_minor=held,
            decided_by=BANK,
            start_time_us=now_us,
            bank_minor=amount,
        )
        dispute = part.dispute and _decided(part.dispute, now_us)
        return replace(part, status=Status.SETTLING, settlement=whole, dispute=dispute)
    if part.settlement is None:
        return part
    refund = max(part.settlement.repay_minor - part.repaid_minor - amount, 0)
    release = _release_of(held, refund)
    rest = replace(
        part.settlement,
        release_minor=release,
        refund_minor=part.repaid_minor + held - release,
        fee_minor=part.fee_on(release, escrow.fee_bps),
        turn=part.settlement.turn + 1,
    )
    return replace(part, settlement=rest)


def rounded_off(escrow: Escrow) -> Escrow:
    """Leave to the platform what is held of a cancelled escrow and is too little to be moved."""
    if escrow.status is not Status.CANCELLED or escrow.held_minor >= MIN_AMOUNT_MINOR:
        return escrow
    parts = (replace(p, held_minor=0, fee_minor=p.fee_minor + p.held_minor) for p in escrow.parts)
    return replace(escrow, parts=tuple(parts))


def returned(surplus: Surplus, amount: int) -> Surplus:
    """Give so much of a surplus payment back; a rest too small to be moved stays here."""
    after = replace(surplus, refunded_minor=surplus.refunded_minor + amount)
    kept = after.rest_minor if 0 < after.rest_minor < MIN_AMOUNT_MINOR else 0
    return replace(after, kept_minor=after.kept_minor + kept)


def _decided(dispute: Dispute, now_us: int) -> Dispute:
    if dispute.status is not DisputeStatus.OPEN:
        return dispute
    return replace(
        dispute,
        status=DisputeStatus.RESOLVED,
        end_time_us=now_us,
        note="The buyer's bank has decided.",
    )


def _release_of(held: int, refund: int) -> int:
    """Answer the release beside a refund, where each is nothing or at least the minimum."""
    if refund < MIN_AMOUNT_MINOR:
        return held
    return held - refund if held - refund >= MIN_AMOUNT_MINOR else 0


def _from_surplus(
    escrow: Escrow, chargeback: Chargeback, command: c.TakeBack, caller: Caller, now_us: int
) -> Event | None:
    surplus = next((s for s in escrow.surplus if s.payment_id == command.payment_id), None)
    if surplus is None or not 0 < command.amount_minor <= surplus.rest_minor:
        return None
    done = _charged_surplus(surplus, command.amount_minor)
    after = replace(escrow, surplus=tuple(done if s is surplus else s for s in escrow.surplus))
    if done.is_returned:
        after = ended(after, {AttentionCode.SURPLUS_PAYMENT}, subject=surplus.payment_id)
    return _settled(escrow, after, chargeback, command, caller, now_us)


def _charged_surplus(surplus: Surplus, amount: int) -> Surplus:
    return replace(returned(surplus, amount), bank_minor=surplus.bank_minor + amount)


def _settled(
    before: Escrow,
    after: Escrow,
    chargeback: Chargeback,
    command: c.TakeBack,
    caller: Caller,
    now_us: int,
) -> Event:
    rest = replace(chargeback, unsettled_minor=chargeback.unsettled_minor - command.amount_minor)
    after = _marked(_with(after, rest), rest)
    if not rest.unsettled_minor:
        after = ended(after, {AttentionCode.BANK_DISPUTE}, subject=rest.dispute_id)
    is_started = _is_settling(after, command) and not _is_settling(before, command)
    return step(
        before,
        after,
        now_us,
        EventType.SETTLEMENT_STARTED if is_started else EventType.ATTENTION_RAISED,
        caller,
        part_id=command.part_id,
        data={
            "dispute_id": command.dispute_id,
            "taken_back_minor": command.amount_minor,
            "refunded_by": BANK,
        },
    )


def _is_settling(escrow: Escrow, command: c.TakeBack) -> bool:
    part = None if command.payment_id else escrow.part(command.part_id)
    return part is not None and part.status is Status.SETTLING


def written_off(escrow: Escrow, command: c.WriteOff, caller: Caller, now_us: int) -> Event | None:
    chargeback = _unsettled(escrow, command.dispute_id)
    if chargeback is None:
        return None
    after = _written_off(escrow, chargeback, now_us)
    data = {
        "dispute_id": command.dispute_id,
        "platform_loss_minor": chargeback.unsettled_minor,
        "attention": after.attention,
    }
    return step(escrow, after, now_us, EventType.ATTENTION_RAISED, caller, data=data)


def _written_off(escrow: Escrow, chargeback: Chargeback, now_us: int) -> Escrow:
    rest = replace(chargeback, unsettled_minor=0)
    after = ended(
        _marked(_with(escrow, rest), rest),
        {AttentionCode.BANK_DISPUTE},
        subject=rest.dispute_id,
    )
    amount = money(chargeback.unsettled_minor, escrow.currency)
    return raised(
        after,
        Attention(
            AttentionCode.PLATFORM_LOSS,
            f"The bank gave the buyer {amount} of the lost dispute {rest.dispute_id} that was paid"
            " out already: the platform bears it.",
            now_us,
            subject=rest.dispute_id,
        ),
    )
