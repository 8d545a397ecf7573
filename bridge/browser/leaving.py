"""A connection that is turned away: it gets a close frame, and a moment to answer it.

Must never decode more than the peer may send at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.browser.socket import Socket
from bridge.browser.wheel import NOWHERE, Wheel
from bridge.limits import Limits
from bridge.protocol import frames
from bridge.protocol.decoder import Kind, Message
from bridge.protocol.errors import CloseCode


class Leaving:
    """Waits for the answer to a close frame. Ignores the frames that were sent before it."""

    __slots__ = ("_end", "_frames", "_is_rude", "_on_over", "_socket", "_wheel", "slot")

    def __init__(
        self, socket: Socket, wheel: Wheel, limits: Limits, on_over: Callable[[Leaving], None]
    ) -> None:
        self.slot = NOWHERE
        self._socket = socket
        self._wheel = wheel
        self._on_over = on_over
        self._frames = limits.frames_burst
        self._end = asyncio.get_running_loop().time() + limits.close_s
        self._is_rude = False

    def begin(self, code: CloseCode, *, waits: bool) -> None:
        """Send the close frame. Without `waits` nobody waits for the answer."""
        self._socket.transport.write(frames.close(code, code.reason))
        self._wheel.put(self, self._end)
        self._socket.listen(self)
        if not waits:
            self._close()

    def check(self, now: float) -> float | None:
        """Close the connection as soon as a rude peer is quiet, or cut it in the end."""
        if now >= self._end:
            self.cut()
            return None
        if self._is_rude and self._socket.is_quiet(now):
            self._close()
            return self._end
        return now if self._is_rude else self._end

    def cut(self) -> None:
        """Close the connection at once."""
        self._socket.transport.abort()

    def admits(self) -> bool:
        self._frames -= 1
        return self._frames >= 0

    def hear(self, message: Message) -> None:
        if message.kind is Kind.CLOSE:
            self._close()

    def broken(self, _code: CloseCode) -> None:
        self._is_rude = True
        self._wheel.put(self, asyncio.get_running_loop().time())

    def block(self) -> None:
        """Nothing follows the close frame."""

    def unblock(self) -> None:
        """Nothing follows the close frame."""

    def lost(self) -> None:
        self._wheel.remove(self)
        self._on_over(self)

    def _close(self) -> None:
        self._socket.stop()
        self._socket.transport.close()
