"""The way to SQLite's threads: all that waits at once is one trip. A lone job goes at once.

The trips belong to the lane and not to those who wait for them. So a caller that is cancelled
breaks nothing off, and each is answered in one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
# What a job came to: its answer, or what it raised.
Outcome = tuple[Any, Exception | None]
Travel = Callable[[Sequence[Job]], Awaitable[Sequence[Outcome]]]

# Jobs of one trip.
MAX_TOGETHER = 100


class Lane(Generic[Job]):
    """Jobs that wait for the next trip, in their order."""

    def __init__(self, travel: Travel[Job]) -> None:
        """`travel` makes one trip, and answers one outcome for each job, or raises for all."""
        self._travel = travel
        self._waiting: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._going: asyncio.Task[None] | None = None

    async def go(self, job: Job) -> Any:
        """Have a job done, and answer what it does or raise what it raises.

        One whose caller is cancelled while it waits is not done.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        if not self._is_going:
            self._going = asyncio.create_task(self._go())
            self._going.add_done_callback(self._gone)
        return await answer

    async def arrive(self) -> None:
        """Wait until nothing is under way."""
        while self._going is not None and self._is_going:
            await asyncio.wait({self._going})

    @property
    def _is_going(self) -> bool:
        # By the task itself: one that is cancelled before its first step runs no line of its own.
        return self._going is not None and not self._going.done()

    async def _go(self) -> None:
        while taken := self._take():
            await self._trip(taken)

    def _gone(self, going: asyncio.Task[None]) -> None:
        # Cancelled with the whole process: nobody waits for what will not come.
        if going.cancelled() and going is self._going:
            while self._waiting:
                self._waiting.popleft()[1].cancel()

    def _take(self) -> list[tuple[Job, asyncio.Future[Any]]]:
        taken: list[tuple[Job, asyncio.Future[Any]]] = []
        while self._waiting and len(taken) < MAX_TOGETHER:
            job, answer = self._waiting.popleft()
            if not answer.done():  # Who asked for it may have been cancelled.
                taken.append((job, answer))
        return taken

    async def _trip(self, taken: Sequence[tuple[Job, asyncio.Future[Any]]]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._travel([job for job, _ in taken])
        except Exception as failure:
            outcomes = [(None, failure)] * len(taken)
        except asyncio.CancelledError:
            for _, answer in taken:
                answer.cancel()
            raise
        for (_, answer), (told, error) in zip(taken, outcomes, strict=True):
            if answer.done():
                continue
            if error is None:
                answer.set_result(told)
            else:
                answer.set_exception(error)
