"""Large bodies: transcoded one after another, so that many at once do not hold the loop.

A thread would be worse: it holds the interpreter for 5 ms at each of the loop's own steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from bridge.limits import Limits
from bridge.web.slot import Slots

_T = TypeVar("_T")


class LargeBodies:
    """Lets one at a time do its work, and the loop rest as long as that has taken."""

    def __init__(self, limits: Limits) -> None:
        self._slots = Slots(limits.large_bodies, limits.large_bodies_per_user)
        self._turn = asyncio.Lock()

    async def in_turn(self, user_id: str, work: Callable[[], _T]) -> _T:
        """Do the work and answer what it does. Raises CoreError where too many wait."""
        with self._slots.taken(user_id):
            async with self._turn:
                began = perf_counter()
                try:
                    return work()
                finally:
                    await asyncio.sleep(perf_counter() - began)
