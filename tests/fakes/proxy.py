"""A reverse proxy that gets something wrong, as proxies in front of a bridge do."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

CHUNK = 64 * 1024
Head = tuple[str, dict[str, str]]


@dataclass
class Proxy:
    """Use with `async with`. Passes one request of each connection on, then bytes."""

    port_behind: int
    # Headers of the request that it leaves out, and those that it changes.
    drops: Iterable[str] = ()
    sets: dict[str, str] = field(default_factory=dict)
    # Headers of the answer that it leaves out.
    hides: Iterable[str] = ()
    # The longest silence of the bridge, and of the browser, that it stands.
    idle_s: float = 3600.0
    # Whether it keeps back all that comes after the head of a WebSocket's answer.
    buffers: bool = False
    # The longest body; a longer one gets 413.
    body_bytes: int = 1 << 30
    # Where it sends everybody, instead of passing anything on.
    redirects_to: str = ""
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind: asyncio.StreamWriter | None = None
        try:
            line, headers = await _head(reader)
            if self.redirects_to:
                _answer(writer, 301, f"Location: {self.redirects_to}{line.split()[1]}\r\n")
                return
            if int(headers.get("content-length", 0)) > self.body_bytes:
                _answer(writer, 413)
                return
            back, behind = await asyncio.open_connection("127.0.0.1", self.port_behind)
            behind.write(_wire((line, self._changed(headers))))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipe(reader, behind))
                group.create_task(self._return(back, writer))
        except* (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            for one in (writer, behind):
                if one is not None:
                    one.close()

    def _changed(self, headers: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in headers.items() if k not in {d.lower() for d in self.drops}}
        return kept | {name.lower(): value for name, value in self.sets.items()}

    async def _return(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, headers = await _head(back)
        hidden = {name.lower() for name in self.hides}
        writer.write(_wire((line, {k: v for k, v in headers.items() if k not in hidden})))
        if self.buffers and " 101 " in line:
            await asyncio.sleep(3600)
        await self._pipe(back, writer)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self.idle_s):
                data = await source.read(CHUNK)
            if not data:
                # Either end closes both, as a proxy does.
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()


async def _head(reader: asyncio.StreamReader) -> Head:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    return line, {
        name.lower(): value.strip()
        for name, _, value in (one.partition(":") for one in lines if one)
    }


def _wire(head: Head) -> bytes:
    line, headers = head
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _answer(writer: asyncio.StreamWriter, status: int, more: str = "") -> None:
    page = "<html>proxy</html>"
    length = f"Content-Length: {len(page)}\r\nConnection: close\r\n"
    writer.write(f"HTTP/1.1 {status} X\r\n{length}{more}\r\n{page}".encode())
