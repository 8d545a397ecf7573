"""A relay of TCP connections that can fail as networks do: fall silent, cut, or grow slow.

Silent means that nothing is forwarded any more and nobody is told: neither FIN nor RST. A
failed-over load balancer, a dropped NAT entry or a pulled cable looks like that to both ends.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Self

CHUNK = 64 * 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


def to_port(port: int) -> Dial:
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_path(path: str) -> Dial:
    """To a Unix socket, such as the one of PostgreSQL."""
    return lambda: asyncio.open_unix_connection(path)


class Relay:
    """Use with `async with`. `port` is where it listens, on 127.0.0.1."""

    def __init__(self, dial: Dial, *, holds_bytes: int = 0) -> None:
        """`holds_bytes` is about what it takes in ahead on a connection; 0 leaves it open."""
        self._dial = dial
        self._holds_bytes = holds_bytes
        self._lines: set[_Line] = set()
        # While set, a new connection is taken and hears nothing.
        self.is_deaf = False
        # What every chunk waits before it goes on, in seconds.
        self.delay_s = 0.0
        # While set, what the far end answers is thrown away; requests still reach it.
        self.loses_answers = False
        self.taken = 0

    async def __aenter__(self) -> Self:
        await self.listen(0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def listen(self, port: int) -> None:
        """Take connections, at this port or at any; again after `go`."""
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._holds_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._holds_bytes)
        opened.bind(("127.0.0.1", port))
        self._server = await asyncio.start_server(self._serve, sock=opened)

    def go(self) -> None:
        """End every connection, and refuse new ones."""
        self._server.close()
        self.cut()

    async def __aexit__(self, *_: object) -> None:
        self.go()
        for line in tuple(self._lines):
            await line.ended.wait()

    @property
    def open(self) -> int:
        """How many connections there are, the silent ones included."""
        return len(self._lines)

    @property
    def far_ports(self) -> set[int]:
        """The ports from which the relay has dialled, by which the far end knows it."""
        return {line.far_port for line in self._lines} - {0}

    def fall_silent(self, *, is_deaf: bool = False) -> None:
        """Forward nothing more on the connections there are; new ones work unless `is_deaf`."""
        for line in self._lines:
            line.is_silent = True
        self.is_deaf = is_deaf

    def speak(self) -> None:
        """New connections work again; those that fell silent stay so."""
        self.is_deaf = False

    def cut(self) -> None:
        """End every connection with RST on both sides."""
        for line in tuple(self._lines):
            line.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        line = _Line(self, (reader, writer))
        self._lines.add(line)
        try:
            await line.run(self._dial)
        finally:
            self._lines.discard(line)
            line.ended.set()


class _Line:
    """One connection through the relay."""

    def __init__(self, relay: Relay, client: Streams) -> None:
        self._relay = relay
        self._ends: list[Streams] = [client]
        self.is_silent = relay.is_deaf
        self._is_cut = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self, dial: Dial) -> None:
        pumps: list[asyncio.Task[object]] = []
        cut: asyncio.Task[object] = asyncio.create_task(self._is_cut.wait())
        try:
            if not self.is_silent:
                with contextlib.suppress(OSError):
                    self._ends.append(await dial())
                    (one, other) = self._ends
                    pumps = [
                        asyncio.create_task(self._pump(one[0], other[1], is_answer=False)),
                        asyncio.create_task(self._pump(other[0], one[1], is_answer=True)),
                    ]
            if pumps or self.is_silent:
                await asyncio.wait({cut, *pumps}, return_when=asyncio.FIRST_COMPLETED)
                if self.is_silent:  # Not even an end is passed on.
                    await self._is_cut.wait()
        finally:
            for task in (cut, *pumps):
                task.cancel()
            await asyncio.gather(cut, *pumps, return_exceptions=True)
            for _, writer in self._ends:
                writer.transport.abort()

    @property
    def far_port(self) -> int:
        """0 without a far end, or where it has no port."""
        if len(self._ends) == 1:
            return 0
        name = self._ends[1][1].get_extra_info("sockname")
        return int(name[1]) if isinstance(name, tuple) else 0

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                if self._relay.delay_s:
                    await asyncio.sleep(self._relay.delay_s)
                if self.is_silent:
                    await self._is_cut.wait()
                    return
                if is_answer and self._relay.loses_answers:
                    continue
                writer.write(chunk)
                await writer.drain()

    def cut(self) -> None:
        for _, writer in self._ends:
            opened = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                # A close with nothing to linger for is a RST.
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._is_cut.set()
