"""When a delivery is tried again, and when an endpoint is given up. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long webhooks wait, in seconds."""

    # How long a try keeps its delivery without being heard of; then another process repeats it.
    # Above the longest try.
    lease_s: float = 60.0
    # The first pause after a try that failed.
    first_s: float = 5.0
    # How much longer a delivery waits than it has been tried: each pause is about 2.5 times the
    # one before.
    growth: float = 1.5
    # The longest pause.
    last_s: float = 43_200.0
    # How much longer than that a pause may be by chance, so that not all come back at once.
    jitter: float = 0.25
    # How long a delivery is tried.
    give_up_s: float = 259_200.0
    # How long no try of an endpoint may succeed until it is disabled.
    disable_s: float = 432_000.0
    # An endpoint that answers again after so long gets at once what waits for its next try.
    outage_s: float = 60.0

    def next_us(
        self,
        first_us: int,
        now_us: int,
        chance: Callable[[], float],
        retry_after_s: float = 0.0,
    ) -> int | None:
        """Answer when to try again what has been tried since `first_us`; None for never.

        `chance` answers a number from 0 to 1.
        """
        age_s = (now_us - first_us) / US_PER_S
        if age_s >= self.give_up_s:
            return None
        wait_s = min(max(self.first_s, age_s * self.growth), self.last_s)
        wait_s = max(wait_s * (1 + self.jitter * chance()), retry_after_s)
        # The last try is made when the time is over.
        return min(now_us + round(wait_s * US_PER_S), first_us + round(self.give_up_s * US_PER_S))
