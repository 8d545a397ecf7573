"""Users who have just been closed for sending too much: their next handshake waits.

Without it a flood would cost its sender a reconnect and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable


class Penalties:
    """By user, until when; seconds of a monotonic clock."""

    def __init__(self, wait_s: float, clock_s: Callable[[], float]) -> None:
        self._wait_s = wait_s
        self._clock_s = clock_s
        # All last equally long, so that the oldest is always the first to be over.
        self._until_s: dict[str, float] = {}

    def add(self, user_id: str) -> None:
        """Have the user's handshakes wait from now on."""
        self._forget()
        self._until_s.pop(user_id, None)
        self._until_s[user_id] = self._clock_s() + self._wait_s

    def rest_s(self, user_id: str) -> float:
        """How long a handshake of the user has to wait, in seconds; mostly 0."""
        return max(0.0, self._until_s.get(user_id, 0.0) - self._clock_s())

    def _forget(self) -> None:
        now = self._clock_s()
        while self._until_s:
            oldest = next(iter(self._until_s))
            if self._until_s[oldest] > now:
                return
            del self._until_s[oldest]
