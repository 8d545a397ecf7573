"""Accepts connections, a few in each turn of the loop, and hands them to aiohttp.

asyncio's own accept loop accepts all that are waiting before it serves any, and logs a traceback
for each one without a file descriptor. Must never accept more than the crowd has room for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bridge.door.connection import Connection
from bridge.door.crowd import Crowd
from bridge.limits import Limits
from bridge.metrics import Metrics
from holdfast.log import Sparing

_log = Sparing("bridge.door")
# Connections that the kernel queues until we accept them, at most `somaxconn`. A client that finds
# the queue full tries again only after a second.
BACKLOG = 4_096


async def bound(host: str, port: int) -> list[socket.socket]:
    """Bind to all addresses of the host. Raises OSError if it is unknown or the port in use."""
    # asyncio resolves the host and binds; we listen and accept ourselves.
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    sockets = [one.dup() for one in server.sockets]
    server.close()
    return sockets


class Listener:
    """Serves an app on one address; `close` ends what it has opened."""

    def __init__(
        self, app: web.Application, limits: Limits, metrics: Metrics, *, shutdown_s: float
    ) -> None:
        """`shutdown_s` is how long open requests may take at the end."""
        self.app = app
        self._limits = limits
        self._runner = web.AppRunner(app, shutdown_timeout=shutdown_s)
        self._loop = asyncio.get_running_loop()
        self._dropped = metrics.connections_dropped
        self.crowd = Crowd(limits, self._loop.time, lambda why: self._dropped.labels(why).inc())
        metrics.connections.set_function(lambda: self.crowd.count)
        self._sockets: list[socket.socket] = []
        self._joining: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        # A spare file descriptor. It is closed for a moment when there is no other, so that a
        # waiting connection can be accepted and closed.
        self._spare = -1

    @property
    def addresses(self) -> list[Any]:
        """The addresses at which it listens, as `getsockname` answers them."""
        return [one.getsockname() for one in self._sockets]

    @property
    def server(self) -> web.Server | None:
        """aiohttp's server, with its connections."""
        return self._runner.server

    async def open(self, host: str, port: int) -> None:
        """Start the app and listen. Raises OSError if the address is unknown or in use."""
        await self._runner.setup()
        self._listen(await bound(host, port))

    async def adopt(self, sockets: Sequence[socket.socket]) -> None:
        """Start the app and listen at sockets that are bound, alone or beside other processes."""
        await self._runner.setup()
        self._listen(sockets)

    def _listen(self, sockets: Sequence[socket.socket]) -> None:
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._sockets = list(sockets)
        for one in self._sockets:
            one.setblocking(False)
            one.listen(BACKLOG)
            self._loop.add_reader(one, self._accept, one)
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Accept nothing more, let open requests finish, and stop the app."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()
        self._sockets.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, *self._joining, return_exceptions=True)
        await self._runner.cleanup()
        self._give_up_spare()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(self._limits.accepts):
            try:
                accepted, _peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._out_of_descriptors(listening, error)
                return
            if not self.crowd.enter():
                _log.warning("all connections are taken", connections=self.crowd.count)
                accepted.close()
                continue
            accepted.setblocking(False)
            task = self._loop.create_task(self._join(accepted))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _join(self, accepted: socket.socket) -> None:
        server = self._runner.server
        try:
            assert server is not None
            await self._loop.connect_accepted_socket(
                lambda: Connection(server, self.crowd, self._limits), accepted
            )
        except BaseException:
            self.crowd.leave(None)
            accepted.close()
            raise

    def _out_of_descriptors(self, listening: socket.socket, error: OSError) -> None:
        """Close the next connection, make room, and accept again in a moment."""
        _log.warning("a connection cannot be accepted", why=str(error))
        self._dropped.labels("descriptors").inc()
        self.crowd.make_room()
        if self._give_up_spare():
            with contextlib.suppress(OSError):
                listening.accept()[0].close()
            with contextlib.suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY)
        self._loop.remove_reader(listening)
        self._loop.call_later(self._limits.accept_pause_s, self._again, listening)

    def _give_up_spare(self) -> bool:
        if self._spare < 0:
            return False
        os.close(self._spare)
        self._spare = -1
        return True

    def _again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick_s)
            self.crowd.sweep()
