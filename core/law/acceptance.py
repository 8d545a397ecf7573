"""Acceptance: whether the side that did not create an escrow stands behind it. Pure.

A party accepts by AcceptEscrow, or by doing anything else but calling the escrow off. Of an escrow
whose creator was not recorded yet nobody is known to be missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from core.errors import Reason, Refusal
from core.law import command as c
from core.law.command import Caller, Command
from core.law.escrow import Escrow, Event
from core.law.event import step
from core.law.part import Acceptance
from core.law.status import EventType, Party

# Acts that end an escrow without standing behind it.
_REJECTIONS = (c.CancelEscrow, c.RefundEscrow)


def accept(escrow: Escrow, command: c.AcceptEscrow, caller: Caller, now_us: int) -> Event:
    party = _party(escrow, caller)
    assert party is not None, "the table lets only an invited party accept"
    if _has_accepted(escrow, party):
        raise Refusal(Reason.ALREADY_ACCEPTED, "You have accepted this escrow already.")
    return step(
        escrow,
        _with(escrow, party, now_us),
        now_us,
        EventType.ESCROW_ACCEPTED,
        caller,
        data={"party": party.lower()},
    )


def by_act(event: Event, command: Command, caller: Caller) -> Event:
    """Answer the event of another act with the acceptance that lies in it."""
    escrow = event.escrow
    party = _party(escrow, caller)
    if party is None or isinstance(command, (*_REJECTIONS, c.CreateEscrow)):
        return event
    if escrow.created_by in ("", caller.user_id) or _has_accepted(escrow, party):
        return event
    return replace(event, escrow=_with(escrow, party, escrow.update_time_us))


def require_accepted(escrow: Escrow, caller: Caller) -> None:
    """Refuse with ACCEPTANCE_MISSING while a side other than the caller has not accepted."""
    if not escrow.acceptance_required:
        return
    missing = [user_id for user_id in missing_of(escrow) if user_id != caller.user_id]
    if missing:
        raise Refusal(
            Reason.ACCEPTANCE_MISSING,
            f"{' and '.join(missing)} must accept this escrow before it can be paid.",
        )


def missing_of(escrow: Escrow) -> Sequence[str]:
    """List the parties that have neither created the escrow nor accepted it."""
    if not escrow.created_by:
        return ()
    sides = ((escrow.buyer_id, Party.BUYER), (escrow.seller_id, Party.SELLER))
    return [
        user_id
        for user_id, party in sides
        if user_id != escrow.created_by and not _has_accepted(escrow, party)
    ]


def is_seller_absent(escrow: Escrow) -> bool:
    """Whether the seller has neither created nor accepted the escrow, nor done anything in it."""
    seller_id = escrow.seller_id
    if seller_id not in missing_of(escrow):
        return False
    # Acts from before acceptances were recorded.
    return not any(
        part.has_confirmed(Party.SELLER)
        or (part.dispute is not None and part.dispute.raised_by == seller_id)
        or (part.settlement is not None and part.settlement.decided_by == seller_id)
        for part in escrow.parts
    )


def is_invited(escrow: Escrow, caller: Caller) -> bool:
    """Whether the caller is a party of an escrow that somebody else created."""
    return _party(escrow, caller) is not None and caller.user_id != escrow.created_by


def _party(escrow: Escrow, caller: Caller) -> Party | None:
    return {escrow.buyer_id: Party.BUYER, escrow.seller_id: Party.SELLER}.get(caller.user_id)


def _has_accepted(escrow: Escrow, party: Party) -> bool:
    return any(one.party is party for one in escrow.acceptances)


def _with(escrow: Escrow, party: Party, now_us: int) -> Escrow:
    return replace(escrow, acceptances=(*escrow.acceptances, Acceptance(party, now_us)))
