"""Hears a peer out that has broken the protocol, and forgets what it says.

A connection that is closed while the peer still sends is reset by the kernel, and the close frame
before it is lost: a browser would not learn why.
"""

from __future__ import annotations

import asyncio

# A peer that says nothing for so long has sent all of its frame, and has read our close frame.
QUIET_S = 0.3


class Sink(asyncio.Protocol):
    """Takes the place of a transport's protocol, which still learns when the connection is lost."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._before = transport.get_protocol()
        self._loop = asyncio.get_running_loop()
        self._lost = self._loop.create_future()
        self._heard_at = self._loop.time()
        transport.set_protocol(self)
        transport.resume_reading()

    async def closed(self, timeout_s: float) -> None:
        """Close when the peer is quiet, or after `timeout_s`; wait until the connection is lost."""
        end = self._loop.time() + timeout_s
        while not self._lost.done() and self._loop.time() < min(end, self._heard_at + QUIET_S):
            await asyncio.wait([self._lost], timeout=QUIET_S)
        self._transport.close()

    def data_received(self, _data: bytes) -> None:
        self._heard_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(None)
        self._before.connection_lost(exc)

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()
