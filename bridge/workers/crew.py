"""The parent: keeps as many workers running as were asked for, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import structlog

from bridge.workers.post import Post

# A worker that ends with this code cannot serve by its settings; another could not either.
EXIT_CONFIG = 2
# How long the parent waits before it replaces a worker; it doubles while workers do not last.
PAUSE_FIRST_S = 0.1
# The longest such wait.
PAUSE_LAST_S = 5.0
# A worker that lived so long has not died of its start.
LASTING_S = 10.0
# How long a worker may take to drain before it is killed; its own waits are shorter.
STOP_S = 20.0

log = structlog.get_logger("bridge.workers")


class Crew:
    """The workers of one port. They inherit it, and accept from one queue: while one is replaced
    the others serve, and a connection that nobody has accepted yet is lost with none of them."""

    def __init__(
        self, count: int, ports: Sequence[socket.socket], metrics: Sequence[socket.socket]
    ) -> None:
        self._count = count
        self._ports = tuple(ports)
        self._metrics = tuple(metrics)
        self._ready: set[int] = set()
        self._all_ready = False
        self._exit_code = 0
        self._over = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until `stop`; answer the exit code. Every worker has ended when it answers."""
        host, port = self._ports[0].getsockname()[:2]
        address = f"http://{host}:{port}"
        with tempfile.TemporaryDirectory(prefix="holdfast-bridge-") as folder:
            keeping = [
                asyncio.create_task(self._keep(number, Path(folder), address))
                for number in range(1, self._count + 1)
            ]
            waiting = [asyncio.create_task(one.wait()) for one in (stop, self._over)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # Closed first: whoever comes while the workers drain is refused, and does not wait.
            for one in (*self._ports, *self._metrics):
                one.close()
            for task in (*waiting, *keeping):
                task.cancel()
            await asyncio.gather(*waiting, *keeping, return_exceptions=True)
        if stop.is_set():
            log.info("the bridge has stopped")
        return self._exit_code

    async def _keep(self, number: int, folder: Path, address: str) -> None:
        loop, pause_s = asyncio.get_running_loop(), PAUSE_FIRST_S
        while True:
            began_s = loop.time()
            code = await self._one(number, folder, address)
            if code == EXIT_CONFIG and not self._all_ready:
                self._exit_code = code
                self._over.set()
                return
            if loop.time() - began_s > LASTING_S:
                pause_s = PAUSE_FIRST_S
            log.warning(
                "a worker has ended, another takes its place",
                worker=number,
                why=_why(code),
                pause_s=pause_s,
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_LAST_S)

    async def _one(self, number: int, folder: Path, address: str) -> int:
        """Run one worker until it ends; answer its code, as `Process.returncode`."""
        ours, its = socket.socketpair()
        ours.setblocking(False)
        try:
            with its:
                post = Post(number, folder, self._ports, self._metrics, its)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "bridge", *post.arguments()),
                    pass_fds=post.descriptors,
                )
            hearing = asyncio.create_task(self._hear(number, ours, address))
            try:
                return await process.wait()
            except asyncio.CancelledError:
                await _end(process)
                raise
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
        finally:
            ours.close()

    async def _hear(self, number: int, life: socket.socket, address: str) -> None:
        if not await asyncio.get_running_loop().sock_recv(life, 1):
            return
        self._ready.add(number)
        if len(self._ready) == self._count and not self._all_ready:
            self._all_ready = True
            log.info("the bridge is ready", address=address, workers=self._count)


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _why(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
