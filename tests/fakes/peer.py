"""A peer on a real socket that answers a request with exactly the bytes it is told to."""

import asyncio
from collections.abc import Awaitable, Callable

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """Use with `async with`. Reads one request of each connection, then lets `answer` write."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[bytes] = []

    async def __aenter__(self) -> "Peer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self._answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


def http(status: int, body: bytes | str, more: str = "", *, missing: int = 0) -> Answer:
    """Answer with one HTTP response and close; `missing` bytes are promised and not sent."""
    raw = body.encode() if isinstance(body, str) else body

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw) + missing}\r\nConnection: close\r\n{more}"
        writer.write(head.encode() + b"\r\n" + raw)
        writer.write_eof()
        await writer.wait_closed()

    return answer


async def hang_up(_: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def stay_silent(writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other side leaves."""
    await writer.wait_closed()
