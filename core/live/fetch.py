"""Reads from the table what cursors have missed: many escrows at once, for all streams together.

While the database is away it waits. Must never read for a cursor that has not asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from core.errors import Refusal
from core.heartbeat import stop
from core.live.watched import Cursor
from core.storage.store import Store

log = logging.getLogger(__name__)

# Escrows whose events are read at once.
ESCROWS = 64
# Events that are read at once.
EVENTS = 1_000
# The first pause while the database is away, in seconds; it doubles.
AWAY_FIRST_S = 0.1
# The longest such pause.
AWAY_LAST_S = 2.0

# An escrow and a version (exclusive).
Place = tuple[str, int]


class Fetcher:
    """One reader for this process; it runs only while something is wanted."""

    def __init__(self, store: Store, remember: Callable[[str, int, bytes], None]) -> None:
        self._store = store
        self._remember = remember
        self._wanted: dict[Place, list[Cursor]] = {}
        self._running: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._running is not None:
            await stop([self._running])

    def want(self, cursor: Cursor) -> None:
        """Read what comes after a cursor, and hand it to the cursor's bundle."""
        place = (cursor.watched.escrow_id, cursor.version)
        self._wanted.setdefault(place, []).append(cursor)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        wait_s = AWAY_FIRST_S
        while self._wanted:
            places = list(self._wanted)[:ESCROWS]
            asked = {place: self._wanted.pop(place) for place in places}
            try:
                found = await self._store.events_after_each(places, EVENTS)
            except Exception as error:
                if not isinstance(error, Refusal):
                    log.error("events could not be read", exc_info=error)
                for place, cursors in asked.items():
                    self._wanted.setdefault(place, []).extend(cursors)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, AWAY_LAST_S)
            else:
                wait_s = AWAY_FIRST_S
                self._hand_out(asked, found)

    def _hand_out(
        self, asked: dict[Place, list[Cursor]], found: Sequence[tuple[str, int, bytes]]
    ) -> None:
        bodies: dict[str, list[tuple[int, bytes]]] = {}
        for escrow_id, version, body in found:
            bodies.setdefault(escrow_id, []).append((version, body))
            self._remember(escrow_id, version, body)
        # Of a full answer, the last escrow may have more, and others were not come to.
        is_full = len(found) >= EVENTS
        for place, cursors in asked.items():
            escrow_id, after = place
            own = [body for version, body in bodies.get(escrow_id, ()) if version > after]
            if is_full and not own:
                self._wanted.setdefault(place, []).extend(cursors)
                continue
            if own and not (is_full and escrow_id == found[-1][0]):
                cursors[0].watched.ring(after + len(own))
            elif not own:
                cursors[0].watched.disprove(after)
            for cursor in cursors:
                cursor.bells.fetched(cursor, own)
