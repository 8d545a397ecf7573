"""Ids of new escrows, in the order of time, so that the rows of one day share pages of an index."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

_US_PER_MS = 1_000
_FRACTION_BITS = 12
_RANDOM_BITS = 62
_VERSION = 7
_VARIANT = 0b10


class NewIds:
    """Makes UUIDs of version 7 (RFC 9562, section 5.7), each greater than the one before.

    The 12 bits behind the milliseconds are a fraction of one (section 6.2, method 3); 62 bits are
    random. Where the clock stands still or is set back, the fraction counts on.
    """

    def __init__(
        self, now_us: Callable[[], int], random_bits: Callable[[int], int] = secrets.randbits
    ) -> None:
        """`now_us` answers microseconds since the epoch, `random_bits` so many random bits."""
        self._now_us = now_us
        self._random_bits = random_bits
        self._last = 0

    def __call__(self) -> str:
        ms, us = divmod(self._now_us(), _US_PER_MS)
        stamp = (ms << _FRACTION_BITS) | ((us << _FRACTION_BITS) // _US_PER_MS)
        self._last = stamp = max(stamp, self._last + 1)
        ms, fraction = stamp >> _FRACTION_BITS, stamp & ((1 << _FRACTION_BITS) - 1)
        number = (ms << 16 | _VERSION << 12 | fraction) << 64
        return str(uuid.UUID(int=number | _VARIANT << 62 | self._random_bits(_RANDOM_BITS)))
