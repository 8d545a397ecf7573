"""When loops look at the database now and then: several in one turn of the event loop.

On SQLite the reads of one turn are one trip to its thread (core.storage.lane), which costs an idle
core about as much as one read.
"""

from __future__ import annotations

import asyncio

# What is nearer than that has just been: timers may be a little early.
JUST_S = 0.001


def until_pulse_s(every_s: float) -> float:
    """Answer the seconds until the next multiple of `every_s` on the event loop's clock."""
    wait_s = every_s - asyncio.get_running_loop().time() % every_s
    return wait_s if wait_s > JUST_S else wait_s + every_s
