"""Whether the database takes what is written: since when not, and why. Health looks here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Condition:
    """What the last commits have told. Times are of a monotonic clock, in seconds."""

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        lacks_room: Callable[[], bool] = lambda: False,
    ) -> None:
        """`lacks_room` answers whether the disk of the database is all but full."""
        self._clock_s = clock_s
        self._lacks_room = lacks_room
        self._committed_s = clock_s()
        self._failing_since_s: float | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why nothing can be committed, as the last try told; empty after one that succeeded."""
        return self._problem

    @property
    def failing_s(self) -> float:
        """How long nothing could be committed; 0 after a commit that succeeded."""
        since_s = self._failing_since_s
        return 0.0 if since_s is None else self._clock_s() - since_s

    @property
    def quiet_s(self) -> float:
        """How long ago the last commit was, whatever came of later ones.

        After one that failed, commits do not count while the disk is all but full.
        """
        return self._clock_s() - self._committed_s

    def committed(self) -> None:
        """A write transaction is on disk."""
        # On a full disk a small one still finds a place now and then, and most do not.
        if self._problem and self._lacks_room():
            return
        self._committed_s = self._clock_s()
        if self._failing_since_s is not None:
            log.warning("the database takes commits again, after %.0f s", self.failing_s)
        self._failing_since_s, self._problem = None, ""

    def failed(self, why: str) -> None:
        """A write transaction could not be committed, by no fault of its own."""
        if self._failing_since_s is None:
            self._failing_since_s = self._clock_s()
        if why != self._problem:
            log.error("the database takes no commits: %s", why)
        self._problem = why
