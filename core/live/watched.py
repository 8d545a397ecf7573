"""What is looked at: an escrow, and the cursors that wait for its next version.

Kept small, because there is one of each for every escrow that a browser shows.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Bells(Protocol):
    """Whose cursor it is: is told that it may go on."""

    def ring(self, cursor: Cursor) -> None:
        """Note that there may be something after the cursor."""

    def fetched(self, cursor: Cursor, bodies: list[bytes]) -> None:
        """Take what was read for a cursor: events after it, or nothing."""


class Watched:
    """One escrow that somebody looks at.

    `version` is the newest that anybody has told of; 0 means that the table has to be read.
    """

    __slots__ = ("_rung", "cursors", "escrow_id", "reading", "version", "watchers")

    def __init__(self, escrow_id: str) -> None:
        self.escrow_id = escrow_id
        self.version = 0
        self.watchers = 0
        self.cursors: tuple[Cursor, ...] = ()
        self.reading: dict[int, asyncio.Task[list[bytes]]] = {}
        self._rung: asyncio.Event | None = None

    @property
    def rung(self) -> asyncio.Event:
        """Set at the next bell."""
        if self._rung is None:
            self._rung = asyncio.Event()
        return self._rung

    def ring(self, version: int) -> None:
        if version > self.version:
            self.version = version
            self.wake()

    def disprove(self, after: int) -> None:
        """The table has nothing after a version: whoever has told of more was wrong."""
        if self.version > after:
            self.version = 0

    def look(self) -> None:
        """Have everybody read the table, and nobody wait for a reading that has begun before."""
        self.version = 0
        self.reading = {}
        self.wake()

    def wake(self) -> None:
        if self._rung is not None:
            self._rung.set()
            self._rung = None
        for cursor in self.cursors:
            cursor.bells.ring(cursor)

    def may_have_more(self, version: int) -> bool:
        """Whether there may be events after a version."""
        return not 0 < self.version <= version


class Cursor:
    """One watch of a bundle: `version` is that of the last event that was handed on."""

    __slots__ = ("bells", "key", "version", "watched")

    def __init__(self, key: int, watched: Watched, version: int, bells: Bells) -> None:
        self.key = key
        self.watched = watched
        self.version = version
        self.bells = bells
