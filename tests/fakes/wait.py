"""Waits for a condition of another task or process, with a limit."""

import asyncio
from collections.abc import Callable

_LOOK_EVERY_S = 0.01


async def until(holds: Callable[[], object], limit_s: float = 10.0) -> None:
    """Return as soon as `holds()` is true; raise TimeoutError after the limit."""
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - the condition is not ours to signal
            await asyncio.sleep(_LOOK_EVERY_S)
