"""How many commands core takes a second, and what one of them costs, beside an empty call."""

from __future__ import annotations

from contextlib import ExitStack

from scripts.bench.api import CREATE, EMPTY, Api, creation
from scripts.bench.line import Line, Mark
from scripts.bench.peer.servers import BareGrpc, Peer
from scripts.bench.room import Room
from scripts.bench.stack import Stack, watched
from scripts.bench.turn import Figures, in_turns
from scripts.bench.usage import Meter

MANY = 128
ROUNDS = 3
# What each kind may cost, by its mark in issue and docs.
RATE = {"sqlite": 0.65, "postgres": 0.6}
COST = {"sqlite": 5.0, "postgres": 4.0}
BATCHED = 5.0
BODIES = [creation(f"buyer-{n}", f"seller-{n}") for n in range(256)]


class Transitions:
    """The lines of one database."""

    def __init__(self, room: Room, stack: Stack, kind: str) -> None:
        self._room, self._stack, self._kind = room, stack, kind
        self._api = stack.api

    def rate(self) -> Line:
        """Many callers at once: transitions_sqlite, transitions_postgres."""
        with ExitStack() as ending:
            bare = ending.enter_context(self._room.peer(BareGrpc))
            found = in_turns(
                ROUNDS,
                {
                    "create": lambda: self._create(MANY, 2.0),
                    "empty": lambda: self._empty(MANY, 1.5),
                    "bare": lambda: self._bare(bare, MANY, 1.0),
                },
            )
        with watched(self._stack.core) as loop:
            self._create(MANY, 1.0)
        create, empty = found["create"], found["empty"]
        ratio = create["rate"] / empty["rate"]
        return Line(
            f"transitions_{self._kind}",
            create["rate"],
            "transitions/s",
            empty["rate"],
            ratio,
            (Mark("ratio", ratio, ">=", RATE[self._kind]),),
            {
                "baseline": "empty calls of the same core (grpc.health.v1.Health/Check) a second",
                "callers": MANY,
                "create": create,
                "empty": empty,
                "bare_grpc_aio": found["bare"],
                **loop,
            },
        )

    def batched(self) -> Line:
        """Many callers at once, whose commands share transactions, against a lone caller's."""
        found = in_turns(
            ROUNDS,
            {
                "many": lambda: self._create(MANY, 1.5),
                "lone": lambda: self._create(1, 1.5),
            },
        )
        many, lone = found["many"]["rate"], found["lone"]["rate"]
        return Line(
            "transitions_batched",
            many,
            "transitions/s",
            lone,
            many / lone,
            (Mark("ratio", many / lone, ">=", BATCHED),),
            {"baseline": "one transaction for each command: a lone caller's", **found},
        )

    def cost(self) -> Line:
        """A lone caller: command_cost_sqlite, command_cost_postgres."""
        found = in_turns(
            ROUNDS,
            {
                "create": lambda: self._create(1, 2.0),
                "empty": lambda: self._empty(1, 1.0),
            },
        )
        create, empty = found["create"]["cpu_ms"], found["empty"]["cpu_ms"]
        return Line(
            f"command_cost_{self._kind}",
            create,
            "ms CPU",
            empty,
            create / empty,
            (Mark("ratio", create / empty, "<=", COST[self._kind]),),
            {"baseline": "an empty call of the same core", "callers": 1, **found},
        )

    def _create(self, callers: int, seconds: float) -> Figures:
        return calls(self._room, self._api, self._stack.core.pid, CREATE, BODIES, callers, seconds)

    def _empty(self, callers: int, seconds: float) -> Figures:
        return calls(self._room, self._api, self._stack.core.pid, EMPTY, [b""], callers, seconds)

    def _bare(self, bare: Peer, callers: int, seconds: float) -> Figures:
        api = Api(self._room.generator, bare.port.address, "")
        return calls(self._room, api, bare.process.pid, EMPTY, [b""], callers, seconds)


def calls(
    room: Room, api: Api, pid: int, method: str, bodies: list[bytes], callers: int, seconds: float
) -> Figures:
    """Call as fast as the callers can; what each call cost the server, and the load itself."""
    server, load = Meter(pid), Meter(room.generator.pid)
    told = api.load(method, bodies, callers=callers, seconds=seconds)
    count = told["calls"]
    return {
        "rate": count / told["seconds"],
        "cpu_ms": server.cpu_s() / count * 1000,
        "cpu_share_percent": server.share(),
        "load_cpu_ms": load.cpu_s() / count * 1000,
        "p50_ms": told["taken"]["p50_ms"],
        "p99_ms": told["taken"]["p99_ms"],
    }
