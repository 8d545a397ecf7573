"""How Python's garbage collector is set in processes that serve."""

from __future__ import annotations

import gc

# New objects after which the young ones are searched. Python's own 700 searches several times for
# each call, and finds nothing.
YOUNG = 10_000


def leave_alone() -> None:
    """Never search again what is there now: modules, tables, the proto. Called once, when set up.

    A whole search of them stops the event loop for about 80 ms, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
