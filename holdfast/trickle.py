"""How much of what strangers can cause is said: a few of each kind, and how many were left out."""

from __future__ import annotations

import time
from collections.abc import Callable

# Lines of one kind that strangers can cause, at once.
BURST = 10
# How often one more of that kind is written.
EVERY_S = 10.0
# Kinds of such lines that are told apart; all others together are one.
KINDS = 256


class Trickle:
    """Counts by kind. May be asked from any thread: at worst a line too many passes."""

    def __init__(
        self,
        burst: int = BURST,
        every_s: float = EVERY_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._every_s = every_s
        self._clock_s = clock_s
        # By kind: how many may pass, since when that is so, and how many did not.
        self._kinds: dict[str, tuple[float, float, int]] = {}

    def admit(self, kind: str) -> int | None:
        """Whether one more of this kind may be said: None where not, and else how many of its
        kind have been left out since the last that was."""
        now = self._clock_s()
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            kind = ""
        left, since, out = self._kinds.get(kind, (float(self._burst), now, 0))
        left = min(self._burst, left + (now - since) / self._every_s)
        if left < 1:
            self._kinds[kind] = (left, now, out + 1)
            return None
        self._kinds[kind] = (left - 1, now, 0)
        return out
