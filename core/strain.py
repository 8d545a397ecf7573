"""Lets work that can wait, such as settlement, go on only where it holds up no call.

Nobody waits for that work as for an answer. While calls and Razorpay's webhooks wait for the
processor it goes on in small pieces, with rests between them.
"""

from __future__ import annotations

import asyncio
import time

# Calls under way of which one is taken to wait. Calls that wait for Razorpay or the database count
# too, but they leave the processor idle.
CALLS = 2
# A process that has used so much of one processor is busy: Python uses one at most.
BUSY_SHARE = 0.6
# How much time that is measured over, at least.
SHARE_OVER_S = 0.02
# A loop that takes so long to come round once is busy too, whatever this process has used: the
# machine may be busy with others.
LATE_S = 0.005
# The rest before each piece of work that can wait, while core is busy with calls. A piece takes
# about ten milliseconds: a look at one escrow at Razorpay and one step.
REST_S = 0.1


class Strain:
    """How many calls are under way, and the turns of what can wait."""

    def __init__(self) -> None:
        self._calls = 0
        self._turns = asyncio.Lock()
        self._since_s = time.monotonic()
        self._cpu_s = time.process_time()
        self._share = 0.0

    def call_began(self) -> None:
        """Count a call that somebody waits for."""
        self._calls += 1

    def call_ended(self) -> None:
        """Count it no more."""
        self._calls -= 1

    async def turn(self) -> None:
        """Wait for a turn with work that can wait: at once, or one by one while calls wait."""
        if await self._is_busy():
            async with self._turns:
                if await self._is_busy():
                    await asyncio.sleep(REST_S)

    async def _is_busy(self) -> bool:
        share = self._measure()
        if self._calls < CALLS:
            return False
        return share > BUSY_SHARE or await _is_late()

    def _measure(self) -> float:
        """Answer how much of one processor this process has used of late."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        if now_s - self._since_s >= SHARE_OVER_S:
            self._share = (cpu_s - self._cpu_s) / (now_s - self._since_s)
            self._since_s, self._cpu_s = now_s, cpu_s
        return self._share


async def _is_late() -> bool:
    """Whether the loop takes long to come round once."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    await asyncio.sleep(0)
    return loop.time() - begin_s > LATE_S
