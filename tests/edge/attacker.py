"""Attacks a bridge of this machine, as a process of its own: `python -m tests.edge.attacker`.

Knows nothing but sockets. Every attack ends by itself, after the seconds that it was given. What
became of it is one line of JSON on standard output.
"""

import asyncio
import base64
import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
OPEN_LIMIT_S = 5.0
CHUNK_BYTES = 64 * 1024


class Attack:
    """What all attacks share: where to, as whom, for how long, and what came of it."""

    def __init__(self, port: int, token: str, seconds: float, count: int) -> None:
        self.port = port
        self.token = token
        self.count = count
        self.seconds = seconds
        self.begin()
        self.seen: Counter[str] = Counter()

    def begin(self) -> None:
        """Count the time from now on: what was prepared until now took none of it."""
        self.ends_at = time.monotonic() + self.seconds

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.ends_at

    async def open(self) -> Stream:
        async with asyncio.timeout(OPEN_LIMIT_S):
            stream = await asyncio.open_connection("127.0.0.1", self.port)
        self.seen["opened"] += 1
        return stream

    async def rest(self) -> None:
        """Wait for the end of the attack."""
        await asyncio.sleep(max(0.0, self.ends_at - time.monotonic()))

    async def many(self, one: Callable[[int], Awaitable[None]]) -> None:
        """Do `one` in as many connections as there are to be."""
        await asyncio.gather(*(self._one(one, number) for number in range(self.count)))

    async def again(self, one: Callable[[int], Awaitable[None]]) -> None:
        """Do `one` over and over in as many connections."""

        async def repeat(number: int) -> None:
            while self.is_on:
                await self._one(one, number)

        await self.many(repeat)

    async def _one(self, one: Callable[[int], Awaitable[None]], number: int) -> None:
        try:
            async with asyncio.timeout(max(0.1, self.ends_at - time.monotonic() + 1)):
                await one(number)
        except (OSError, TimeoutError, EOFError) as error:
            self.seen[type(error).__name__] += 1
            await asyncio.sleep(0.01)

    async def answered(self, reader: asyncio.StreamReader) -> None:
        """Count the status of an answer, or that there was none."""
        line = await reader.readline()
        self.seen[line.split()[1].decode() if line.startswith(b"HTTP/") else "cut"] += 1

    async def hold(self, wire: bytes) -> None:
        """Send this and nothing more, and stay until the end or the answer."""
        reader, writer = await self.open()
        try:
            writer.write(wire)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self.ends_at - time.monotonic())):
                    await self.answered(reader)
        finally:
            writer.transport.abort()

    async def post(self, path: str, headers: bytes, body: bytes) -> None:
        reader, writer = await self.open()
        try:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + headers + b"\r\n" + body)
            await self.answered(reader)
        finally:
            writer.transport.abort()


async def silence(attack: Attack) -> None:
    """Connections that say nothing."""
    await attack.many(lambda _: attack.hold(b""))


async def half_heads(attack: Attack) -> None:
    """Heads that drip, a byte at a time."""

    async def drip(_: int) -> None:
        reader, writer = await attack.open()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        while attack.is_on and not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(0.1)
        writer.transport.abort()

    await attack.many(drip)


WEBHOOK = "/api/v1/webhooks/razorpay"


async def withheld_webhooks(attack: Attack) -> None:
    """Webhooks whose bodies do not come."""
    wire = f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{"
    await attack.many(lambda _: attack.hold(wire.encode()))


async def withheld_calls(attack: Attack) -> None:
    """Calls of one user whose bodies do not come. They end when there are no more answers."""
    head = "POST /api/v1/escrows HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    wire = f"{head}Authorization: Bearer {attack.token}\r\n\r\n{{".encode()
    streams: list[Stream] = []

    async def begin(_: int) -> None:
        stream = await attack.open()
        stream[1].write(wire)
        streams.append(stream)

    await attack.many(begin)
    tasks = [asyncio.create_task(attack.answered(reader)) for reader, _ in streams]
    answered = waiting = set(tasks)
    while waiting and answered:
        answered, waiting = await asyncio.wait(
            waiting, timeout=attack.seconds, return_when=asyncio.FIRST_COMPLETED
        )
    for task in waiting:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _, writer in streams:
        writer.transport.abort()


async def gzip_bombs(attack: Attack) -> None:
    """Bodies that are a thousand times as large when they are inflated, on any path."""
    bomb = gzip.compress(bytes(256 << 20), compresslevel=9)
    paths = (WEBHOOK, "/api/v1/escrows", "/nowhere", "/api/v1/demo/token")
    headers = f"Content-Encoding: gzip\r\nAuthorization: Bearer {attack.token}\r\n".encode()
    attack.begin()
    await attack.again(lambda n: attack.post(paths[n % len(paths)], headers, bomb))


async def large_bodies(attack: Attack) -> None:
    """JSON that is slow to read: of 1 MiB, and as much as is taken."""
    bodies = [b'{"milestones":[' + b"{}," * count + b"{}]}" for count in (349_000, 9_990)]
    headers = f"Authorization: Bearer {attack.token}\r\n".encode()
    attack.begin()
    await attack.again(lambda n: attack.post("/api/v1/escrows", headers, bodies[n % 2]))


FLOODS = {
    "pings": b"\x89\x80\0\0\0\0",
    "pongs": b"\x8a\x80\0\0\0\0",
    "texts": b"\x81\x8f\0\0\0\0" + b'{"type":"ping"}',
    "continuations": b"\x00\x80\0\0\0\0",
}


async def floods(attack: Attack) -> None:
    """WebSockets of one user that send frames of every kind as fast as they can, all at once."""
    ready = asyncio.Barrier(attack.count)

    async def flood(number: int) -> None:
        kind = sorted(FLOODS)[number % len(FLOODS)]
        reader, writer = await shake_hands(attack, attack.token)
        if attack.seen["handshakes"] <= attack.count:
            await ready.wait()
        if kind == "continuations":
            writer.write(b"\x01\x81\0\0\0\0x")
        try:
            await send_while_open(attack, FLOODS[kind], reader, writer)
        finally:
            writer.transport.abort()

    await attack.again(flood)


async def send_while_open(
    attack: Attack, frame: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    chunk = frame * (CHUNK_BYTES // len(frame))
    while attack.is_on and not reader.at_eof():
        writer.write(chunk)
        await writer.drain()
        attack.seen["chunks"] += 1


async def bad_tokens(attack: Attack) -> None:
    """Handshakes with a token that is none, which then do not answer the close frame."""

    async def knock(_: int) -> None:
        _reader, writer = await shake_hands(attack, "eyJhbGciOiJIUzI1NiJ9.e30.rubbish")
        await asyncio.sleep(0.05)
        writer.transport.abort()

    await attack.again(knock)


async def rubbish(attack: Attack) -> None:
    """Requests that are none, each on a connection of its own, with a good token in them."""
    token = attack.token
    wires = (
        f"GET /api/v1/ws?token={token} x HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /api/v1/ws?token={token[:30]}\r{token[30:]} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n",
        f"{token}\r\n\r\n",
    )

    async def send(number: int) -> None:
        reader, writer = await attack.open()
        try:
            writer.write(wires[number % len(wires)].encode())
            await attack.answered(reader)
        finally:
            writer.transport.abort()

    await attack.again(send)


async def shake_hands(attack: Attack, token: str) -> Stream:
    reader, writer = await attack.open()
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET /api/v1/ws?token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    head += f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    writer.write(head.encode() + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    attack.seen["handshakes"] += 1
    return reader, writer


ATTACKS = {
    one.__name__: one
    for one in (
        silence,
        half_heads,
        withheld_webhooks,
        withheld_calls,
        gzip_bombs,
        large_bodies,
        floods,
        bad_tokens,
        rubbish,
    )
}


async def run(name: str, port: str, token: str, seconds: str, count: str) -> None:
    attack = Attack(int(port), token, float(seconds), int(count))
    with suppress(TimeoutError):
        async with asyncio.timeout(float(seconds) + OPEN_LIMIT_S):
            await ATTACKS[name](attack)
    print(json.dumps(attack.seen))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
