"""Which tokens were revoked: for each user, all that were issued before a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType


class Revocations:
    """What this process knows of them. Times are seconds since the epoch; the newest counts."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}
        # Called with the user's id after each change.
        self.listeners: list[Callable[[str], None]] = []

    @property
    def before(self) -> Mapping[str, float]:
        """For each user the time before which no token is good."""
        return MappingProxyType(self._before)

    def add(self, user_id: str, before_s: float) -> None:
        """Refuse a user's tokens that were issued before a time; it never goes back."""
        if before_s > self._before.get(user_id, 0.0):
            self._before[user_id] = before_s
            for listener in tuple(self.listeners):
                listener(user_id)

    def covers(self, user_id: str, issued_at: float) -> bool:
        """Whether a token is revoked; `issued_at` is 0 where the token does not say."""
        return issued_at < self._before.get(user_id, 0.0)
