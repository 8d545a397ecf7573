"""What the streams of WatchEscrow share: an event as ready bytes, and the end of a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

from core.errors import Reason, Refusal


def event_response(body: bytes) -> bytes:
    """Wrap a serialized EscrowEvent as a serialized WatchEscrowResponse, without parsing it."""
    return _EVENT_TAG + _varint(len(body)) + body


# Field 2, length-delimited (protobuf encoding, "Message structure").
_EVENT_TAG = bytes([2 << 3 | 2])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_Item = TypeVar("_Item")


async def until(
    watching: AsyncIterator[_Item], expires_at: float, now_s: Callable[[], float]
) -> AsyncGenerator[_Item]:
    """Hand on until the token expires. Raises Refusal TOKEN_EXPIRED then."""
    while True:
        try:
            async with asyncio.timeout(max(expires_at - now_s(), 0)):
                item = await anext(watching)
        except TimeoutError:
            raise Refusal(
                Reason.TOKEN_EXPIRED, "The token has expired; watch again with a fresh one."
            ) from None
        except StopAsyncIteration:
            return
        yield item
