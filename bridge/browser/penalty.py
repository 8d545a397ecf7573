"""Delays the next handshake of a user whose connection was closed for sending too much.

Without the delay, flooding the bridge would cost a user no more than a reconnect.
"""

from __future__ import annotations

from collections.abc import Callable


class Penalties:
    """Until when each user's handshakes are delayed, in seconds of a monotonic clock."""

    def __init__(self, wait_s: float, clock_s: Callable[[], float]) -> None:
        self._wait_s = wait_s
        self._clock_s = clock_s
        # All penalties last equally long, so the oldest always ends first.
        self._until_s: dict[str, float] = {}

    def add(self, user_id: str) -> None:
        """Delay the user's handshakes for `wait_s` from now."""
        self._forget()
        self._until_s.pop(user_id, None)
        self._until_s[user_id] = self._clock_s() + self._wait_s

    def rest_s(self, user_id: str) -> float:
        """How many seconds a handshake of the user has to wait; usually 0."""
        return max(0.0, self._until_s.get(user_id, 0.0) - self._clock_s())

    def _forget(self) -> None:
        now = self._clock_s()
        while self._until_s:
            oldest = next(iter(self._until_s))
            if self._until_s[oldest] > now:
                return
            del self._until_s[oldest]
