"""What ListEscrows is asked for, read from its request, and the pages that answer it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as rpc
from google.protobuf.timestamp_pb2 import Timestamp

from core.law.command import Caller
from core.law.escrow import ESCROW_ID, Escrow
from core.law.money import CURRENCY
from core.law.status import Status
from core.service.check import Check, page_token, read_page_token
from core.storage import listing
from core.storage.listing import Filter, Place
from core.storage.store import Store

# Escrows in one page of ListEscrows: where the call names no size, and at most.
DEFAULT_PAGE, MAX_PAGE = 50, 200
# Characters of what is looked for.
MAX_QUERY = 200
# Words of what is looked for.
MAX_WORDS = 8

US_PER_S = 1_000_000
_MINOR = 100
_AMOUNT = re.compile(r"(?:₹|rs\.?|inr)?\s*([0-9][0-9,]{0,15})(?:\.([0-9]{1,2}))?", re.IGNORECASE)
# Above every time and id: where a list begins that has the newest first.
_BEGINNING: Place = (2**61, "z")
_ROLES = {
    rpc.ESCROW_ROLE_UNSPECIFIED: "",
    rpc.ESCROW_ROLE_BUYER: listing.BUYER,
    rpc.ESCROW_ROLE_SELLER: listing.SELLER,
    rpc.ESCROW_ROLE_ARBITER: listing.ARBITER,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request: which escrows, in what order, how many, and from where on."""

    which: Filter
    query: str
    size: int
    # The list, or what waits for the caller and then what does not.
    phases: Sequence[bool | None]
    is_oldest: bool
    # The phase and the place where the page before ended.
    after: tuple[int, Place] | None
    key: str
    # Whose totals are wanted; empty where nobody's are.
    totals_of: str


def read(request: rpc.ListEscrowsRequest, who: Caller) -> Asked:
    """Check a request. Raises Refusal FIELD_INVALID, PAGE_TOKEN_INVALID."""
    check = Check()
    size = check.range("page_size", request.page_size, least=0, most=MAX_PAGE, default=DEFAULT_PAGE)
    party = check.user_id("party", request.party, may_be_empty=True)
    check.text("query", request.query, most=MAX_QUERY)
    words = tuple(listing.folded(request.query).split())
    if len(words) > MAX_WORDS:
        check.problem("query", f"must have at most {MAX_WORDS} words")
    for name, kind, what in (
        ("status", pb.EscrowStatus, "a status of an escrow"),
        ("attention_code", pb.AttentionCode, "a reason why a person has to look"),
        ("role", rpc.EscrowRole, "a part in an escrow"),
        ("order_by", rpc.EscrowOrder, "an order of a list"),
    ):
        if getattr(request, name) not in kind.values():
            check.problem(name, f"is not {what}")
    times = {
        name: _time_us(check, request, name)
        for name in ("create_time_from", "create_time_to", "update_time_from", "update_time_to")
    }
    check.done()
    # Nothing waits for those who see all: to them the newest come first.
    is_by_turn = request.order_by == rpc.ESCROW_ORDER_NEEDS_ME and not who.sees_all
    asks_turn = is_by_turn or request.needs_me
    which = Filter(
        parties=_parties(who, party, asks_turn=asks_turn, asks_role=bool(request.role)),
        statuses=(Status(_name(pb.EscrowStatus, request.status)),) if request.status else (),
        role=_ROLES[request.role],
        needs=True if request.needs_me else None,
        is_worrying=request.attention or bool(request.attention_code),
        attention_code=(
            _name(pb.AttentionCode, request.attention_code) if request.attention_code else ""
        ),
        create_from_us=times["create_time_from"],
        create_to_us=times["create_time_to"],
        update_from_us=times["update_time_from"],
        update_to_us=times["update_time_to"],
        words=words,
        amount_minor=_amount(request.query),
    )
    phases = (True, False) if is_by_turn and not request.needs_me else (which.needs,)
    key = _key(request)
    return Asked(
        which,
        request.query.strip(),
        size,
        phases,
        request.order_by == rpc.ESCROW_ORDER_OLDEST,
        _after(request.page_token, key, len(phases)),
        key,
        _subject(who, party) if request.with_totals else "",
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Escrows, the token of the next page, and how far the list was looked through if there is one.

    The last is when the last escrow that was looked at was created, in microseconds.
    """

    escrows: list[Escrow]
    token: str = ""
    reached_us: int | None = None


async def answer(store: Store, asked: Asked) -> Page:
    """Read one page."""
    which = await _named(store, asked)
    begin, place = asked.after or (0, None)
    found: list[Escrow] = []
    for at, needs in list(enumerate(asked.phases))[begin:]:
        page = await store.listed(
            replace(which, needs=needs),
            after=place if at == begin else None,
            limit=asked.size - len(found),
            is_oldest=asked.is_oldest,
        )
        found += page.escrows
        if page.place is not None:
            return Page(found, page_token([at, *page.place], asked.key), page.place[0])
        if len(found) == asked.size and at + 1 < len(asked.phases):
            return Page(found, page_token([at + 1, *_BEGINNING], asked.key))
    return Page(found)


async def totals(store: Store, asked: Asked) -> rpc.EscrowTotals | None:
    """Add up what the person whose totals are wanted has; None where nobody's are."""
    if not asked.totals_of:
        return None
    sums = await store.totals(asked.totals_of)
    return rpc.EscrowTotals(
        held=[pb.Money(amount_minor=sums.held_minor, currency=CURRENCY)],
        needs_me=sums.needs,
        is_partial=sums.is_partial,
    )


async def _named(store: Store, asked: Asked) -> Filter:
    """Where the query is an id, the list is of what it names."""
    query = asked.query
    if not query or len(asked.which.words) > 1:
        return asked.which
    is_ours = ESCROW_ID.fullmatch(query.lower())
    named = await store.found_by_id(query.lower() if is_ours else query)
    if not named and not is_ours:
        return asked.which
    return replace(asked.which, escrow_ids=tuple(named), words=(), amount_minor=None)


def _parties(who: Caller, party: str, *, asks_turn: bool, asks_role: bool) -> tuple[str, ...]:
    """Who must belong to the escrows; first whoever's part and turn are asked for."""
    if who.sees_all and not asks_turn:
        first = party or (who.user_id if asks_role else "")
    else:
        first = who.user_id
    return tuple(dict.fromkeys(user_id for user_id in (first, party) if user_id))


def _subject(who: Caller, party: str) -> str:
    return party if who.sees_all and party else who.user_id


def _after(token: str, key: str, phases: int) -> tuple[int, Place] | None:
    given = read_page_token(token, key, [int, int, str])
    if given is None:
        return None
    phase, time_us, escrow_id = given
    return min(phase, phases - 1), (time_us, escrow_id)


def _key(request: rpc.ListEscrowsRequest) -> str:
    """What tells one filter and order from another."""
    bare = rpc.ListEscrowsRequest()
    bare.CopyFrom(request)
    for name in ("page_size", "page_token", "with_totals"):
        bare.ClearField(name)
    return sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]


def _amount(query: str) -> int | None:
    """Read an amount of rupees, as minor units."""
    written = _AMOUNT.fullmatch(query.strip())
    if written is None:
        return None
    whole, part = written.groups()
    return int(whole.replace(",", "")) * _MINOR + int((part or "0").ljust(2, "0"))


def _time_us(check: Check, request: rpc.ListEscrowsRequest, name: str) -> int | None:
    if not request.HasField(name):  # type: ignore[arg-type]
        return None
    time: Timestamp = getattr(request, name)
    if not 0 <= time.seconds < 2**38 or not 0 <= time.nanos < 10**9:
        check.problem(name, "must be a time from 1970 on")
        return None
    return time.seconds * US_PER_S + time.nanos // 1_000


def _name(kind: Any, number: int) -> str:
    prefix = {pb.EscrowStatus: "ESCROW_STATUS_", pb.AttentionCode: "ATTENTION_CODE_"}[kind]
    name: str = kind.Name(number)
    return name.removeprefix(prefix)
