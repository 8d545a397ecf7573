"""Payees: the account that a seller is paid through, and when a change of it counts. Pure.

The first account counts at once. Another one counts after a wait, in which it can be called off:
whoever has taken a login over must not be able to take the money along at once. Every change is a
version of the payee's own record, and says how the payee stands after it.
"""

from __future__ import annotations

import enum

import msgspec
from msgspec.structs import replace

from core.errors import Reason, Refusal, field_invalid


class PayeeEventType(enum.StrEnum):
    """What happened to a payee."""

    REGISTERED = "REGISTERED"
    CHANGE_STARTED = "CHANGE_STARTED"
    CHANGE_CALLED_OFF = "CHANGE_CALLED_OFF"
    WAIT_WAIVED = "WAIT_WAIVED"
    CHANGE_DONE = "CHANGE_DONE"
    NAMED_AGAIN = "NAMED_AGAIN"


class Payee(msgspec.Struct, frozen=True):
    """A seller's payee right after an event of its record. Times are microseconds."""

    user_id: str
    version: int
    type: PayeeEventType
    actor_id: str
    create_time_us: int
    # The account that counts now, and since when.
    account_id: str
    effective_us: int
    # The account that counts from `pending_us` on; both empty while none waits.
    pending_account_id: str = ""
    pending_us: int | None = None
    note: str = ""


def register(
    before: Payee | None, user_id: str, account_id: str, actor_id: str, now_us: int, wait_us: int
) -> Payee | None:
    """Name an account; answers None where it is known already."""
    if before is None:
        return Payee(user_id, 1, PayeeEventType.REGISTERED, actor_id, now_us, account_id, now_us)
    if before.account_id == account_id:
        # Whoever names the account that counts wants no other one.
        return call_off(before, actor_id, now_us) if before.pending_account_id else None
    if wait_us == 0:
        changed = _next(before, PayeeEventType.REGISTERED, actor_id, now_us)
        return _counting(changed, account_id)
    if before.pending_account_id == account_id:
        return None
    started = _next(before, PayeeEventType.CHANGE_STARTED, actor_id, now_us)
    pending_us = started.create_time_us + wait_us
    return replace(started, pending_account_id=account_id, pending_us=pending_us)


def name_again(before: Payee, actor_id: str, now_us: int) -> Payee:
    """Write down a call that changed nothing, so that its repeat changes nothing either."""
    again = _next(before, PayeeEventType.NAMED_AGAIN, actor_id, now_us)
    waiting = (before.pending_account_id, before.pending_us)
    return replace(again, pending_account_id=waiting[0], pending_us=waiting[1])


def call_off(before: Payee | None, actor_id: str, now_us: int) -> Payee:
    """Keep the account that counts. Raises Refusal PAYEE_CHANGE_NOT_FOUND."""
    return _next(_waiting(before), PayeeEventType.CHANGE_CALLED_OFF, actor_id, now_us)


def waive(
    before: Payee | None, actor_id: str, note: str, now_us: int, account_id: str = ""
) -> Payee:
    """Let the new account count at once; no other one than `account_id`, where it is given.

    Raises Refusal PAYEE_CHANGE_NOT_FOUND, FIELD_INVALID.
    """
    waiting = _waiting(before)
    if account_id and account_id != waiting.pending_account_id:
        raise Refusal(
            Reason.PAYEE_CHANGE_NOT_FOUND,
            "Another account waits now. Look into that one, or call the change off.",
        )
    if not note.strip():
        raise field_invalid("note", "must say why the wait is waived")
    return _done(waiting, PayeeEventType.WAIT_WAIVED, actor_id, now_us, note)


def pass_time(before: Payee, actor_id: str, now_us: int) -> Payee | None:
    """Let the new account count if its time has come."""
    if before.pending_us is None or now_us < before.pending_us:
        return None
    return _done(before, PayeeEventType.CHANGE_DONE, actor_id, now_us)


def _waiting(before: Payee | None) -> Payee:
    if before is None or not before.pending_account_id:
        raise Refusal(
            Reason.PAYEE_CHANGE_NOT_FOUND, "There is no change of this account that waits."
        )
    return before


def _done(
    before: Payee, type_: PayeeEventType, actor_id: str, now_us: int, note: str = ""
) -> Payee:
    done = _next(before, type_, actor_id, now_us)
    return replace(_counting(done, before.pending_account_id), note=note)


def _counting(changed: Payee, account_id: str) -> Payee:
    return replace(changed, account_id=account_id, effective_us=changed.create_time_us)


def _next(before: Payee, type_: PayeeEventType, actor_id: str, now_us: int) -> Payee:
    return replace(
        before,
        version=before.version + 1,
        type=type_,
        actor_id=actor_id,
        create_time_us=max(now_us, before.create_time_us),
        pending_account_id="",
        pending_us=None,
        note="",
    )
