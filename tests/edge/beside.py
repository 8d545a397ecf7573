"""How others are served beside an attack: the worst answer of `/healthz` and to a ping."""

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.fakes.process import ROOT
from tests.fakes.viewer import Viewer

EVERY_S = 0.02
# One answer may take so long before the measurement gives up on it.
ANSWER_LIMIT_S = 10.0
END_LIMIT_S = 30.0


@dataclass
class Others:
    """Measures as long as the block lasts; `viewer` is another user's connection."""

    url: str
    viewer: Viewer
    healthz_s: list[float] = field(default_factory=list)
    pings_s: list[float] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._is_over = False
        self._tasks = [asyncio.create_task(self._ask()), asyncio.create_task(self._ping())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The answers that are still awaited count as well.
        self._is_over = True
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None:
            assert done == [None, None]

    @property
    def worst_s(self) -> float:
        return max(*self.healthz_s, *self.pings_s)

    def __str__(self) -> str:
        healthz, pings = max(self.healthz_s) * 1000, max(self.pings_s) * 1000
        return (
            f"worst /healthz {healthz:.0f} ms of {len(self.healthz_s)},"
            f" worst ping {pings:.0f} ms of {len(self.pings_s)}"
        )

    async def _ask(self) -> None:
        parts = urlsplit(self.url)
        while not self._is_over:
            began = time.monotonic()
            async with asyncio.timeout(ANSWER_LIMIT_S):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    line = await reader.readline()
                finally:
                    writer.transport.abort()
            assert b" 200 " in line, line
            self.healthz_s.append(time.monotonic() - began)
            await asyncio.sleep(EVERY_S)

    async def _ping(self) -> None:
        while not self._is_over:
            began = time.monotonic()
            await self.viewer.ask("ping", limit_s=ANSWER_LIMIT_S)
            self.pings_s.append(time.monotonic() - began)
            # Its own rate is 20 a second.
            await asyncio.sleep(0.06)


async def attacked(
    name: str, url: str, token: str = "", *, seconds: float, count: int
) -> dict[str, int]:
    """Attack a bridge of this machine from a process of its own; answer what the attacker saw."""
    port = str(urlsplit(url).port)
    command = ("-m", "tests.edge.attacker", name, port, token, str(seconds), str(count))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds + END_LIMIT_S):
            out, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    seen: dict[str, int] = json.loads(out)
    return seen
