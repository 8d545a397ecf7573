"""Lets others have their turn during a walk over many sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import TypeVar

_T = TypeVar("_T")


async def in_slices(items: Iterable[_T], slice_s: float) -> AsyncIterator[_T]:
    """Yield each item, and yield to the loop whenever `slice_s` have passed."""
    end = perf_counter() + slice_s
    for item in items:
        yield item
        if perf_counter() > end:
            await asyncio.sleep(0)
            end = perf_counter() + slice_s
