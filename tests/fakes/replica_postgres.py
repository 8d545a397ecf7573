"""A PostgreSQL that is stopped and started while gRPC runs in the process of the test.

The wheel starts its tools with fork(), and gRPC's fork handlers may break the child. So a process
without gRPC runs the server and takes orders, one on each line.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.postgres import Postgres, Unavailable
from tests.fakes.process import ROOT

UNAVAILABLE = "unavailable: "
ANSWER_LIMIT_S = 30.0


class DistantPostgres:
    """One server with one empty database, in a process of its own. Made by `distant_postgres`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""

    async def told(self) -> str:
        """The next line of the server's process."""
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return (await self._process.stdout.readline()).decode().strip()

    async def stop(self) -> None:
        """Take the server down, as its administrator would: every connection ends."""
        await self._order("stop")

    async def start(self) -> None:
        """Start it again, with everything that was committed."""
        await self._order("start")

    async def pause(self) -> None:
        """Make it silent, as with SIGSTOP, until `resume`."""
        await self._order("pause")

    async def resume(self) -> None:
        await self._order("resume")

    async def run(self, statement: str) -> None:
        """Run a statement as the administrator, outside a transaction."""
        await self._order(f"run {statement}")

    async def _order(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        assert await self.told() == word


@asynccontextmanager
async def distant_postgres() -> AsyncIterator[DistantPostgres]:
    """Yields a running server. Raises Unavailable if it cannot be started."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=dict(os.environ),
    )
    server = DistantPostgres(process)
    try:
        server.url = await server.told()
        if server.url.startswith(UNAVAILABLE):
            raise Unavailable(server.url.removeprefix(UNAVAILABLE))
        yield server
    finally:
        # The process ends at the end of its input, and so also when this process dies.
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await process.wait()


def main() -> None:
    """Print the address of a new database, then take orders, one on each line, until the end."""
    try:
        server = Postgres()
    except Unavailable as error:
        print(f"{UNAVAILABLE}{error}", flush=True)
        return
    orders = {
        "stop": server.stop,
        "start": server.start,
        "pause": server.pause,
        "resume": server.resume,
    }
    try:
        print(server.url(asyncio.run(server.create())), flush=True)
        for line in sys.stdin:
            order, _, statement = line.strip().partition(" ")
            if order == "run":
                asyncio.run(server.run(statement))
            else:
                orders[order]()
            print(line.strip(), flush=True)
    finally:
        server.resume()  # A paused server would not notice that it is stopped.
        server.close()


if __name__ == "__main__":
    main()
