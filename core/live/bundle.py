"""All watches of one stream: a cursor for each, and no task, queue or timer of its own.

Only what the stream is about to send is in memory. Where its reader is slow, the cursors stay where
they are, and what comes after them is read again when it is wanted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from core.live.watched import Cursor, Watched

# Cursors of one stream whose events are being read, or wait to be sent after they were.
FETCHES = 64


class Bundle:
    """The cursors of one stream. Whoever sends waits for `woken`, and calls `take`."""

    def __init__(
        self,
        *,
        cached: Callable[[str, int, int], list[bytes]],
        fetch: Callable[[Cursor], None],
        detach: Callable[[Cursor], None],
    ) -> None:
        self.woken = asyncio.Event()
        self.closed = False
        self._cached = cached
        self._fetch = fetch
        self._detach = detach
        # Cursors to look at, oldest bell first.
        self._rung: dict[Cursor, None] = {}
        # Those for which the table has to be read.
        self._behind: dict[Cursor, None] = {}
        # Those for which it is being read; whether they were rung meanwhile.
        self._fetching: dict[Cursor, bool] = {}
        self._fetched: dict[Cursor, deque[bytes]] = {}

    def close(self) -> None:
        """Say that the stream has to end, so that its watches are opened at another server."""
        self.closed = True
        self.woken.set()

    def add(self, key: int, watched: Watched, after: int) -> Cursor:
        """Watch an escrow after a version (exclusive)."""
        cursor = Cursor(key, watched, after, self)
        watched.cursors += (cursor,)
        if watched.may_have_more(after):
            self.ring(cursor)
        return cursor

    def remove(self, cursor: Cursor) -> None:
        """Watch no more; what was read for the cursor is forgotten."""
        self._rung.pop(cursor, None)
        self._behind.pop(cursor, None)
        self._fetching.pop(cursor, None)
        self._fetched.pop(cursor, None)
        watched = cursor.watched
        watched.cursors = tuple(one for one in watched.cursors if one is not cursor)
        self._detach(cursor)
        self._fetch_more()

    def ring(self, cursor: Cursor) -> None:
        if cursor in self._fetching:
            self._fetching[cursor] = True
        else:
            self._rung[cursor] = None
            self.woken.set()

    def fetched(self, cursor: Cursor, bodies: list[bytes]) -> None:
        """Take what was read for a cursor: events after it, or nothing."""
        was_rung = self._fetching.pop(cursor, None)
        if was_rung is None:
            return  # It was removed.
        if bodies:
            self._fetched[cursor] = deque(bodies)
        if bodies or was_rung:
            self.ring(cursor)
        self._fetch_more()

    def take(self, most_bytes: int) -> list[tuple[Cursor, bytes]]:
        """Take the next events, about `most_bytes` of them, and move their cursors on."""
        taken: list[tuple[Cursor, bytes]] = []
        left = most_bytes
        while self._rung and left > 0:
            cursor = next(iter(self._rung))
            del self._rung[cursor]
            if not cursor.watched.may_have_more(cursor.version):
                continue
            bodies = self._at_hand(cursor, left)
            for body in bodies:
                cursor.version += 1
                left -= len(body)
                taken.append((cursor, body))
            if bodies:
                self._rung[cursor] = None
            else:
                self._behind[cursor] = None
                self._fetch_more()
        return taken

    def _at_hand(self, cursor: Cursor, most_bytes: int) -> list[bytes]:
        fetched = self._fetched.get(cursor)
        if fetched is None:
            return self._cached(cursor.watched.escrow_id, cursor.version, most_bytes)
        bodies: list[bytes] = []
        while fetched and most_bytes > 0:
            bodies.append(fetched.popleft())
            most_bytes -= len(bodies[-1])
        if not fetched:
            del self._fetched[cursor]
            self._fetch_more()
        return bodies

    def _fetch_more(self) -> None:
        while self._behind and len(self._fetching) + len(self._fetched) < FETCHES:
            cursor = next(iter(self._behind))
            del self._behind[cursor]
            # It must not move while its events are read.
            self._fetching[cursor] = cursor in self._rung
            self._rung.pop(cursor, None)
            self._fetch(cursor)
