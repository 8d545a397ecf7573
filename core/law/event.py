"""How an event is made: the next version of an escrow, and what led to it. Pure."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from core.law.command import Caller
from core.law.escrow import FORM, Escrow, Event
from core.law.status import EventType


def step(
    before: Escrow,
    after: Escrow,
    now_us: int,
    type_: EventType,
    caller: Caller,
    **rest: Any,
) -> Event:
    """Make the event that leads from one version to the next."""
    after = replace(after, version=before.version + 1, update_time_us=now_us, form=FORM)
    return Event(type_, caller.user_id, before.status, after, **rest)
