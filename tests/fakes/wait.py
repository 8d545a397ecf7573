"""Waits for another task or process, with a limit, and loops that run meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

_LOOK_EVERY_S = 0.01


async def until(holds: Callable[[], object], limit_s: float = 10.0) -> None:
    """Return as soon as `holds()` is true; raise TimeoutError after the limit."""
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - the condition is not ours to signal
            await asyncio.sleep(_LOOK_EVERY_S)


@contextlib.asynccontextmanager
async def running(loop: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let an endless loop run beside the test; fails where something has ended it."""
    task = asyncio.create_task(loop)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
