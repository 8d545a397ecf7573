"""Progress: what settlement reports of its own work. Pure.

Each function with a public name is one entry of the table in rules.py, as those of news.py are.
"""

from __future__ import annotations

from msgspec.structs import replace

from core.law import command as c
from core.law.attention import OBSTACLES, ended, is_raised, raised
from core.law.command import Caller
from core.law.escrow import Attention, Escrow, Event
from core.law.event import step
from core.law.part import Part, Settlement
from core.law.status import FINAL, EventType, Status


def hold_reported(
    escrow: Escrow, part: Part, command: c.ReportHold, caller: Caller, now_us: int
) -> Event | None:
    if part.on_hold_minor == command.amount_minor:
        return None
    moves = command.moves or part.moves
    part = replace(part, on_hold_minor=command.amount_minor, moves=moves)
    return step(
        escrow,
        ended(escrow.with_part(part), OBSTACLES, part_id=part.part_id),
        now_us,
        EventType.FUNDS_HELD,
        caller,
        part_id=part.part_id,
        data={"transfer_id": command.transfer_id, "amount_minor": command.amount_minor},
    )


def settlement_completed(
    escrow: Escrow, part: Part, command: c.CompleteSettlement, caller: Caller, now_us: int
) -> Event | None:
    settlement = part.settlement
    assert settlement is not None, "a settling part has its settlement"
    if part.owing_minor > 0:
        return None  # The refund is not reported yet; settlement looks again.
    done = replace(
        part,
        status=_end_of(part, settlement),
        held_minor=0,
        released_minor=settlement.transfer_minor,
        fee_minor=settlement.fee_minor,
        on_hold_minor=0,
        moves=command.moves or part.moves,
        settlement=replace(settlement, complete_time_us=now_us),
    )
    return step(
        escrow,
        ended(escrow.with_part(done), OBSTACLES, part_id=part.part_id),
        now_us,
        EventType.SETTLEMENT_COMPLETED,
        caller,
        part_id=part.part_id,
    )


def _end_of(part: Part, settlement: Settlement) -> Status:
    if settlement.bank_minor:
        return Status.REFUNDED
    if settlement.transfer_minor and (settlement.refund_minor or part.bank_minor):
        return Status.SPLIT
    return Status.RELEASED if settlement.transfer_minor else Status.REFUNDED


def settlement_failed(
    escrow: Escrow, command: c.FailSettlement, caller: Caller, now_us: int
) -> Event | None:
    item = Attention(command.code, command.problem, now_us, command.part_id, command.subject)
    if is_raised(escrow, item):
        return None
    part = escrow.part(command.part_id)
    if command.part_id and part is not None and part.status in FINAL:
        return None  # It has come too late: the part is settled.
    is_settling = any(p.status is Status.SETTLING for p in escrow.parts)
    return step(
        escrow,
        raised(escrow, item),
        now_us,
        EventType.SETTLEMENT_FAILED if is_settling else EventType.ATTENTION_RAISED,
        caller,
        part_id=command.part_id,
        data={"attention": command.problem},
    )


def attention_ended(
    escrow: Escrow, command: c.EndAttention, caller: Caller, now_us: int
) -> Event | None:
    after = ended(escrow, {command.code}, subject=command.subject or None)
    if after is escrow:
        return None
    data = {"ended": str(command.code)}
    return step(escrow, after, now_us, EventType.ATTENTION_RAISED, caller, data=data)
