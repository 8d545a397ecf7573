"""A PostgreSQL that is stopped and started while gRPC runs in the process of the test.

The wheel's tools are started with fork(), for which gRPC has handlers that may break the child;
so that a process without gRPC holds the server, and does what it is told line by line.
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
    """One server with one empty database, in a process of its own; see `distant_postgres`."""

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
        """Bring it up again, with everything that was committed."""
        await self._order("start")

    async def pause(self) -> None:
        """Let it be alive and silent, as with SIGSTOP, until `resume`."""
        await self._order("pause")

    async def resume(self) -> None:
        await self._order("resume")

    async def run(self, statement: str) -> None:
        """Have its administrator run a statement, in no transaction."""
        await self._order(f"run {statement}")

    async def _order(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        assert await self.told() == word


@asynccontextmanager
async def distant_postgres() -> AsyncIterator[DistantPostgres]:
    """Yields a running server. Raises Unavailable where there is none."""
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
        # The end of its input is the end of it, as it is when this process dies.
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await process.wait()


def main() -> None:
    """Print the address of a new database, then obey orders, a line each, until the input ends."""
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
        server.resume()  # One that is paused hears of no end.
        server.close()


if __name__ == "__main__":
    main()
