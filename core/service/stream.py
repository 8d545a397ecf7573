"""What the streams of watches share: an event as ready bytes, and the end of a token."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from escrow.v1 import escrow_service_pb2 as rpc

from core.errors import Reason, Refusal
from holdfast.revocation import Revocations


def event_response(body: bytes, position: int = 0) -> bytes:
    """Wrap a serialized EscrowEvent as a serialized WatchEscrowResponse, without parsing it."""
    at = _RESPONSE_POSITION + _varint(position) if position else b""
    return _RESPONSE_EVENT + _varint(len(body)) + body + at


def feed_response(body: bytes, position: int) -> bytes:
    """Wrap a serialized EscrowEvent as a serialized WatchEventsResponse."""
    return _FEED_EVENT + _varint(len(body)) + body + _FEED_POSITION + _varint(position)


def event_news(watch_id: int, body: bytes) -> bytes:
    """Wrap a serialized EscrowEvent as news in a serialized WatchManyResponse."""
    head = _NEWS_ID + _varint(watch_id) + _NEWS_EVENT + _varint(len(body))
    return _NEWS + _varint(len(head) + len(body)) + head + body


def news(message: rpc.WatchNews) -> bytes:
    """Write news as a serialized WatchManyResponse. Several of them in a row make one response."""
    body = message.SerializeToString()
    return _NEWS + _varint(len(body)) + body


# Tags: the number of the field, and 2 where its length comes first, or 0 where it is a varint
# (protobuf encoding, "Message structure").
_RESPONSE_EVENT = bytes([2 << 3 | 2])
_RESPONSE_POSITION = bytes([4 << 3 | 0])
_FEED_EVENT = bytes([1 << 3 | 2])
_FEED_POSITION = bytes([3 << 3 | 0])
_NEWS = bytes([1 << 3 | 2])
_NEWS_ID = bytes([1 << 3 | 0])
_NEWS_EVENT = bytes([3 << 3 | 2])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_Item = TypeVar("_Item")


@dataclass(eq=False, slots=True)
class Ending:
    """When a stream has to end: with its token, which expires or is revoked."""

    user_id: str
    issued_at: float
    expires_at: float
    is_revoked: bool = False
    limit: asyncio.Timeout | None = None

    def revoke(self) -> None:
        """End the stream at once, also while it waits."""
        self.is_revoked = True
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())


class Endings:
    """All open streams, so that those of a revoked token can be ended."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations
        self._open: set[Ending] = set()
        revocations.listeners.append(self._revoked)

    @contextlib.contextmanager
    def opened(self, ending: Ending) -> Iterator[Ending]:
        self._open.add(ending)
        try:
            yield ending
        finally:
            self._open.discard(ending)

    def _revoked(self, user_id: str) -> None:
        for ending in self._open:
            if ending.user_id == user_id and self._revocations.covers(user_id, ending.issued_at):
                ending.revoke()


async def until(
    watching: AsyncIterator[_Item], ending: Ending, now_s: Callable[[], float]
) -> AsyncGenerator[_Item]:
    """Hand on until the token ends. Raises Refusal TOKEN_EXPIRED or TOKEN_REVOKED then."""
    while True:
        left_s = 0.0 if ending.is_revoked else max(ending.expires_at - now_s(), 0)
        try:
            async with asyncio.timeout(left_s) as limit:
                ending.limit = limit
                item = await anext(watching)
        except TimeoutError:
            raise token_ended(is_revoked=ending.is_revoked) from None
        except StopAsyncIteration:
            return
        finally:
            ending.limit = None
        if ending.is_revoked:
            raise token_ended(is_revoked=True)
        yield item


def token_ended(*, is_revoked: bool) -> Refusal:
    """Make the refusal with which a watch ends when its token does."""
    if is_revoked:
        return Refusal(Reason.TOKEN_REVOKED, "The token was revoked; sign in again.")
    text = "The token has expired; watch again with a fresh one."
    return Refusal(Reason.TOKEN_EXPIRED, text)
