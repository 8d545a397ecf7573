"""Reads the bodies of requests, with limits on time, on size, on each user and on all together.

Must never hold anything else while it waits for a peer's bytes: a call takes its slot only after
its body was read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web

from bridge.door import reply
from bridge.door.connection import Connection
from bridge.limits import Limits

_RETRY_AFTER_S = 1
# Bytes of a body that are handed on at once.
STREAM_BYTES = 256 * 1024


class BodyRefused(Exception):
    """The body was refused. `answer` is the response to send, with the status `status`."""

    def __init__(self, status: int, code: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.answer = reply.refuse(status, code, reason, message)
        if status == 429:
            self.answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
        if status == 408:
            # The rest of the body may still come, and would be parsed as a request.
            self.answer.force_close()


class _Reading:
    """One body that is being read."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout
        self.body = bytearray()


class Bodies:
    """Reads bodies as they are on the wire, without decompressing them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # The oldest first, and the bytes that they hold together.
        self._readings: dict[_Reading, None] = {}
        self._held = 0
        self._of_user: Counter[str] = Counter()

    async def read(
        self, request: web.Request, *, most: int, within_s: float, user_id: str = ""
    ) -> bytes:
        """Read the whole body, at most `most` bytes. `user_id` is the authenticated sender.

        Raises BodyRefused, or ConnectionError if the peer is gone.
        """
        require_plain(request)
        if (request.content_length or 0) > most:
            raise _too_large(most)
        if not request.can_read_body:
            return b""
        with self._share(user_id), _waiting_for(request):
            return await self._read(request, most, within_s)

    async def stream(
        self, request: web.Request, *, chunk_s: float, within_s: float
    ) -> AsyncGenerator[bytes]:
        """Give the body as it comes, the next bytes within `chunk_s` and all within `within_s`.

        It is not counted: whoever takes it holds one piece at a time. Raises BodyRefused.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        with _waiting_for(request):
            while True:
                try:
                    async with asyncio.timeout_at(min(loop.time() + chunk_s, end_s)):
                        chunk = await request.content.read(STREAM_BYTES)
                except TimeoutError:
                    raise _too_slow() from None
                except (aiohttp.ClientPayloadError, web.RequestPayloadError):
                    raise _unreadable() from None
                if not chunk:
                    return
                yield chunk

    async def _read(self, request: web.Request, most: int, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s) as timeout:
                reading = _Reading(timeout)
                self._readings[reading] = None
                try:
                    async for chunk in request.content.iter_any():
                        self._add(reading, chunk)
                        if len(reading.body) > most:
                            raise _too_large(most)
                    if reading not in self._readings:
                        raise TimeoutError
                finally:
                    self._forget(reading)
                return bytes(reading.body)
        except TimeoutError:
            raise _too_slow() from None
        except (aiohttp.ClientPayloadError, web.RequestPayloadError):
            raise _unreadable() from None

    def _add(self, reading: _Reading, chunk: bytes) -> None:
        if reading not in self._readings:
            raise TimeoutError
        reading.body += chunk
        self._held += len(chunk)
        while self._held > self._limits.bodies_bytes:
            # The one that began first has had the most time.
            oldest = next(iter(self._readings))
            self._forget(oldest)
            oldest.timeout.reschedule(asyncio.get_running_loop().time())

    def _forget(self, reading: _Reading) -> None:
        if reading in self._readings:
            del self._readings[reading]
            self._held -= len(reading.body)

    @contextmanager
    def _share(self, user_id: str) -> Iterator[None]:
        if not user_id:
            yield
            return
        if self._of_user[user_id] >= self._limits.bodies_per_user:
            text = "Too many requests of this user are still being received. Try again."
            raise BodyRefused(429, "RESOURCE_EXHAUSTED", "TOO_MANY_BODIES", text)
        self._of_user[user_id] += 1
        try:
            yield
        finally:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]


@contextmanager
def _waiting_for(request: web.Request) -> Iterator[None]:
    """Tell the crowd that we wait for this peer's body."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.waits_for_body()
    try:
        yield
    finally:
        connection.has_body()


def require_plain(request: web.Request) -> None:
    """Refuse a compressed body. Raises BodyRefused."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        # A compressed body that was cut off may look like an empty one.
        text = "Send the body as it is, without a Content-Encoding."
        raise BodyRefused(415, "INVALID_ARGUMENT", "CODING_UNSUPPORTED", text)


def _too_slow() -> BodyRefused:
    text = "The body did not come in time. Send the request again."
    return BodyRefused(408, "DEADLINE_EXCEEDED", "BODY_TOO_SLOW", text)


def _unreadable() -> BodyRefused:
    return BodyRefused(400, "INVALID_ARGUMENT", "REQUEST_MALFORMED", "The body cannot be read.")


def _too_large(most: int) -> BodyRefused:
    return BodyRefused(
        413, "INVALID_ARGUMENT", "BODY_TOO_LARGE", f"The body has more than {most} bytes."
    )
