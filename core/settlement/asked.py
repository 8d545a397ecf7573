"""What was asked of Razorpay: how a call is written down before it is made, and seen to be done.

One call is written down for each escrow. Another one is never written over it while it may still be
on its way, so that whoever looks later sees every call that may yet arrive. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.settlement.act import Act, Found, Hold, Repay, Reverse, Step, Unhold, refunds_of
from core.settlement.report import WHOLE, Report


def mark(step: Act, found: Mapping[str, Found]) -> str | None:
    """Write a call down, with what the listings said before; None for what needs no trace.

    The same call, made again, has the same mark.
    """
    if isinstance(step, Hold):
        return f"hold {step.payment_id} {len(found[step.payment_id].transfers)}"
    if isinstance(step, Reverse):
        return f"reverse {step.transfer_id} {_reversed_minor(step.transfer_id, found)}"
    if isinstance(step, Repay):
        before = len(refunds_of(step.part_id, found[step.payment_id]))
        tag = step.part_id or WHOLE
        return f"repay {step.payment_id} {before} {tag} {step.amount_minor}"
    if isinstance(step, Unhold):
        return f"unhold {step.transfer_id} 0"
    return None


def has_no_key(asked: str) -> bool:
    """Whether the call of a mark would be done twice if it were made again."""
    return asked.startswith(("hold ", "reverse "))


def is_shown(asked: str, found: Mapping[str, Found]) -> bool:
    """Whether the listings show that the call of a mark was done."""
    verb, entity_id, before, *more = asked.split()
    if verb == "hold":
        return entity_id in found and len(found[entity_id].transfers) > int(before)
    if verb == "repay":
        part_id = more[0].removeprefix(WHOLE)
        return entity_id in found and len(refunds_of(part_id, found[entity_id])) > int(before)
    if verb == "unhold":
        transfers = (t for one in found.values() for t in one.transfers)
        return any(t.transfer_id == entity_id and not t.on_hold for t in transfers)
    return _reversed_minor(entity_id, found) > int(before)


def must_wait_for(asked: str, step: Step | None, found: Mapping[str, Found]) -> bool:
    """Whether a step has to wait for a call that may still be on its way.

    One with an idempotency key may be made again at once. But no other call is made beside it, and
    nothing is decided that counts on its not being done.
    """
    if has_no_key(asked):
        return True
    if isinstance(step, Report):
        return step.is_exclusive
    return isinstance(step, Act) and mark(step, found) not in (None, asked)


def _reversed_minor(transfer_id: str, found: Mapping[str, Found]) -> int:
    transfers = (t for one in found.values() for t in one.transfers)
    return sum(t.reversed_minor for t in transfers if t.transfer_id == transfer_id)
