"""Lists of escrows, as statements that an index answers however many there are.

A user may be buyer, seller or arbiter, and an OR of the three makes a planner sort all that the
user has, or walk over what others have. So each part of the question is read by an index of its
own, no further than the list is long, and the parts are put together. What no index tells, such as
a word of a title, is judged along that walk, which looks at a limited number of escrows.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.law.escrow import Escrow
from core.law.status import Status
from core.law.turn import waits_for_arbiter, waits_for_buyer, waits_for_seller
from core.storage import tables as t

# Escrows that one page looks at, where what is asked for is not what an index is sorted by.
SCAN_ROWS = 2_000
# Those of them that one statement reads of each part that a user may have. While it is quick, each
# next one reads twice as many.
SLICE_ROWS = 100
# When no further slice of a page is begun: a disk may take a third of a millisecond for an escrow.
WALK_S = 0.03

BUYER, SELLER, ARBITER = "buyer", "seller", "arbiter"

_E = t.escrows.c
# Indexes of some rows serve only who says which, in the same words.
_HAS_ARBITER = sa.text("arbiter_id > ''")
_IS_WORRYING = sa.text("attention_code > ''")
_NEEDS = {role: sa.text(f"needs_{role} > 0") for role in (BUYER, SELLER, ARBITER)}
_NEEDS_NOT = {
    BUYER: _E.needs_buyer == 0,
    SELLER: _E.needs_seller == 0,
    ARBITER: _E.needs_arbiter == 0,
}
_KEY = (_E.create_time_us, _E.escrow_id)
_Terms = tuple[Any, ...]
_Way = tuple[_Terms, _Terms]
"""A walk over one index: by what the index finds its rows, and what is judged of each."""
_MOST = sa.bindparam("most", type_=sa.Integer)

Place = tuple[int, str]
"""Where a list has come: creation time in microseconds, and escrow id."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter escrows a list has. Times are microseconds: from is inclusive, to is exclusive."""

    # At most two, both of whom belong to the escrow.
    parties: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    # What the first of the parties is in it, and whether it waits for that person.
    role: str = ""
    needs: bool | None = None
    is_worrying: bool = False
    attention_code: str = ""
    create_from_us: int | None = None
    create_to_us: int | None = None
    update_from_us: int | None = None
    update_to_us: int | None = None
    # None but these.
    escrow_ids: tuple[str, ...] | None = None
    # Each must stand in what `words` has written, or the whole be the amount.
    words: tuple[str, ...] = ()
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """What of a list decides the text of its statement."""

    users: int
    statuses: tuple[Status, ...]
    role: str
    needs: bool | None
    is_worrying: bool
    is_named: bool
    given: frozenset[str]
    words: int
    goes_on: bool
    is_oldest: bool

    @property
    def is_walked(self) -> bool:
        """Whether one walk over one index judges the parties too."""
        return (
            self.is_named
            or self.is_worrying
            or (self.users > 1 and (self.needs is not None or bool(self.role)))
        )

    @property
    def judges_status(self) -> bool:
        """Whether the status is judged along a walk over all that needs a person."""
        return self.is_worrying and not self.is_named


def words(escrow: Escrow) -> str:
    """What people look for an escrow by, as it is compared: title, parties, the caller's own id."""
    parts = (escrow.title, *escrow.party_ids, escrow.external_id)
    return folded("\n".join(parts))


def folded(text: str) -> str:
    """Write a text as it is compared: without regard to case, and to how it is composed."""
    return unicodedata.normalize("NFKC", text).casefold()


def listed_row(escrow: Escrow) -> dict[str, Any]:
    """The columns of an escrow's row that only lists read."""
    return {
        "external_id": escrow.external_id,
        "amount_minor": escrow.amount_minor,
        "held_minor": escrow.held_minor,
        "needs_buyer": int(waits_for_buyer(escrow)),
        "needs_seller": int(waits_for_seller(escrow)),
        "needs_arbiter": int(waits_for_arbiter(escrow)),
        "words": words(escrow),
    }


def page(
    column: sa.Column[str],
    which: Filter,
    *,
    after: Place | None = None,
    is_oldest: bool = False,
) -> tuple[sa.Select[Any], dict[str, Any], bool]:
    """Select a column, as `found`, and the key of escrows, the newest or the oldest first.

    `after` is the key of the last one that is known. Answers the statement, what is bound to it, to
    which the caller adds `most`, and whether more than an index is asked for: then `found` is null
    for those that do not fit. A list is at its end where fewer than `most` rows come.
    """
    single = {
        name: getattr(which, name)
        for name in (
            "attention_code",
            "create_from_us",
            "create_to_us",
            "update_from_us",
            "update_to_us",
            "amount_minor",
        )
        if getattr(which, name) not in (None, "")
    }
    form = _Form(
        len(which.parties),
        tuple(sorted(which.statuses)),
        which.role,
        which.needs,
        which.is_worrying,
        which.escrow_ids is not None,
        frozenset(single),
        len(which.words),
        after is not None,
        is_oldest,
    )
    bound: dict[str, Any] = {f"user_{at}": user for at, user in enumerate(which.parties)}
    bound |= single | {f"word_{at}": _pattern(word) for at, word in enumerate(which.words)}
    if which.escrow_ids is not None:
        bound["escrow_ids"] = list(which.escrow_ids)
    if after is not None:
        bound |= {"after_us": after[0], "after_id": after[1]}
    statement, is_judged = _page(column, form)
    return statement, bound, is_judged


def _pattern(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


@functools.lru_cache(maxsize=2_000)
def _page(column: sa.Column[str], form: _Form) -> tuple[sa.Select[Any], bool]:
    """Make each form once: to build one costs more than to run it."""
    judged = _judged(form)
    by_status: list[_Terms] = [(_E.status == status.value,) for status in form.statuses]
    states = [()] if form.judges_status or not by_status else by_status
    if form.judges_status and by_status:
        judged += (sa.or_(*(one for (one,) in by_status)),)
    parts = [
        _part(column, (*way, *state, *_created(form)), (*judged, *also), form)
        for way, also in _ways(form)
        for state in states
    ]
    is_judged = bool(judged) or any(also for _, also in _ways(form))
    if len(parts) == 1:
        return parts[0], is_judged
    rows = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    key = _ordered((rows.c.create_time_us, rows.c.escrow_id), form)
    # With the time as it stands, SQLite would merge the parts, and take other indexes for them.
    columns = (rows.c.found, (rows.c.create_time_us + 0).label("create_time_us"), rows.c.escrow_id)
    return sa.select(*columns).order_by(*key).limit(_MOST), is_judged


def _part(column: Any, terms: _Terms, judged: _Terms, form: _Form) -> sa.Select[Any]:
    """Select what one walk over one index finds."""
    found = sa.case((sa.and_(*judged), column), else_=None) if judged else column
    statement = sa.select(found.label("found"), *_KEY).where(*terms)
    if form.goes_on:
        # The time is said beside the pair, for which not every planner takes an index.
        time_us = sa.bindparam("after_us", type_=sa.BigInteger)
        pair = sa.tuple_(time_us, sa.bindparam("after_id", type_=sa.String))
        beyond = (
            (_E.create_time_us >= time_us, sa.tuple_(*_KEY) > pair)
            if form.is_oldest
            else (_E.create_time_us <= time_us, sa.tuple_(*_KEY) < pair)
        )
        statement = statement.where(*beyond)
    return statement.order_by(*_ordered(_KEY, form)).limit(_MOST)


def _ordered(key: Sequence[Any], form: _Form) -> list[Any]:
    return [one.asc() if form.is_oldest else one.desc() for one in key]


def _created(form: _Form) -> _Terms:
    """The range of creation, which bounds the walk itself."""
    given = []
    if "create_from_us" in form.given:
        given.append(_E.create_time_us >= sa.bindparam("create_from_us", type_=sa.BigInteger))
    if "create_to_us" in form.given:
        given.append(_E.create_time_us < sa.bindparam("create_to_us", type_=sa.BigInteger))
    return tuple(given)


def _judged(form: _Form) -> _Terms:
    """What is judged along the walk."""
    given: list[Any] = []
    if "attention_code" in form.given:
        given.append(_E.attention_code == sa.bindparam("attention_code", type_=sa.String))
    if "update_from_us" in form.given:
        given.append(_E.update_time_us >= sa.bindparam("update_from_us", type_=sa.BigInteger))
    if "update_to_us" in form.given:
        given.append(_E.update_time_us < sa.bindparam("update_to_us", type_=sa.BigInteger))
    if form.words:
        said = [
            _E.words.like(sa.bindparam(f"word_{at}", type_=sa.String), escape="\\")
            for at in range(form.words)
        ]
        fits = sa.and_(*said)
        if "amount_minor" in form.given:
            amount = _E.amount_minor == sa.bindparam("amount_minor", type_=sa.BigInteger)
            fits = sa.or_(fits, amount)
        given.append(fits)
    if form.is_walked:
        given += [_belongs(user) for user in _users(form)]
        given += _judged_part(form)
    return tuple(given)


def _judged_part(form: _Form) -> list[Any]:
    """What the first of the users is, where the walk does not tell."""
    user = _users(form)[0] if form.users else None
    if user is None or not (form.role or form.needs is not None):
        return []
    return [sa.or_(*(sa.and_(*way, *also) for way, also in _ways_of(user, form)))]


def _belongs(user: Any) -> sa.ColumnElement[bool]:
    return sa.or_(_E.buyer_id == user, _E.seller_id == user, _E.arbiter_id == user)


def _users(form: _Form) -> list[Any]:
    return [sa.bindparam(f"user_{at}", type_=sa.String) for at in range(form.users)]


def _ways(form: _Form) -> list[_Way]:
    """Answer the ways in which all users may be in one escrow; no escrow fits two."""
    if form.is_named:
        named = (_E.escrow_id.in_(sa.bindparam("escrow_ids", expanding=True)),)
        return [((*named, _IS_WORRYING) if form.is_worrying else named, ())]
    if form.is_worrying:
        return [((_IS_WORRYING,), ())]
    users = _users(form)
    if not users:
        return [((), ())]
    if len(users) == 1 or form.is_walked:
        return _ways_of(users[0], form)
    one, other = users
    pairs = ((one, other), (other, one))
    return [(way, ()) for pair in pairs for way in _shared(*pair, has_status=bool(form.statuses))]


def _ways_of(user: Any, form: _Form) -> list[_Way]:
    """Answer the ways in which one user may be in an escrow, and it may wait for him."""
    ways: dict[str, _Terms] = {
        BUYER: (_E.buyer_id == user,),
        SELLER: (_E.seller_id == user, _E.buyer_id != user),
        ARBITER: (*_judges(user), _E.buyer_id != user, _E.seller_id != user),
    }
    return [_waiting(way, role, form) for role, way in ways.items() if form.role in ("", role)]


def _waiting(way: _Terms, role: str, form: _Form) -> _Way:
    """Tell whether it has to wait: by the index of what does, where it has nothing else to tell.

    All may wait, and a walk that looks for one that does not must end nevertheless.
    """
    if form.needs is None:
        return way, ()
    if form.needs and not form.statuses:
        return (*way, _NEEDS[role]), ()
    return way, (_NEEDS[role] if form.needs else _NEEDS_NOT[role],)


def _shared(user: Any, other: Any, *, has_status: bool) -> list[_Terms]:
    """Answer the ways in which a user buys from another, or has him as arbiter."""
    judges = _judges(other)
    # Of one status a buyer has less than of one seller, and SQLite does not know it.
    seller = sa.func.trim(_E.seller_id) if has_status else _E.seller_id
    return [
        (_E.buyer_id == user, seller == other),
        (_E.buyer_id == user, *judges, _E.seller_id != other),
        (_E.seller_id == user, *judges, _E.buyer_id != user, _E.buyer_id != other),
    ]


def _judges(user: Any) -> _Terms:
    return (_E.arbiter_id == user, _HAS_ARBITER)
