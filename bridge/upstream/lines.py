"""One line to each core, and the users who wait until core can be asked.

They wait in turn, and only so many questions to a core are open at once. The core with the fewest
watches gets the next one; a core that has come back gets its share a few at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.upstream.ask import Ask
from bridge.upstream.error import CoreError
from bridge.upstream.line import Line
from bridge.upstream.stream import Source
from bridge.upstream.turns import Queue
from bridge.upstream.watched import Watched

# How much more than its share a core may keep, so that few watches move to and fro.
_UNEVEN = 0.05

# What is done with a watch.
Handler = Callable[[Watched], None]


class Lines:
    """All lines. See line.py for what the three handlers are for."""

    def __init__(
        self,
        source: Source,
        *,
        resume: Handler,
        retry: Handler,
        ended: Callable[[Watched, CoreError], None],
    ) -> None:
        self.resume, self.retry, self.ended = resume, retry, ended
        self._core = source.core
        self._limits = source.limits
        self._queue: Queue[Ask] = Queue()
        # What somebody waits for, the oldest first.
        self._waiting: dict[Ask, None] = {}
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Since when no core answers; None while one does.
        self._away_since_s: float | None = None
        self._look: asyncio.TimerHandle | None = None
        self._lines = [
            Line(endpoint, source, self, self._begun) for endpoint in self._core.endpoints
        ]
        self._core.checked.append(self._even_out)

    async def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        await asyncio.gather(*(line.close() for line in self._lines))

    async def ask(self, ask: Ask) -> int:
        """Ask core, and wait for the answer: the escrow's version. Raises CoreError.

        It waits `core_wait_s` for a core that is away, and `core_busy_s` for one that is only busy.
        """
        answer: asyncio.Future[int] = self._loop.create_future()
        ask.answer = answer
        self._waiting[ask] = None
        self._look_later()
        self.put(ask)
        try:
            return await answer
        finally:
            del self._waiting[ask]
            self._forget(ask)

    def put(self, ask: Ask) -> None:
        """Ask core when it is this user's turn."""
        if ask.watch is not None:
            ask.watch.asking = ask
        self._queue.put(ask.identity.user_id, ask)
        self._begun.set()
        self.share_out()

    def drop(self, watch: Watched) -> None:
        """Watch no more."""
        if watch.asking is not None:
            self._forget(watch.asking)
        if watch.line is not None:
            watch.line.drop(watch)

    def share_out(self) -> None:
        """Give what waits to the lines that have room, each to the one with the fewest."""
        while self._queue:
            lines = [line for line in self._lines if line.has_room]
            if not lines:
                return
            ask = self._queue.take()
            if not ask.is_over:
                min(lines, key=lambda line: line.load).give(ask)

    def _forget(self, ask: Ask) -> None:
        ask.is_over = True
        if ask.watch is not None and ask.watch.asking is ask:
            ask.watch.asking = None
        if ask.line is not None:
            ask.line.forget(ask)

    def _even_out(self) -> None:
        lines = [line for line in self._lines if line.is_up]
        if len(lines) < 2:
            return
        share = sum(line.load for line in lines) / len(lines)
        for line in lines:
            surplus = int(line.load - share * (1 + _UNEVEN))
            line.move(min(max(surplus, 0), self._limits.moves))

    # Who waits too long.

    def _look_later(self) -> None:
        if self._look is None and self._waiting:
            self._look = self._loop.call_later(self._limits.core_wait_s / 8, self._give_up)

    def _give_up(self) -> None:
        limits, now_s = self._limits, self._loop.time()
        if self._core.connected and any(line.is_up for line in self._lines):
            self._away_since_s = None
        elif self._away_since_s is None:
            self._away_since_s = now_s
        for ask in self._waiting:
            is_away = self._away_since_s is not None and (
                now_s - max(ask.at_s, self._away_since_s) >= limits.core_wait_s
            )
            if is_away or now_s - ask.at_s >= limits.core_busy_s:
                ask.fail(CoreError("UNAVAILABLE", "Core is unavailable. Try again."))
        self._look = None
        self._look_later()
