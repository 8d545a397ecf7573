"""Work that one core at a time does for all of them: who has it, and until when."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from core.storage import tables as t
from core.storage.database import insert_into
from core.storage.plan import Plan
from core.storage.trip.lease import HOLDER, NO_LEASE, UNTIL_US, is_free, is_held
from core.storage.trip.step import Step, found, write

_NAME = sa.bindparam("name", type_=sa.String)


def _take(is_postgres: bool) -> Any:
    ours = {"lease_id": HOLDER, "lease_until_us": UNTIL_US}
    insert = insert_into(t.leases, is_postgres).values(name=_NAME, **ours)
    where = sa.or_(is_free(t.leases), is_held(t.leases))
    return insert.on_conflict_do_update(index_elements=["name"], set_=ours, where=where).returning(
        t.leases.c.name
    )


def _give_back(_is_postgres: bool) -> Any:
    return sa.update(t.leases).where(t.leases.c.name == _NAME, is_held(t.leases)).values(NO_LEASE)


_TAKE, _GIVE_BACK = Plan(_take), Plan(_give_back)


def take(name: str, holder: str, *, now_us: int, until_us: int) -> Step[bool]:
    """Take work that nobody has, or keep it; False while somebody else has it."""
    return found(_TAKE, name=name, holder=holder, now_us=now_us, until_us=until_us)


def give_back(name: str, holder: str) -> Step[None]:
    """End a lease, if it is still the holder's."""
    return write(_GIVE_BACK, name=name, holder=holder)
