"""The same core on a million escrows and on a thousand."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from escrow.v1 import escrow_service_pb2, ledger_service_pb2

from scripts.bench.api import BALANCE, CREATE, LIST, Api
from scripts.bench.bulk import story
from scripts.bench.bulk.write import Bulk, write
from scripts.bench.line import Line, Mark
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.scene.transition import BODIES, MANY
from scripts.bench.stack import Stack
from scripts.bench.turn import Figures, in_turns

FEW = 1_000
# One of so many escrows was paid and released; the others were cancelled, which are quicker made.
WHOLE_ONE_IN = 10
# The writing's share of the time that all lines have; a slow machine gets fewer escrows.
WRITING_S = 90.0
ROUNDS = 3
PAGE = 50
ACCOUNT = "razorpay:balance"
RATIO, BALANCE_MS = 0.85, 5.0


def growth(room: Room) -> Line:
    """Make both databases, and measure in turns on a core for each."""
    folder = room.folder / "growth"
    folder.mkdir()
    whole = story.told(room.generator, folder / "whole", story.Teller.released)
    short = story.told(room.generator, folder / "short", story.Teller.cancelled)
    kinds = ((whole, 1), (short, WHOLE_ONE_IN - 1))
    few = write(folder / "few.db", FEW, *kinds)
    room.say(f"growth: writing {room.escrows:,} escrows")
    many = write(folder / "many.db", room.escrows, *kinds, limit_s=WRITING_S)
    told = f"{len(many.escrow_ids):,} escrows with {many.events:,} events"
    room.say(f"growth: {told} are written after {many.seconds:.0f} s")
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder)
        stacks = {}
        for name, bulk in (("few", few), ("many", many)):
            home = folder / f"core-{name}"
            home.mkdir()
            stacks[name] = Stack(home, room.generator, database_url=bulk.url)
            ending.callback(stacks[name].kill)
            stacks[name].start_core()
            _prove(stacks[name].api, bulk)
        found = in_turns(ROUNDS, {name: _measure(one.api) for name, one in stacks.items()})
    ratios = {key: found["many"][key] / found["few"][key] for key in ("transitions", "pages")}
    return _line(room, many, found, ratios)


def _line(room: Room, many: Bulk, found: dict[str, Figures], ratios: dict[str, float]) -> Line:
    balance_ms = found["many"]["balance_ms"]
    return Line(
        "growth",
        found["many"]["transitions"],
        "transitions/s",
        found["few"]["transitions"],
        ratios["transitions"],
        (
            Mark("ratio", ratios["transitions"], ">=", RATIO),
            Mark("first_page_ratio", ratios["pages"], ">=", RATIO),
            Mark("balance_ms", balance_ms, "<=", BALANCE_MS),
            Mark("escrows", len(many.escrow_ids), ">=", room.escrows),
        ),
        {
            "baseline": f"the same with {FEW:,} escrows",
            "escrows": len(many.escrow_ids),
            "events": many.events,
            "megabytes": many.megabytes,
            "made_by": "rows of two real escrows, one released and nine cancelled in turn, copied"
            " into SQLite with ids, users and hashes of their own",
            "made_in_s": many.seconds,
            "first_page_ratio": ratios["pages"],
            **found,
        },
    )


def _prove(api: Api, bulk: Bulk) -> None:
    """Make sure that core takes the copies for true: books, hashes and balances."""
    for escrow_id in (bulk.escrow_ids[0], bulk.escrow_ids[-1]):
        if findings := api.check(escrow_id):
            raise Broken(f"a copied escrow is not a true one: {findings}")
    wanted = sum(n for (account, _), n in bulk.balances.items() if account == ACCOUNT)
    if (balance := api.balance(ACCOUNT)) != wanted:
        raise Broken(f"{ACCOUNT} stands at {balance}, and not at {wanted}")


class _Measured:
    """One core's figures."""

    def __init__(self, api: Api) -> None:
        self._api = api
        list_request = escrow_service_pb2.ListEscrowsRequest
        users = [f"bulk-buyer-{n:09d}" for n in range(FEW // PAGE)]
        self._pages = [
            list_request(party=user, page_size=PAGE).SerializeToString() for user in users
        ]
        self._balance = ledger_service_pb2.GetBalanceRequest(account=ACCOUNT).SerializeToString()

    def __call__(self) -> Figures:
        created = self._api.load(CREATE, BODIES, callers=MANY, seconds=2.0)
        listed = self._api.load(LIST, self._pages, callers=16, seconds=1.5)
        asked = self._api.load(BALANCE, [self._balance], callers=1, count=50)
        return {
            "transitions": created["calls"] / created["seconds"],
            "pages": listed["calls"] / listed["seconds"],
            "page_p50_ms": listed["taken"]["p50_ms"],
            "balance_ms": asked["taken"]["p50_ms"],
            "balance_p99_ms": asked["taken"]["p99_ms"],
        }


def _measure(api: Api) -> _Measured:
    return _Measured(api)
