"""What all peers in Python share: each line of standard input is told to every socket."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

# The longest line.
LINE_BYTES = 1024 * 1024


async def tell_lines(tell: Callable[[str], Awaitable[None]]) -> None:
    """Call `tell` with each line, until there are no more."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        await tell(line.decode().rstrip("\n"))
