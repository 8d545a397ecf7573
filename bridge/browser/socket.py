"""One upgraded connection: hands on what it hears, and hears a peer out that it closes.

Must never end a connection by itself: a session ends it in its own order. Stands where aiohttp's
own WebSocket parser would, which reads all that has come before anybody can say stop.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Protocol

from aiohttp import web

from bridge.limits import Limits
from bridge.protocol import frames, handshake
from bridge.protocol.decoder import Decoder, Kind, Message, Violation
from bridge.protocol.errors import CloseCode

SUBPROTOCOL = "bearer"
# What the kernel may hold unsent for one socket: a slow reader shows early, a far one stays fast.
UNSENT_BYTES = 128 * 1024
# A peer that says nothing for so long has sent all of its frame, and has read our close frame.
QUIET_S = 0.3


class Listener(Protocol):
    """Whom a socket tells what it hears."""

    def admits(self) -> bool:
        """Whether one more frame is within the rate."""

    def hear(self, message: Message) -> None:
        """Take a message."""

    def broken(self, code: CloseCode) -> None:
        """The peer broke the protocol or a limit: nothing more will be heard."""

    def lost(self) -> None:
        """The connection is gone."""


class Socket:
    """Made by `accept`. Hears nothing until somebody listens."""

    def __init__(self, transport: asyncio.Transport, limits: Limits) -> None:
        self.transport = transport
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._heard_at = self._loop.time()
        self._listener: Listener
        self._decoder: Decoder

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what has come; what aiohttp asks of a parser."""
        self._heard_at = self._loop.time()
        try:
            for message in self._decoder.feed(data):
                self._listener.hear(message)
        except Violation as violation:
            self._listener.broken(violation.code)
        return False, b""

    def feed_eof(self) -> None:
        """Take that the connection is lost; what aiohttp asks of a parser."""
        self._gone.set()
        self._listener.lost()

    def listen(self, listener: Listener, request: web.Request) -> None:
        """Begin to hear, and hand on what has come meanwhile."""
        self._listener = listener
        self._decoder = Decoder(self._limits.frame_bytes, listener.admits)
        request.protocol.set_parser(self)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Hear nothing more."""
        self._decoder.stop()

    async def hear_out(self, timeout_s: float) -> None:
        """Wait until the peer is quiet or gone, at most `timeout_s`, and forget what it says.

        A connection that is closed while the peer still sends is reset by the kernel, and the
        close frame before it is lost: a browser would not learn why.
        """
        self.stop()
        end = self._loop.time() + timeout_s
        while not self._gone.is_set() and self._loop.time() < min(end, self._heard_at + QUIET_S):
            await _within(QUIET_S, self._gone)

    async def turn_away(self, code: CloseCode, request: web.Request, wait_s: float) -> None:
        """Close at once, and wait at most so long for the peer's answer."""
        self.transport.write(frames.close(code, code.reason))
        leaving = _Leaving(self._limits.frames_burst)
        self.listen(leaving, request)
        await _within(wait_s, leaving.over)
        if leaving.is_rude:
            await self.hear_out(wait_s)
        self.transport.close()


class _Leaving:
    """Waits for the answer to a close frame; a browser may have sent more before it saw that."""

    def __init__(self, frames_most: int) -> None:
        self._frames = frames_most
        self.over = asyncio.Event()
        self.is_rude = False

    def admits(self) -> bool:
        self._frames -= 1
        return self._frames >= 0

    def hear(self, message: Message) -> None:
        if message.kind is Kind.CLOSE:
            self.over.set()

    def broken(self, _code: CloseCode) -> None:
        self.is_rude = True
        self.over.set()

    def lost(self) -> None:
        self.over.set()


async def accept(request: web.Request, limits: Limits) -> tuple[web.StreamResponse, Socket | None]:
    """Answer the handshake with 101; without a Socket where the peer has gone meanwhile."""
    headers = handshake.answer(request.headers, SUBPROTOCOL)
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        return response, None
    _tune(transport)
    return response, Socket(transport, limits)


async def _within(timeout_s: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass


def _tune(transport: asyncio.Transport) -> None:
    socket = transport.get_extra_info("socket")
    if socket is not None and hasattr(sockets, "TCP_NOTSENT_LOWAT"):
        socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
