"""From a commit to the frames at the parties' sockets, while many escrows move."""

from __future__ import annotations

from contextlib import ExitStack

from scripts.bench.api import EMPTY, PUBLISH, update
from scripts.bench.generator import require, step
from scripts.bench.line import Line, Mark
from scripts.bench.peer.servers import BareAiohttp
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.stack import Stack, token, watched
from scripts.bench.turn import Figures, in_turns

ESCROWS = 500
SOCKETS = 2 * ESCROWS
EVENTS_PER_S = 200.0
SECONDS = 3.0
ROUNDS = 3
GROUP = "parties"
P50_MS, P99_MS, RATIO = 5.0, 25.0, 3.0


class CommitToFrame:
    """Buyer and seller of 500 escrows look at them; 200 events a second come to these in turn."""

    def __init__(self, room: Room, stack: Stack) -> None:
        self._room, self._stack = room, stack

    def measure(self) -> Line:
        with ExitStack() as ending:
            bare = ending.enter_context(self._room.peer(BareAiohttp))
            self._open()
            ending.callback(self._room.generator.do, "cut", group=GROUP)
            echo_url = f"http://{bare.port.address}/echo"
            found = in_turns(
                ROUNDS, {"holdfast": self._frames, "bare": lambda: self._bare(echo_url)}
            )
            with watched(self._stack.core, self._stack.bridge) as loops:
                self._frames()
        ours, bare_ms = found["holdfast"], found["bare"]["rpc_ms"] + found["bare"]["echo_ms"]
        ratio = ours["p50_ms"] / bare_ms
        return Line(
            "commit_to_frame",
            ours["p50_ms"],
            "ms, p50 from the call's beginning to the frame",
            bare_ms,
            ratio,
            (
                Mark("value", ours["p50_ms"], "<=", P50_MS),
                Mark("p99_ms", ours["p99_ms"], "<=", P99_MS),
                Mark("ratio", ratio, "<=", RATIO),
            ),
            {
                "baseline": "p50 of an empty call of core and of a bare WebSocket echo, added",
                "sockets": SOCKETS,
                "escrows": ESCROWS,
                "events_per_s": EVENTS_PER_S,
                **ours,
                **found["bare"],
                **loops,
            },
        )

    def _open(self) -> None:
        parties = [(f"buyer-{n}", f"seller-{n}") for n in range(ESCROWS)]
        escrows = self._stack.api.created(parties)
        self._bodies = [update(one.escrow_id) for one in escrows]
        users = [one.buyer_id for one in escrows] + [one.seller_id for one in escrows]
        told = self._room.generator.do(
            "open",
            group=GROUP,
            urls=[self._stack.socket_url()],
            tokens=[token(user) for user in users],
            escrows=[one.escrow_id for one in escrows],
            steps=[step({"type": "subscribe", "escrow_id": "{escrow}"}, '"subscribed"')],
            count=SOCKETS,
            rate=500,
            timeout_s=60,
        )
        require(told, SOCKETS, "the parties")

    def _frames(self) -> Figures:
        generator, count = self._room.generator, int(EVENTS_PER_S * SECONDS)
        generator.do("reset", group=GROUP, records=True)
        pace = {"count": count, "rate": EVENTS_PER_S, "callers": 64}
        self._stack.api.load(PUBLISH, self._bodies, **pace, trace=GROUP)
        told = generator.do("wait", group=GROUP, frames=2 * count, timeout_s=20)
        if told["frames"] != 2 * count:
            raise Broken(f"{told['frames']} of {2 * count} frames came, {told['errors']}")
        joined = generator.do("join", trace=GROUP, group=GROUP)
        from_call, from_answer = joined["from_call"], joined["from_answer"]
        return {
            "p50_ms": from_call["p50_ms"],
            "p99_ms": from_call["p99_ms"],
            "max_ms": from_call["max_ms"],
            "from_answer_p50_ms": from_answer["p50_ms"],
            "from_answer_p99_ms": from_answer["p99_ms"],
        }

    def _bare(self, echo_url: str) -> Figures:
        pace = {"rate": EVENTS_PER_S, "seconds": 1.0}
        rpc = self._stack.api.load(EMPTY, [b""], callers=64, **pace)["taken"]
        echo = self._room.generator.do("echo", url=echo_url, text="x" * 1000, **pace)
        return {"rpc_ms": rpc["p50_ms"], "echo_ms": echo["p50_ms"]}
