"""Runs a module and tells how long its event loop blocks.

`python -m scripts.bench.watchdog FILE core` runs core.

SIGUSR1 begins to time every callback of the loop, and SIGUSR2 writes what was found to FILE and
ends it. Until then the process is as it is without this: nothing of the loop is touched.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

LONG_S = 0.005

# The class as no type checker knows it.
_Handle: Any = asyncio.Handle
_plain = _Handle._run


class Watch:
    """What was seen since it began."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.longest_cpu_s = 0.0
        self.culprit = ""
        self.long = 0
        self.callbacks = 0

    def run(self, handle: Any) -> None:
        """Stand in for asyncio's own way to run a callback, and time it."""
        begun, cpu_begun = time.perf_counter(), time.thread_time()
        _plain(handle)
        taken_s, cpu_s = time.perf_counter() - begun, time.thread_time() - cpu_begun
        self.longest_cpu_s = max(self.longest_cpu_s, cpu_s)
        self.callbacks += 1
        self.long += taken_s > LONG_S
        if taken_s > self.longest_s:
            self.longest_s, self.culprit = taken_s, _name(handle)

    def told(self) -> dict[str, Any]:
        return {
            "longest_block_ms": self.longest_s * 1000,
            # Without the time in which another process had the processor.
            "longest_block_cpu_ms": self.longest_cpu_s * 1000,
            "blocks_over_5_ms": self.long,
            "callbacks": self.callbacks,
            "longest_is": self.culprit,
        }


def _name(handle: Any) -> str:
    callback = handle._callback
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return str(getattr(task.get_coro(), "__qualname__", task.get_name()))
    return str(getattr(callback, "__qualname__", repr(callback)))


def install(path: Path) -> None:
    """Obey the two signals. The file appears whole or not at all."""
    state = {"watch": Watch()}

    def begin(*_: object) -> None:
        watch = state["watch"] = Watch()
        _Handle._run = lambda handle: watch.run(handle)

    def end(*_: object) -> None:
        _Handle._run = _plain
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(state["watch"].told()))
        os.replace(draft, path)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    module, sys.argv = sys.argv[2], sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
