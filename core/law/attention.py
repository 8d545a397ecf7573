"""What a person has to look at: raised, replaced and ended one by one. Pure."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from core.law.escrow import Attention, Escrow
from core.law.status import AttentionCode

_PRESSING = tuple(AttentionCode)

# What stands in the way of a part's settlement, and is over when settlement goes on.
OBSTACLES = frozenset(
    {
        AttentionCode.FOREIGN_TRANSFER,
        AttentionCode.GATEWAY_REFUSED,
        AttentionCode.PAYEE_REFUSED,
        AttentionCode.PAYEE_MISSING,
        AttentionCode.BOOKS_DIFFER,
    }
)


def raised(escrow: Escrow, item: Attention) -> Escrow:
    """Answer the escrow with this item in place of one about the same thing."""
    rest = [one for one in escrow.attentions if _about(one) != _about(item)]
    ordered = sorted((*rest, item), key=lambda one: (_PRESSING.index(one.code), one.since_us))
    return replace(escrow, attentions=tuple(ordered))


def is_raised(escrow: Escrow, item: Attention) -> bool:
    """Whether exactly this is known already, whenever it was raised."""
    return any(replace(one, since_us=item.since_us) == item for one in escrow.attentions)


def ended(
    escrow: Escrow,
    codes: Collection[AttentionCode],
    *,
    part_id: str | None = None,
    subject: str | None = None,
) -> Escrow:
    """Answer the escrow without the items of these codes, of one part or subject where given.

    What concerns the whole (no part) ends with any part.
    """

    def is_over(one: Attention) -> bool:
        return (
            one.code in codes
            and (part_id is None or one.part_id in ("", part_id))
            and (subject is None or one.subject == subject)
        )

    kept = tuple(one for one in escrow.attentions if not is_over(one))
    return escrow if len(kept) == len(escrow.attentions) else replace(escrow, attentions=kept)


def _about(item: Attention) -> tuple[str, str, str]:
    # A seller has one account at a time: that another one is refused takes the place of the first.
    subject = "" if item.code is AttentionCode.PAYEE_REFUSED else item.subject
    return item.code, item.part_id, subject
