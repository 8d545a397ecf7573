"""Limits the calls that run at the same time: all of them, and those of one user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.upstream.error import CoreError

_BUSY = CoreError("UNAVAILABLE", "Too many calls are under way. Try again.", "BUSY")
_SHARE = CoreError(
    "RESOURCE_EXHAUSTED", "Too many calls of this user are under way.", "TOO_MANY_AT_ONCE"
)


class Slots:
    """A call takes one when its whole request is there, so that a slow client holds none."""

    def __init__(self, most: int, most_of_user: int) -> None:
        self._most = most
        self._most_of_user = most_of_user
        self._taken = 0
        self._of_user: Counter[str] = Counter()

    @contextmanager
    def taken(self, user_id: str) -> Iterator[None]:
        """Hold one slot. Raises CoreError (UNAVAILABLE, RESOURCE_EXHAUSTED) if none is left."""
        if self._taken >= self._most:
            raise _BUSY
        if self._of_user[user_id] >= self._most_of_user:
            raise _SHARE
        self._taken += 1
        self._of_user[user_id] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]
