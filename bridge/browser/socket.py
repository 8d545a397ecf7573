"""One WebSocket connection: decodes what arrives and passes each message on.

After the handshake it takes the connection over from aiohttp, which keeps nothing of it: its parser
reads everything that has arrived before the application can stop it, and its request, task and
buffers would stay in memory as long as the socket. Must never close a connection that has a
session: the session does that, in its own order.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from bridge.door.connection import Connection
from bridge.limits import Limits
from bridge.protocol import handshake
from bridge.protocol.decoder import Decoder, Message, Violation
from bridge.protocol.errors import CloseCode

SUBPROTOCOL = "bearer"
# Unsent bytes that the kernel holds for one socket: few, so that a slow reader is noticed early,
# but enough for a distant one.
UNSENT_BYTES = 128 * 1024
# How long a peer must send nothing before it counts as done with its frame.
QUIET_S = 0.3
# Bytes that are read from a socket at once.
READ_BYTES = 64 * 1024

# All sockets read into the same memory, one after another, and keep only unfinished frames.
_received = memoryview(bytearray(READ_BYTES))


class Listener(Protocol):
    """Receives the messages of a socket, and learns whether it takes bytes."""

    def admits(self) -> bool:
        """Whether one more frame is within the rate."""
        ...

    def hear(self, message: Message, /) -> None:
        """Handle a message."""

    def broken(self, code: CloseCode, /) -> None:
        """The peer broke the protocol or a limit: there will be no more messages."""

    def block(self) -> None:
        """The socket takes no more bytes for now."""

    def unblock(self) -> None:
        """The socket has taken all that was written."""

    def lost(self) -> None:
        """The connection is lost."""


class Socket(asyncio.BufferedProtocol):
    """Made by `accept`. Reads nothing until `listen` is called."""

    __slots__ = ("_decoder", "_heard_at", "_left", "_limits", "_listener", "_rest", "transport")

    def __init__(self, transport: asyncio.Transport, limits: Limits) -> None:
        self.transport = transport
        self._limits = limits
        self._heard_at = 0.0
        self._left: Callable[[], None]
        self._rest = b""
        self._listener: Listener
        self._decoder: Decoder

    def take_over(self, connection: Connection) -> None:
        """Take the connection from aiohttp. Call `listen` before the next turn of the loop."""
        self._left, self._rest = connection.hand_over(self)
        # So that it tells as soon as the kernel has not taken everything.
        self.transport.set_write_buffer_limits(high=0)

    def listen(self, listener: Listener) -> None:
        """Start to read, beginning with the bytes that have arrived already."""
        self._listener = listener
        self._decoder = Decoder(self._limits.frame_bytes, listener.admits)
        rest, self._rest = self._rest, b""
        if rest:
            self._decode(rest)

    def stop(self) -> None:
        """Ignore everything that arrives from now on."""
        self._decoder.stop()

    def is_quiet(self, now: float) -> bool:
        """Whether the peer has stopped sending.

        If a connection is closed while the peer is still sending, the kernel resets it and the
        close frame is lost. The browser would then not learn why it was closed.
        """
        return now >= self._heard_at + QUIET_S

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        self._decode(bytes(_received[:nbytes]))

    def pause_writing(self) -> None:
        self._listener.block()

    def resume_writing(self) -> None:
        self._listener.unblock()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._left()
        self._listener.lost()

    def _decode(self, data: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        try:
            for message in self._decoder.feed(data):
                self._listener.hear(message)
        except Violation as violation:
            self._listener.broken(violation.code)


def accept(request: web.Request, limits: Limits) -> tuple[web.StreamResponse, Socket | None]:
    """Answer the handshake with 101, and take the connection over.

    The Socket is None if the peer is gone. Call its `listen` without an await in between. The
    response is for the log: what aiohttp does to send one took a tenth of a whole sign-in.
    """
    response = web.StreamResponse(status=101)
    connection, transport = request.protocol, request.transport
    if transport is None:
        return response, None
    assert isinstance(connection, Connection)
    transport.write(handshake.answer(request.headers, SUBPROTOCOL))
    _tune(transport)
    socket = Socket(transport, limits)
    socket.take_over(connection)
    return response, socket


def _tune(transport: asyncio.Transport) -> None:
    socket = transport.get_extra_info("socket")
    if socket is not None and hasattr(sockets, "TCP_NOTSENT_LOWAT"):
        socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
