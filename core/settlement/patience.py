"""How long settlement waits: for Razorpay, for a call to be shown, before it tries again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from core.settlement.act import Found
from core.settlement.asked import is_shown
from core.storage.row import Owed

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long settlement waits, in seconds."""

    # How long a worker keeps an escrow without being heard of; then another takes it over.
    lease_s: float = 15.0
    # How long a call that changes something may take, its wait for a free thread included: one that
    # has not begun by then never does.
    call_s: float = 10.0
    # How long after a call of unknown outcome its listing is not yet believed. Above the longest
    # call, so that one that is still on its way cannot be made twice.
    listing_s: float = 20.0
    # The first pause while Razorpay works on a transfer or refund; it doubles.
    pending_first_s: float = 0.2
    # The longest such pause.
    pending_last_s: float = 60.0
    # The first pause after an error; it doubles.
    error_first_s: float = 0.5
    # The longest such pause.
    error_last_s: float = 60.0
    # The pause after a refusal of Razorpay where nobody can ask for another try: no part is
    # settling.
    stuck_s: float = 3_600.0

    def pending_s(self, attempts: int) -> float:
        """Answer the pause while Razorpay works on a transfer or refund."""
        return _backoff_s(attempts, self.pending_first_s, self.pending_last_s)

    def error_s(self, attempts: int) -> float:
        """Answer the pause after an error."""
        return _backoff_s(attempts, self.error_first_s, self.error_last_s)


def _backoff_s(attempts: int, first_s: float, last_s: float) -> float:
    """Double from the first to the last; vary by half, so that replicas do not retry in step."""
    wait_s = min(first_s * 2.0 ** min(attempts, 30), last_s)
    return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def is_under_way(work: Owed, found: Mapping[str, Found], now_us: int, patience: Patience) -> bool:
    """Whether the last call that was written down may still come to be done or to be shown."""
    if work.asked is None or work.asked_us is None or is_shown(work.asked, found):
        return False
    return now_us < work.asked_us + round(patience.listing_s * US_PER_S)


async def at_once() -> None:
    """The turn of work that nobody holds up."""
