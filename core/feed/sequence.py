"""Gives committed events their positions on PostgreSQL; `core.storage.position` says how.

Every core does it right after its own commits, and now and then for what a core has left that
died in between. There is no leader, and so none to replace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from core.errors import Refusal
from core.heartbeat import beat
from core.storage.position import SLICE

log = logging.getLogger(__name__)

# How often a core looks for what others have left.
SWEEP_S = 1.0
# How long it waits after a try that failed.
RETRY_S = 0.5


class Sequencer:
    """Runs `give` as often as there is something to give."""

    def __init__(self, give: Callable[[], Awaitable[int]], placed: Callable[[], None]) -> None:
        """`placed` hears that there are new positions."""
        self._give = give
        self._placed = placed
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """This core has committed events."""
        self._rung.set()

    async def run(self, every_s: float = SWEEP_S) -> None:
        """Give positions until cancelled."""
        is_away = False
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._rung.wait()
            self._rung.clear()
            try:
                await self._give_all()
            except Exception as error:  # Commands go on: what waits has its metric.
                if not isinstance(error, Refusal):
                    log.exception("positions could not be given")
                elif not is_away:
                    why = error.__cause__ or error
                    log.warning("positions could not be given, and are given later: %s", why)
                is_away = True
                self._rung.set()
                await asyncio.sleep(RETRY_S)
            else:
                is_away = False

    async def _give_all(self) -> None:
        count = SLICE
        while count == SLICE:
            count = await self._give()
            if count:
                self._placed()
