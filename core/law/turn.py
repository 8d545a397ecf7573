"""Whose turn it is: which parties an escrow waits for. Pure.

It repeats what the table of rules allows, and leaves out what nobody waits for, such as a refund.
"""

from __future__ import annotations

from core.law.acceptance import missing_of
from core.law.escrow import Escrow
from core.law.part import Part
from core.law.status import AttentionCode, Party, Status

# What only the seller can bring to an end: the account that money is paid to.
_OF_SELLER = frozenset({AttentionCode.PAYEE_MISSING, AttentionCode.PAYEE_REFUSED})


def waits_for_buyer(escrow: Escrow) -> bool:
    """Whether the buyer has to pay, to accept, or to say that all is done."""
    if escrow.status is Status.INITIATED:
        others = [user_id for user_id in missing_of(escrow) if user_id != escrow.buyer_id]
        if not (escrow.acceptance_required and others):
            return True
    return _is_invited(escrow, escrow.buyer_id) or _must_confirm(escrow, Party.BUYER)


def waits_for_seller(escrow: Escrow) -> bool:
    """Whether the seller has to accept, to say that all is done, or to name an account."""
    return (
        _is_invited(escrow, escrow.seller_id)
        or _must_confirm(escrow, Party.SELLER)
        or any(one.code in _OF_SELLER for one in escrow.attentions)
    )


def waits_for_arbiter(escrow: Escrow) -> bool:
    """Whether there is an arbiter, and something to decide."""
    return bool(escrow.arbiter_id) and any(p.status is Status.DISPUTED for p in escrow.parts)


def _is_invited(escrow: Escrow, user_id: str) -> bool:
    is_open = escrow.status is Status.INITIATED or any(_is_held(part) for part in escrow.parts)
    return is_open and user_id in missing_of(escrow)


def _must_confirm(escrow: Escrow, party: Party) -> bool:
    return any(_is_held(part) and not part.has_confirmed(party) for part in escrow.parts)


def _is_held(part: Part) -> bool:
    return part.status is Status.HELD
