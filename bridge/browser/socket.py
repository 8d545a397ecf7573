"""One WebSocket connection: decodes what arrives and passes each message on.

Must never close a connection that has a session: the session does that, in its own order. It takes
the place of aiohttp's own WebSocket parser, which parses everything that has arrived before the
application can stop it.
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
# Unsent bytes that the kernel holds for one socket: few, so that a slow reader is noticed early,
# but enough for a distant one.
UNSENT_BYTES = 128 * 1024
# How long a peer must send nothing before it counts as done with its frame.
QUIET_S = 0.3


class Listener(Protocol):
    """Receives the messages of a socket."""

    def admits(self) -> bool:
        """Whether one more frame is within the rate."""
        ...

    def hear(self, message: Message, /) -> None:
        """Handle a message."""

    def broken(self, code: CloseCode, /) -> None:
        """The peer broke the protocol or a limit: there will be no more messages."""

    def lost(self) -> None:
        """The connection is lost."""


class Socket:
    """Made by `accept`. Reads nothing until `listen` is called."""

    def __init__(self, transport: asyncio.Transport, limits: Limits) -> None:
        self.transport = transport
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._heard_at = self._loop.time()
        self._listener: Listener
        self._decoder: Decoder

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Decode received bytes. aiohttp calls this method of its parser."""
        self._heard_at = self._loop.time()
        try:
            for message in self._decoder.feed(data):
                self._listener.hear(message)
        except Violation as violation:
            self._listener.broken(violation.code)
        return False, b""

    def feed_eof(self) -> None:
        """Note that the connection is lost. aiohttp calls this method of its parser."""
        self._gone.set()
        self._listener.lost()

    def listen(self, listener: Listener, request: web.Request) -> None:
        """Start to read, beginning with the bytes that have arrived already."""
        self._listener = listener
        self._decoder = Decoder(self._limits.frame_bytes, listener.admits)
        request.protocol.set_parser(self)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Ignore everything that arrives from now on."""
        self._decoder.stop()

    async def wait_until_quiet(self, timeout_s: float) -> None:
        """Wait until the peer stops sending or is gone, at most `timeout_s`; ignore what it sends.

        If a connection is closed while the peer is still sending, the kernel resets it and the
        close frame is lost. The browser would then not learn why it was closed.
        """
        self.stop()
        end = self._loop.time() + timeout_s
        while not self._gone.is_set() and self._loop.time() < min(end, self._heard_at + QUIET_S):
            await _within(QUIET_S, self._gone)

    async def turn_away(self, code: CloseCode, request: web.Request, wait_s: float) -> None:
        """Send a close frame, wait at most `wait_s` for the peer's answer, and close."""
        self.transport.write(frames.close(code, code.reason))
        leaving = _Leaving(self._limits.frames_burst)
        self.listen(leaving, request)
        await _within(wait_s, leaving.over)
        if leaving.is_rude:
            await self.wait_until_quiet(wait_s)
        self.transport.close()


class _Leaving:
    """Waits for the answer to a close frame. Ignores the frames that were sent before it."""

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
    """Answer the handshake with 101. The Socket is None if the peer is gone."""
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
