"""Webhooks as they came: kept before anything else is done, and what became of each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.database import insert_into
from core.storage.plan import Plan, one_of
from core.storage.trip.step import Step, write

_C = t.inbox.c


def keep(*, event_id: str, body: bytes, now_us: int) -> Step[str | None]:
    """Store a webhook unless it is there; answer the outcome it has already, or None."""
    given = {"event_id": event_id, "body": body, "receive_time_us": now_us}
    return Step(_KEEP, given, lambda rows: rows[0][0])


def finish(*, event_id: str, outcome: str) -> Step[None]:
    """Write down what became of a webhook."""
    return write(_FINISH, of_event=event_id, became=outcome)


def forget(event_ids: Collection[str]) -> Step[int]:
    """Forget webhooks that are worked off; answer how many of these there were."""
    return Step(_FORGET, {"ids": frozenset(event_ids)}, len)


def _keep(is_postgres: bool) -> Any:
    given: dict[str, Any] = {
        name: sa.bindparam(name) for name in ("event_id", "body", "receive_time_us")
    }
    # Written over by itself, so that it cannot be pruned between being found and being read.
    kept = insert_into(t.inbox, is_postgres).values(given)
    same = kept.on_conflict_do_update(index_elements=["event_id"], set_={"event_id": _C.event_id})
    return same.returning(_C.outcome)


def _finish(_is_postgres: bool) -> Any:
    finished = sa.update(t.inbox).where(_C.event_id == sa.bindparam("of_event"))
    return finished.values(outcome=sa.bindparam("became"))


def _forget(is_postgres: bool) -> Any:
    old = sa.delete(t.inbox).where(one_of(_C.event_id, "ids", is_postgres), _C.outcome.is_not(None))
    return old.returning(_C.event_id)


_KEEP, _FINISH, _FORGET = Plan(_keep), Plan(_finish), Plan(_forget)
