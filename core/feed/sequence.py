"""Gives committed events their positions on PostgreSQL; `core.storage.position` says how.

Every core does it right after its own commits, and now and then for what a core has left that
died in between. There is no leader, and so none to replace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from core.errors import Refusal
from core.execute import Committed
from core.heartbeat import beat
from core.storage.position import SLICE

log = logging.getLogger(__name__)

# How often a core looks for what others have left.
SWEEP_S = 1.0
# How long it gathers after it has given some: a lone event gets its position at once, and many do
# not cost a round trip for each commit.
GATHER_S = 0.01
# How long it waits after a try that failed.
RETRY_S = 0.5
# This core's events that are remembered until they have their positions, to ring for them.
MAX_WAITING = 10_000


class Sequencer:
    """Runs `give` as often as there is something to give."""

    def __init__(
        self,
        give: Callable[[], Awaitable[int]],
        placed: Callable[[Sequence[Committed]], None],
    ) -> None:
        """`placed` hears that there are new positions, and which of this core's events have them.

        Not all of those may be named, and others may have theirs too.
        """
        self._give = give
        self._placed = placed
        self._rung = asyncio.Event()
        self._committed: list[Committed] = []

    def publish(self, committed: Sequence[Committed]) -> None:
        """This core has committed events."""
        if len(self._committed) < MAX_WAITING:
            self._committed += committed
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
                await asyncio.sleep(GATHER_S)

    async def _give_all(self) -> None:
        count = SLICE
        while count == SLICE:
            # What is committed from now on may not be seen by this one.
            committed, self._committed = self._committed, []
            try:
                count = await self._give()
            except BaseException:
                self._committed = committed + self._committed
                raise
            if count or committed:
                self._placed(committed)
