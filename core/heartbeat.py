"""The heartbeats of core's loops, by which a loop that is stuck is told from one that is idle.

A loop says `beat()` whenever it comes round, and `rest()` before it waits for work without a limit.
Outside a loop that `keep` has started both mean nothing.

Loops that look at the database now and then do it at the same moments (`until_pulse_s`). On SQLite
the reads of one turn of the event loop are one trip to its thread (core.storage.lane).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from core.errors import Refusal

# A pulse that is nearer than that has just been: timers may be a little early.
JUST_S = 0.001


@dataclass(slots=True)
class Heartbeat:
    """One loop: how long it may be silent, and when it was heard last (monotonic, in seconds)."""

    name: str
    limit_s: float
    heard_s: float = field(default_factory=time.monotonic)
    is_resting: bool = False

    @property
    def age_s(self) -> float:
        """How long it has been silent; 0 while it rests."""
        return 0.0 if self.is_resting else time.monotonic() - self.heard_s

    @property
    def is_stuck(self) -> bool:
        return self.age_s > self.limit_s


_current: contextvars.ContextVar[Heartbeat | None] = contextvars.ContextVar(
    "heartbeat", default=None
)


def beat() -> None:
    """Say that this loop has come round."""
    heartbeat = _current.get()
    if heartbeat is not None:
        heartbeat.heard_s = time.monotonic()
        heartbeat.is_resting = False


def rest() -> None:
    """Say that this loop waits for work, however long that takes."""
    heartbeat = _current.get()
    if heartbeat is not None:
        heartbeat.is_resting = True


def until_pulse_s(every_s: float) -> float:
    """Answer the seconds until the next multiple of `every_s` on the event loop's clock."""
    wait_s = every_s - asyncio.get_running_loop().time() % every_s
    return wait_s if wait_s > JUST_S else wait_s + every_s


def keep(heartbeat: Heartbeat, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a loop whose beats are this heartbeat's."""
    context = contextvars.copy_context()
    context.run(_current.set, heartbeat)
    return asyncio.create_task(loop, name=heartbeat.name, context=context)


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until all of them have ended, however they do."""
    ending = tuple(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def in_rounds(
    work: Callable[[], Awaitable[object]],
    *,
    first_s: float,
    every_s: float,
    log: logging.Logger,
    failed: str,
) -> None:
    """Do something after `first_s` and then every `every_s`, until cancelled.

    A round that fails is logged, with the sentence `failed`, and the next one tries again.
    """
    wait_s = first_s
    while True:
        beat()
        await asyncio.sleep(wait_s)
        wait_s = every_s
        try:
            await work()
        except Refusal as refusal:
            log.warning("%s: %s", failed, refusal.__cause__ or refusal)
        except Exception:  # One bad row or report must not stop the loop.
            log.exception("%s", failed)
