"""HTTP as bytes on a socket: what no client library would send."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.bridge import LIMIT_S, Bridge


@dataclass
class Reply:
    """The first answer that came; `status` is 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)["error"]
        assert {"code", "reason", "message"} <= set(told)
        assert all(told[name] for name in ("code", "reason", "message"))
        return told


async def raw(bridge: Bridge, wire: bytes, then: bytes = b"") -> Reply:
    """Send these bytes on a connection of its own, `then` a moment later, and read the answer."""
    parts = urlsplit(bridge.url)
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(wire)
            if then:
                await asyncio.sleep(0.1)
                writer.write(then)
            return await _read(reader)
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Reply:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, {}, b"")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(head[0].split()[1]), headers, body)
