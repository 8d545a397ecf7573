"""What a list, a wait or a feed reads is found by an index, however much there is beside it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.law.command import Caller
from core.law.status import Status
from core.storage.database import Database, in_thread, on_wire
from core.storage.link import Link
from core.storage.listing import Filter
from core.storage.plan import Compiled
from core.storage.position import Which
from core.storage.store import Store
from core.storage.trip import owed, question
from tests.core.law.story import START_US
from tests.core.room import Room

OTHERS, MANY, FEW = 24_000, 12_000, 3
PAGE = 20
# Rows that a read of one page may touch: a page for each part of its question, and some to spare.
MOST_ROWS = 20 * PAGE
# SQLite's own instructions: a row costs about ten to forty, and a walk over MANY takes far more.
MOST_STEPS = 40_000
BIG = (
    "escrows",
    "events",
    "positions",
    "owed",
    "checks",
    "inbox",
    "payee_changes",
    "payees",
    "profiles",
    "orders",
)

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
# The newest are of others; `many` is in each role, mostly at the end, and disputes are rare.
_ESCROWS = """
    INSERT INTO escrows (escrow_id, version, status, buyer_id, seller_id, arbiter_id,
        create_time_us, update_time_us, deadline_us, last_hash, body, created_by, needs_buyer,
        needs_seller, needs_arbiter, attention_code, external_id, held_minor)
    SELECT '{who}-' || CAST(1000000 + n.i AS TEXT), 1,
        CASE WHEN n.i % 3000 = 0 THEN 'DISPUTED' WHEN n.i % 7 = 0 THEN 'HELD' ELSE 'RELEASED' END,
        {buyer}, {seller}, {arbiter}, e.create_time_us + {age} + n.i, e.create_time_us + n.i,
        e.create_time_us + n.i, e.last_hash, e.body, {buyer},
        CASE WHEN n.i % 3 = 0 THEN 1 ELSE 0 END,
        CASE WHEN n.i % 50 = 0 THEN 1 ELSE 0 END, CASE WHEN n.i % 50 = 0 THEN 1 ELSE 0 END,
        CASE WHEN n.i % 500 = 0 THEN 'PAYEE_MISSING' ELSE '' END,
        '{who}-' || CAST(n.i AS TEXT), 100
    FROM n, escrows e WHERE e.escrow_id = :template
"""
_FILLED = [
    (
        OTHERS,
        _ESCROWS.format(
            who="other",
            buyer="'buyer-' || CAST(n.i % 2400 AS TEXT)",
            seller="'seller-' || CAST(n.i % 1200 AS TEXT)",
            arbiter="''",
            age=10_000_000,
        ),
    ),
    *(
        (MANY // 3, _ESCROWS.format(who=who, **roles, age=0))
        for who, roles in {
            "buys": {"buyer": "'many'", "seller": "'shop'", "arbiter": "''"},
            "sells": {
                "buyer": "'buyer-' || CAST(n.i % 2400 AS TEXT)",
                "seller": "'many'",
                "arbiter": "''",
            },
            "judges": {"buyer": "'client'", "seller": "'shop'", "arbiter": "'many'"},
        }.items()
    ),
    (FEW, _ESCROWS.format(who="few", buyer="'few'", seller="'many'", arbiter="'judge'", age=0)),
    (
        OTHERS,
        "INSERT INTO events (escrow_id, version, cause, fingerprint, type, create_time_us, body)"
        " SELECT 'other-' || CAST(1000000 + n.i AS TEXT), 1, 'cause-' || CAST(n.i AS TEXT),"
        " v.fingerprint, v.type, v.create_time_us, v.body"
        " FROM n, events v WHERE v.escrow_id = :template",
    ),
    (
        1,
        "INSERT INTO positions (position, escrow_id, version, type, new_status, buyer_id,"
        " seller_id, arbiter_id) SELECT 1 + ROW_NUMBER() OVER (ORDER BY e.create_time_us),"
        " e.escrow_id, 1, 'ESCROW_CREATED', e.status, e.buyer_id, e.seller_id, e.arbiter_id"
        " FROM n, escrows e WHERE e.escrow_id <> :template",
    ),
    *(
        (
            OTHERS,
            f"INSERT INTO {table} ({columns}) SELECT {key} || CAST(1000000 + n.i AS TEXT),"
            f" {START_US} + n.i, {rest} FROM n WHERE :template > ''",
        )
        for table, columns, key, rest in (
            ("owed", "escrow_id, due_us, version, stirs, attempts", "'other-'", "1, 0, 0"),
            ("checks", "escrow_id, due_us, attempts", "'other-'", "0"),
        )
    ),
    (
        OTHERS,
        "INSERT INTO payee_changes (user_id, due_us) SELECT 'seller-' || CAST(n.i AS TEXT),"
        f" {START_US} + n.i FROM n WHERE :template > ''",
    ),
    (
        OTHERS,
        "INSERT INTO inbox (event_id, receive_time_us, body, outcome)"
        f" SELECT 'evt-' || CAST(n.i AS TEXT), {START_US} + n.i, v.body,"
        " CASE WHEN n.i % 1000 = 0 THEN NULL ELSE 'APPLIED' END"
        " FROM n, events v WHERE v.escrow_id = :template AND v.version = 1",
    ),
    (
        OTHERS,
        "INSERT INTO payees (user_id, version, account_id, cause, fingerprint, create_time_us)"
        " SELECT 'seller-' || CAST(n.i AS TEXT), 1, 'acc_1', 'p-' || CAST(n.i AS TEXT),"
        f" v.fingerprint, {START_US} FROM n, events v"
        " WHERE v.escrow_id = :template AND v.version = 1",
    ),
    (
        OTHERS,
        "INSERT INTO profiles (user_id, display_name, update_time_us)"
        f" SELECT 'buyer-' || CAST(n.i AS TEXT), 'Asha', {START_US} FROM n WHERE :template > ''",
    ),
]


class Asked(NamedTuple):
    """A statement as the driver got it."""

    text: str
    values: tuple[Any, ...]


Case = Callable[[Store], Awaitable[Any]]


def _page(status: Status | None = None, before: bool = False, parties: str = "") -> Case:
    which = Filter(tuple(sorted(parties.split())), (status,) if status else ())
    return _listed(which, before)


def _listed(which: Filter, before: bool = False, *, is_oldest: bool = False) -> Case:
    # Between the newest and the oldest of everybody.
    key = (START_US + MANY // 6, "n") if before else None
    return lambda store: store.listed(which, after=key, limit=PAGE, is_oldest=is_oldest)


def _lists() -> dict[str, Case]:
    users = ("", "many", "few", "many few", "many shop", "client many", "few judge", "buyer-5 many")
    return {
        f"escrows of {user or 'everybody'}, {status}, {before}": _page(status, before, user)
        for user in users
        for status in (None, Status.HELD, Status.DISPUTED, Status.SPLIT)
        # What two users share in one status has no index of its own: where it is this little,
        # PostgreSQL finds and sorts it.
        if status is not Status.HELD or " " not in user
        for before in (False, True)
    }


def _asked() -> dict[str, Case]:
    """Lists by what only an index can answer for users who have very much."""
    users = ("many", "few")
    roles = ("", "buyer", "seller", "arbiter")
    later_us = START_US + MANY // 6
    return {
        f"{which}, {before}, {is_oldest}": _listed(which, before, is_oldest=is_oldest)
        for before in (False, True)
        for is_oldest in (False, True)
        for which in (
            Filter(),
            *(Filter((user,), role=role) for user in users for role in roles),
            *(Filter((user,), needs=True) for user in users),
            # Of what is more, one slice is so much here that PostgreSQL reads and sorts all of it.
            *(
                Filter((user,), (Status.DISPUTED,), needs=needs)
                for user in users
                for needs in (True, False)
            ),
            *(Filter((user,), needs=True, role=role) for user in users for role in roles),
            Filter(is_worrying=True),
            Filter(create_from_us=later_us),
            Filter(create_to_us=later_us),
            *(Filter((user,), create_from_us=later_us) for user in users),
            *(Filter((user,), create_to_us=later_us, role="buyer") for user in users),
            Filter(escrow_ids=("other-1000077", "nobody")),
            Filter(("buyer-77",), escrow_ids=("other-1000077",)),
        )
    }


async def _lease(store: Store) -> None:
    far_us = START_US * 2
    works = await store.transact(
        owed.lease(lease_id="l", now_us=far_us, until_us=far_us, limit=PAGE)
    )
    assert len(works) == PAGE
    one = owed.lease_one("other-1000099", lease_id="l", now_us=far_us, until_us=far_us)
    assert await store.transact(one)
    claimed = await store.transact(question.claim(now_us=far_us, until_us=far_us, limit=PAGE))
    assert len(claimed) == PAGE


_SOON_US = START_US + 30
_PEOPLE = [*(f"buyer-{at}" for at in range(1, 98)), "many", "few"]
_TYPES = frozenset({"ESCROW_CREATED", "PAYMENT_CAPTURED"})
CASES: dict[str, Case] = {
    **_lists(),
    **_asked(),
    # Those of many are limited in number (query.MAX_COUNTED), and not to what is on a page.
    "totals of few": lambda s: s.totals("few"),
    "by an order's id": lambda s: s.found_by_id("order_77"),
    "by a payment's id": lambda s: s.found_by_id("pay_77"),
    "by the caller's own id": lambda s: s.found_by_id("mine-77"),
    "open of many": lambda s: s.open_of("many", PAGE),
    "open of few": lambda s: s.open_of("few", PAGE),
    "unpaid": lambda s: s.unpaid_of("few", limit=PAGE),
    "leases and checks": _lease,
    "is anything owed": lambda s: s.is_owed(_SOON_US),
    "deadlines": lambda s: s.overdue(START_US * 2, PAGE),
    "webhooks": lambda s: s.waiting_webhooks(START_US * 2, PAGE),
    "payees due": lambda s: s.due_payees(_SOON_US, PAGE),
    "payee": lambda s: s.payee("seller-77"),
    "payee's events": lambda s: s.payee_events("seller-77", 0, PAGE),
    "names for many": lambda s: s.names(_PEOPLE, "many"),
    "names for few": lambda s: s.names(_PEOPLE, "few"),
    "names for everybody": lambda s: s.names(_PEOPLE, None),
    "order": lambda s: s.owner_of_order("order_77"),
    "escrow of an order": lambda s: s.escrow_of_order("order_77"),
    "escrow": lambda s: s.escrow("other-1000077"),
    "several": lambda s: s.several([f"other-{at}" for at in range(1000100, 1000110)]),
    "versions": lambda s: s.versions([f"other-{at}" for at in range(1000100, 1000110)]),
    "worrying": lambda s: s.worrying(PAGE),
    "newest position": lambda s: s.positions.newest(),
    "places": lambda s: s.positions.places(300, PAGE),
    "events by position": lambda s: s.positions.after(300, PAGE),
    "events of many by position": lambda s: s.positions.after(300, PAGE, Which("many")),
    "events of few by position": lambda s: s.positions.after(0, PAGE, Which("few")),
    "some events by position": lambda s: s.positions.after(300, PAGE, Which("", _TYPES, "HELD")),
    "events": lambda s: s.events_after("other-1000077", 0, PAGE),
    "events of each": lambda s: s.events_after_each(
        [(f"other-{at}", 0) for at in range(1000100, 1000105)], PAGE
    ),
    "event": lambda s: s.event("other-1000077", 1),
    "cause": lambda s: s.known("cause-77"),
    "revocations": lambda s: s.revocations(START_US),
}


async def test_an_index_finds_what_is_read_whatever_stands_beside_it(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = room.store._engine
    await _fill(room)
    asked: list[Asked] = []

    def driven(_c: Any, _cursor: Any, text: str, values: Any, *_: Any) -> None:
        asked.append(Asked(text, tuple(values)))

    values_of = Compiled.values

    def planned(compiled: Compiled, given: Mapping[str, Any]) -> tuple[Any, ...]:
        asked.append(Asked(compiled.text, values_of(compiled, given)))
        return asked[-1].values

    event.listen(database.sync_engine, "before_cursor_execute", driven)
    monkeypatch.setattr(Compiled, "values", planned)
    problems = []
    for name, case in CASES.items():
        asked.clear()
        await case(room.store)
        reads = [one for one in asked if one.text.lstrip().startswith(("SELECT", "WITH"))]
        assert reads, name
        for one in reads:
            explain = _postgres if room.store.is_postgres else _sqlite
            problems += [f"{name}: {said}" for said in await explain(database, one)]
    assert not problems, "\n".join(problems)


async def test_a_walk_over_what_a_user_has_would_be_noticed(room: Room) -> None:
    await _fill(room)
    database, is_postgres = room.store._engine, room.store.is_postgres
    explain, place = (_postgres, "$1") if is_postgres else (_sqlite, "?")
    bad = (
        f"SELECT body FROM escrows WHERE status <> {place} ORDER BY version LIMIT 20",
        f"SELECT body FROM escrows WHERE body > {place} ORDER BY escrow_id DESC LIMIT 20",
        f"SELECT count(*) FROM escrows WHERE buyer_id || '' = {place}",
    )
    for text in bad:
        assert await explain(database, Asked(text, ("many" if "body >" not in text else "~",)))


async def _fill(room: Room) -> None:
    """Write what many others have, and what one user has very much of."""
    template = await room.create(arbiter_id="")
    async with room.store.write() as transaction:
        for count, text in _FILLED:
            statement = sa.text(_with_numbers(text, count))
            await transaction._connection.execute(statement, {"template": template})
    async with room.store._engine.connect() as connection:
        if room.store.is_postgres:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(sa.text("VACUUM ANALYZE"))


def _with_numbers(text: str, count: int) -> str:
    return _NUMBERS.format(count=count) + text


async def _sqlite(database: Database, asked: Asked) -> list[str]:
    """Say what is wrong with how SQLite goes about a read."""

    def look(connection: Any) -> tuple[list[str], int]:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {asked.text}", asked.values).fetchall()
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 100
            return 0

        connection.set_progress_handler(count, 100)
        connection.execute(asked.text, asked.values).fetchall()
        connection.set_progress_handler(None, 0)
        return [row[3] for row in rows], steps

    plan, steps = await in_thread(database, look)
    scans = [
        f"{line} in {asked.text}"
        for line in plan
        if re.match(rf"SCAN ({'|'.join(BIG)})\b", line) and " INDEX " not in line
    ]
    return scans + ([f"{steps} steps: {plan}"] if steps > MOST_STEPS else [])


async def _postgres(database: Database, asked: Asked) -> list[str]:
    """Say what is wrong with how PostgreSQL goes about a read."""

    async def look(driver: Any, _link: Link) -> Any:
        text = f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.text}"
        return await driver.fetchval(text, *asked.values)

    found = await on_wire(database, look)
    # Where SQLAlchemy has set the connection up, it is read already.
    plan = json.loads(found) if isinstance(found, str) else found
    return [said for node in _nodes(plan[0]["Plan"]) for said in _judged(node)]


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(below for part in node.get("Plans", ()) for below in _nodes(part))]


def _judged(node: dict[str, Any]) -> list[str]:
    name = f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name', '')}"
    removed = sum(count for key, count in node.items() if key.startswith("Rows Removed"))
    rows = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    said = [f"{name} touches {rows} rows"] if rows > MOST_ROWS else []
    if node["Node Type"].endswith("Seq Scan") and node["Relation Name"] in BIG[:-1]:
        said.append(f"{name} reads it all")
    return said


async def test_a_list_has_what_is_shared_newest_first_and_nothing_twice(room: Room) -> None:
    people = ("ann", "bob", "cy")
    made = [
        (await room.create(caller=Caller(b), buyer_id=b, seller_id=s, arbiter_id=a), {b, s, a})
        for b in people
        for s in people
        for a in ("", *people)
        if b != s and a not in (b, s)
    ]
    newest = made[::-1]
    for parties in ([], ["ann"], ["bob"], ["ann", "cy"], ["ann", "nobody"]):
        wanted = [one for one, who in newest if set(parties) <= who]
        found: list[str] = []
        before = None
        which = Filter(tuple(parties), (Status.INITIATED,))
        while True:
            page = await room.store.listed(which, after=before, limit=2)
            found += [escrow.escrow_id for escrow in page.escrows]
            before = page.place
            if before is None:
                break
        assert found == wanted
    assert await room.store.open_of("ann", 3) == [one for one, who in newest if "ann" in who][:3]
