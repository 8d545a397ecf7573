"""The deal: what the parties and the clock decide about an escrow. Pure.

Each function is one entry of the table in rules.py. It is called only in a status and by a caller
that the table allows. It answers the event, or None when nothing changes, or raises a Refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.acceptance import require_accepted
from core.law.attention import OBSTACLES, ended
from core.law.command import Caller
from core.law.escrow import FORM, Escrow, Event
from core.law.event import step
from core.law.money import MIN_AMOUNT_MINOR, fee_minor, split_minor
from core.law.part import Confirmation, Part, Settlement
from core.law.payment import Payment
from core.law.status import AttentionCode, EventType, Party, PaymentStatus, Status


def create(command: c.CreateEscrow, caller: Caller, now_us: int) -> Event:
    escrow = Escrow(
        escrow_id=command.escrow_id,
        version=1,
        buyer_id=command.buyer_id,
        seller_id=command.seller_id,
        arbiter_id=command.arbiter_id,
        title=command.title,
        description=command.description,
        amount_minor=command.amount_minor,
        currency=command.currency,
        fee_bps=command.fee_bps,
        payment_window_us=command.payment_window_us,
        inspection_period_us=command.inspection_period_us,
        create_time_us=now_us,
        update_time_us=now_us,
        parts=_parts(command),
        created_by=caller.user_id,
        acceptance_required=command.acceptance_required,
        remind_before_us=command.remind_before_us,
        external_id=command.external_id,
        metadata=command.metadata,
        form=FORM,
    )
    return Event(EventType.ESCROW_CREATED, caller.user_id, None, escrow)


def _parts(command: c.CreateEscrow) -> tuple[Part, ...]:
    """Make the parts, and divide the fee on the whole among them without losing a paisa."""
    fee = fee_minor(command.amount_minor, command.fee_bps)
    if not command.milestones:
        return (Part("", command.amount_minor, full_fee_minor=fee),)
    fees = split_minor(fee, [m.amount_minor for m in command.milestones])
    return tuple(
        Part(
            f"m{i}",
            milestone.amount_minor,
            title=milestone.title,
            # The fee gives way where the seller's transfer would fall below the provider's minimum.
            full_fee_minor=min(fee, milestone.amount_minor - MIN_AMOUNT_MINOR),
        )
        for i, (milestone, fee) in enumerate(zip(command.milestones, fees, strict=True), start=1)
    )


def cancel(escrow: Escrow, command: c.CancelEscrow, caller: Caller, now_us: int) -> Event:
    return _cancelled(escrow, caller, now_us, {"note": command.note} if command.note else {})


def _cancelled(escrow: Escrow, caller: Caller, now_us: int, data: dict[str, Any]) -> Event:
    parts = tuple(replace(p, status=Status.CANCELLED) for p in escrow.parts)
    after = ended(replace(escrow, parts=parts), OBSTACLES)
    return step(escrow, after, now_us, EventType.ESCROW_CANCELLED, caller, data=data)


def record_order(
    escrow: Escrow, command: c.RecordOrder, caller: Caller, now_us: int
) -> Event | None:
    require_accepted(escrow, caller)
    if escrow.payment.order_id:
        return None  # Two calls at one time got the same order: they used the same receipt.
    if command.spent_orders not in (None, escrow.spent_orders):
        raise Refusal(
            Reason.GATEWAY_UNAVAILABLE,
            "A payment that cannot be taken has just spent this order; start the payment again.",
        )
    payment = Payment(PaymentStatus.CREATED, command.order_id)
    return step(
        escrow,
        replace(escrow, payment=payment),
        now_us,
        EventType.PAYMENT_STARTED,
        caller,
        payment_status=PaymentStatus.CREATED,
        data={"order_id": command.order_id},
    )


def publish(escrow: Escrow, command: c.PublishUpdate, caller: Caller, now_us: int) -> Event:
    return step(
        escrow,
        escrow,
        now_us,
        EventType.UPDATE_PUBLISHED,
        caller,
        update_type=command.update_type,
        data=dict(command.data),
    )


def confirm(
    escrow: Escrow, part: Part, command: c.AddConfirmation, caller: Caller, now_us: int
) -> Event:
    party = Party.BUYER if caller.user_id == escrow.buyer_id else Party.SELLER
    if part.has_confirmed(party):
        raise Refusal(Reason.ALREADY_CONFIRMED, f"The {party.lower()} has confirmed already.")
    part = replace(part, confirmations=(*part.confirmations, Confirmation(party, now_us)))
    if party is Party.SELLER:
        part = replace(part, inspect_until_us=now_us + escrow.inspection_period_us)
    if part.has_confirmed(Party.BUYER) and part.has_confirmed(Party.SELLER):
        part = settling(escrow, part, caller, now_us, release=part.held_minor)
    return step(
        escrow,
        escrow.with_part(part),
        now_us,
        EventType.CONFIRMATION_ADDED,
        caller,
        part_id=part.part_id,
        data={"party": party.lower()},
    )


def release(
    escrow: Escrow, parts: Sequence[Part], command: c.ReleaseEscrow, caller: Caller, now_us: int
) -> Event:
    return _start(escrow, parts, command, caller, now_us, is_release=True)


def refund(
    escrow: Escrow, parts: Sequence[Part], command: c.RefundEscrow, caller: Caller, now_us: int
) -> Event:
    return _start(escrow, parts, command, caller, now_us, is_release=False)


def _start(
    escrow: Escrow,
    parts: Sequence[Part],
    command: c.ReleaseEscrow | c.RefundEscrow,
    caller: Caller,
    now_us: int,
    *,
    is_release: bool,
) -> Event:
    after = escrow
    for part in parts:
        after = after.with_part(
            settling(
                escrow,
                part,
                caller,
                now_us,
                release=part.held_minor if is_release else 0,
                note=command.note,
            )
        )
    data = {"note": command.note} if command.note else {}
    return step(
        escrow,
        after,
        now_us,
        EventType.SETTLEMENT_STARTED,
        caller,
        part_id=parts[0].part_id if len(parts) == 1 else "",
        data=data,
    )


def retry(
    escrow: Escrow,
    parts: Sequence[Part],
    command: c.ReleaseEscrow | c.RefundEscrow | c.RetrySettlement,
    caller: Caller,
    now_us: int,
) -> Event:
    """Try a settlement that waits for a person again, in the direction that was decided."""
    agrees = _agrees(parts, command)
    may_retry = not caller.roles.isdisjoint({"admin", "service"})
    if not escrow.attentions or not agrees or not may_retry:
        raise Refusal(
            Reason.WRONG_STATUS,
            "It is decided where this money goes, and it is on its way.",
        )
    after, data = escrow, {"retry": True, "note": command.note}
    for part in parts:
        after = ended(after, OBSTACLES, part_id=part.part_id)
    if "admin" in caller.roles and (borne := _borne(escrow, parts)):
        for refund_id in borne:
            after = ended(after, {AttentionCode.FOREIGN_REFUND}, subject=refund_id)
        after = replace(after, borne_refunds=(*escrow.borne_refunds, *borne))
        data["borne_refunds"] = borne
    return step(
        escrow,
        replace(after, retries=escrow.retries + 1),
        now_us,
        EventType.SETTLEMENT_STARTED,
        caller,
        part_id=parts[0].part_id if len(parts) == 1 else "",
        data=data,
    )


def _borne(escrow: Escrow, parts: Sequence[Part]) -> list[str]:
    """List the refunds by hand that stop these parts, and that no other division could take in."""
    fixed = {part.part_id for part in parts if not part.may_give_more}
    ids = [
        one.subject
        for one in escrow.attentions
        if one.code is AttentionCode.FOREIGN_REFUND and one.part_id in fixed and one.subject
    ]
    return sorted(set(ids) - set(escrow.borne_refunds))


def _agrees(
    parts: Sequence[Part], command: c.ReleaseEscrow | c.RefundEscrow | c.RetrySettlement
) -> bool:
    """Whether what was decided goes in the direction that the caller names."""
    if isinstance(command, c.RetrySettlement):
        return True
    wants_release = isinstance(command, c.ReleaseEscrow)
    settlements = [p.settlement for p in parts if p.settlement is not None]
    return any(s.release_minor if wants_release else s.refund_minor for s in settlements)


def settling(
    escrow: Escrow,
    part: Part,
    caller: Caller,
    now_us: int,
    *,
    release: int,
    note: str = "",
) -> Part:
    settlement = Settlement(
        release_minor=release,
        refund_minor=part.held_minor - release,
        fee_minor=part.fee_on(release, escrow.fee_bps),
        decided_by=caller.user_id,
        start_time_us=now_us,
        note=note,
    )
    return replace(part, status=Status.SETTLING, settlement=settlement)


def pass_deadline(
    escrow: Escrow, command: c.PassDeadline, caller: Caller, now_us: int
) -> Event | None:
    due_us = escrow.deadline_us
    if due_us is None:
        return None
    if now_us < due_us:
        return _remind(escrow, caller, now_us)
    if escrow.status is Status.INITIATED:
        return _cancelled(escrow, caller, now_us, {"note": "The payment window is over."})
    # All parts with this deadline together, in one event.
    parts = [p for p in escrow.parts if p.deadline_us == due_us]
    note = "The inspection period is over."
    return _start(escrow, parts, c.ReleaseEscrow(note), caller, now_us, is_release=True)


def _remind(escrow: Escrow, caller: Caller, now_us: int) -> Event | None:
    """Tell once that a deadline is near, of all parts together."""

    def is_near(moment_us: int | None) -> bool:
        return moment_us is not None and moment_us <= now_us

    near = [p for p in escrow.parts if is_near(escrow.reminder_of(p))]
    is_window = is_near(escrow.reminder_us)
    if not near and not is_window:
        return None
    after = replace(escrow, is_reminded=escrow.is_reminded or is_window)
    for part in near:
        after = after.with_part(replace(part, reminded_us=part.deadline_us))
    return step(
        escrow,
        after,
        now_us,
        EventType.DEADLINE_NEAR,
        caller,
        part_id=near[0].part_id if len(near) == 1 else "",
        data={"deadline_action": str(escrow.deadline_action)},
    )
