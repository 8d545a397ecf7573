"""Whether core has more to do than it can: how late its event loop is.

What nobody waits for, such as settlement, then takes less at once, so that calls and Razorpay's
webhooks are still answered in time.
"""

from __future__ import annotations

import asyncio

from core.heartbeat import beat

# How often the lateness is measured.
LOOK_EVERY_S = 0.2
# A loop that wakes so much too late is busy.
LATE_S = 0.01
# What one measurement counts beside all before it.
WEIGHT = 0.3


class Strain:
    """How late the loop has been of late."""

    def __init__(self) -> None:
        self.late_s = 0.0

    @property
    def is_high(self) -> bool:
        return self.late_s > LATE_S

    async def run(self) -> None:
        """Measure again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            beat()
            due_s = loop.time() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            self.note(loop.time() - due_s)

    def note(self, late_s: float) -> None:
        """Count one measurement."""
        self.late_s += (late_s - self.late_s) * WEIGHT
