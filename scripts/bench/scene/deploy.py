"""Two bridges under two thousand sockets, of which one is restarted as a deploy does."""

from __future__ import annotations

import time
from contextlib import ExitStack

from scripts.bench.generator import require, step
from scripts.bench.line import Line, Mark
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.stack import Stack, token

SOCKETS = 2000
ESCROWS = 100
GROUP = "deploy"
BACK_LIMIT_S = 40.0
BUSIEST = 2.0


def deploy(room: Room, stack: Stack) -> Line:
    """Restart the second bridge; its clients come back to either, as behind a balancer."""
    with ExitStack() as ending:
        second = stack.start_bridge()
        assert second.process is not None
        ending.callback(second.kill)
        ending.callback(stack.bridges.remove, second)
        _open(room, stack)
        ending.callback(room.generator.do, "cut", group=GROUP)
        start = time.monotonic()
        second.process.stop()
        drained_s = time.monotonic() - start
        second.start()
        told = room.generator.do("moves", group=GROUP, count=SOCKETS // 2, timeout_s=BACK_LIMIT_S)
    if told["moves"] != SOCKETS // 2 or told["errors"] or told["missing"] or told["twice"]:
        raise Broken(f"not all clients came back whole: {told}")
    ratio = told["busiest_per_s"] / told["mean_per_s"]
    return Line(
        "deploy",
        told["busiest_per_s"],
        "reconnects in the busiest second",
        told["mean_per_s"],
        ratio,
        (Mark("ratio", ratio, "<=", BUSIEST),),
        {
            "baseline": "the mean of all seconds in which clients came back",
            "sockets": SOCKETS,
            "moved": told["moves"],
            "longest_gap_ms": told["gap"]["max_ms"],
            "gap": told["gap"],
            "refused_on_the_way": told["refused"],
            "bridge_drained_s": drained_s,
        },
    )


def _open(room: Room, stack: Stack) -> None:
    parties = [(f"buyer-{n}", f"seller-{n}") for n in range(ESCROWS)]
    subscribe = {"type": "subscribe", "escrow_id": "{escrow}"}
    again = '{"type":"subscribe","escrow_id":"{escrow}","after":{after}}'
    told = room.generator.do(
        "open",
        group=GROUP,
        urls=[stack.socket_url(bridge) for bridge in stack.bridges],
        tokens=[token(f"admin-{n}", "admin") for n in range(SOCKETS // 10)],
        escrows=stack.api.create(parties),
        steps=[step(subscribe, '"subscribed"')],
        resume=[step(again, '"subscribed"')],
        tracks=True,
        checks=True,
        follows=True,
        count=SOCKETS,
        rate=1000,
        timeout_s=60,
    )
    require(told, SOCKETS, "the sockets of two bridges")
