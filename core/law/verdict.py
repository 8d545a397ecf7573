"""The verdict: disputes between the parties, and how what is held is divided. Pure.

Each function is one entry of the table in rules.py, as those of deal.py are.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.errors import Reason, Refusal, field_invalid
from core.law import command as c
from core.law.attention import OBSTACLES, ended
from core.law.command import Caller
from core.law.deal import settling
from core.law.escrow import Escrow, Event
from core.law.event import step
from core.law.money import MIN_AMOUNT_MINOR, is_movable
from core.law.part import Dispute, Part
from core.law.status import DisputeStatus, EventType, Status


def raise_dispute(
    escrow: Escrow, part: Part, command: c.RaiseDispute, caller: Caller, now_us: int
) -> Event:
    dispute = Dispute(caller.user_id, command.reason, now_us)
    return step(
        escrow,
        escrow.with_part(replace(part, status=Status.DISPUTED, dispute=dispute)),
        now_us,
        EventType.DISPUTE_RAISED,
        caller,
        part_id=part.part_id,
        data={"reason": command.reason},
    )


def withdraw_dispute(
    escrow: Escrow, part: Part, command: c.WithdrawDispute, caller: Caller, now_us: int
) -> Event:
    assert part.dispute is not None, "a disputed part has its dispute"
    dispute = replace(part.dispute, status=DisputeStatus.WITHDRAWN, end_time_us=now_us)
    return step(
        escrow,
        escrow.with_part(replace(part, status=Status.HELD, dispute=dispute)),
        now_us,
        EventType.DISPUTE_WITHDRAWN,
        caller,
        part_id=part.part_id,
    )


def resolve_dispute(
    escrow: Escrow, part: Part, command: c.ResolveDispute, caller: Caller, now_us: int
) -> Event:
    assert part.dispute is not None, "a disputed part has its dispute"
    _require_division(escrow, part, command)
    dispute = replace(
        part.dispute, status=DisputeStatus.RESOLVED, end_time_us=now_us, note=command.note
    )
    part = settling(escrow, part, caller, now_us, release=command.release_minor, note=command.note)
    return step(
        escrow,
        escrow.with_part(replace(part, dispute=dispute)),
        now_us,
        EventType.DISPUTE_RESOLVED,
        caller,
        part_id=part.part_id,
        data=_division(command),
    )


def override(
    escrow: Escrow, part: Part, command: c.OverrideSettlement, caller: Caller, now_us: int
) -> Event:
    settlement = part.settlement
    assert settlement is not None, "a settling part has its settlement"
    if command.seen_version != escrow.version:
        raise Refusal(
            Reason.SETTLEMENT_UNDER_WAY, "This escrow has just changed; look at it, and try again."
        )
    if not part.may_divide_anew:
        raise Refusal(
            Reason.WRONG_STATUS, "The buyer has money of this back, so that it stays as decided."
        )
    _require_division(escrow, part, command)
    part = settling(
        escrow, part, caller, now_us, release=command.release_minor, note=command.note.strip()
    )
    assert part.settlement is not None, "it has just been divided"
    part = replace(part, settlement=replace(part.settlement, turn=settlement.turn + 1))
    return step(
        escrow,
        ended(escrow.with_part(part), OBSTACLES, part_id=part.part_id),
        now_us,
        EventType.SETTLEMENT_OVERRIDDEN,
        caller,
        part_id=part.part_id,
        data=_division(command),
    )


def _division(command: c.ResolveDispute | c.OverrideSettlement) -> dict[str, Any]:
    return {
        "release_minor": command.release_minor,
        "refund_minor": command.refund_minor,
        "note": command.note,
    }


def _require_division(
    escrow: Escrow, part: Part, command: c.ResolveDispute | c.OverrideSettlement
) -> None:
    for field in ("release_minor", "refund_minor"):
        if not is_movable(getattr(command, field)):
            raise field_invalid(
                field, f"must be 0 or at least {MIN_AMOUNT_MINOR}", Reason.AMOUNT_INVALID
            )
    if command.release_minor + command.refund_minor != part.held_minor:
        raise field_invalid(
            "refund_minor",
            f"release_minor and refund_minor must add up to the {part.held_minor} that are held",
            Reason.AMOUNT_INVALID,
        )
    if not _can_be_carved(escrow, part, command.release_minor):
        raise field_invalid(
            "refund_minor",
            "is too small: the payment provider takes back no less than"
            f" {MIN_AMOUNT_MINOR} of a transfer, and makes none anew beside a refund",
            Reason.AMOUNT_INVALID,
        )
    if not command.note.strip():
        raise field_invalid("note", "must say why it is decided like this")


def _can_be_carved(escrow: Escrow, part: Part, release_minor: int) -> bool:
    """Whether the transfer on hold can be brought to what the seller is to get.

    The provider reverses no less than its minimum. So for a smaller excess the whole transfer is
    reversed and made again. The provider refuses a new transfer once a refund of the payment has
    begun, for example that of another part.
    """
    on_hold_minor = part.held_minor - part.fee_on(part.held_minor, escrow.fee_bps)
    wanted_minor = release_minor - part.fee_on(release_minor, escrow.fee_bps)
    others = (p.settlement for p in escrow.parts if p is not part)
    is_refunding = any(s is not None and s.refund_minor for s in others)
    return not is_refunding or not 0 < on_hold_minor - wanted_minor < MIN_AMOUNT_MINOR
