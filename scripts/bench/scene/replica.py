"""What a core costs that watches nothing while another one commits on the same PostgreSQL."""

from __future__ import annotations

import time
from contextlib import ExitStack

from scripts.bench.api import CREATE
from scripts.bench.line import Line, Mark
from scripts.bench.scene.transition import BODIES
from scripts.bench.stack import Stack
from scripts.bench.turn import Figures, in_turns
from scripts.bench.usage import Meter

COMMITS_PER_S = 500.0
SECONDS = 4.0
ROUNDS = 2
MOST_PERCENT = 3.0


def replica_idle_cost(stack: Stack) -> Line:
    """The CPU of the second core, in percent of one core of the machine."""
    with ExitStack() as ending:
        second = stack.start_core()
        ending.callback(second.kill)
        ending.callback(stack.cores.remove, second)
        time.sleep(1)

        def busy() -> Figures:
            meter = Meter(second.pid)
            told = stack.api.load(CREATE, BODIES, rate=COMMITS_PER_S, seconds=SECONDS, callers=128)
            return {"percent": meter.share(), "commits_per_s": told["calls"] / told["seconds"]}

        def idle() -> Figures:
            meter = Meter(second.pid)
            time.sleep(SECONDS)
            return {"percent": meter.share()}

        found = in_turns(ROUNDS, {"busy": busy, "idle": idle})
    value, base = found["busy"]["percent"], found["idle"]["percent"]
    return Line(
        "replica_idle_cost",
        value,
        "% of a core",
        base,
        value / base,
        (Mark("value", value, "<=", MOST_PERCENT),),
        {
            "baseline": "the same core while nobody commits",
            "commits_per_s": found["busy"]["commits_per_s"],
        },
    )
