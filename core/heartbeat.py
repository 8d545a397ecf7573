"""The heartbeats of core's loops, by which a loop that is stuck is told from one that is idle.

A loop says `beat()` whenever it comes round, and `rest()` before it waits for work without a limit.
Outside a loop that `keep` has started both mean nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any


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


def keep(heartbeat: Heartbeat, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a loop whose beats are this heartbeat's."""
    context = contextvars.copy_context()
    context.run(_current.set, heartbeat)
    return asyncio.create_task(loop, name=heartbeat.name, context=context)
