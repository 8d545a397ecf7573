"""Decodes what a browser sends: bytes to WebSocket messages (RFC 6455 section 5). Pure.

Every frame counts against the rate before its payload is read, because a ping, a pong, a fragment
or an empty frame costs as much as a command. Must never read past the frame that ends a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from bridge.protocol.errors import CloseCode

_FIN, _RESERVED, _MASKED, _LENGTH = 0x80, 0x70, 0x80, 0x7F
_CONTROL_BYTES = 125


class Kind(IntEnum):
    """The kind of a message; the value is its opcode."""

    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_CONTINUATION = 0x0
_OPCODES = frozenset({_CONTINUATION, *Kind})


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. TEXT sets `text`, PING and PONG set `data`, and CLOSE sets `code`.

    `code` is 1000 if the peer gave none. The payload of a BINARY message is dropped.
    """

    kind: Kind
    text: str = ""
    data: bytes = b""
    code: int = 0


class Violation(Exception):
    """The peer broke the protocol or a limit. Close the connection with `code`."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


class Decoder:
    """Decodes one connection. Calls `admit` once for each frame: is it within the rate?"""

    __slots__ = (
        "_admit",
        "_buffer",
        "_is_counted",
        "_is_over",
        "_kind",
        "_most",
        "_parts",
        "_size",
    )

    def __init__(self, most_bytes: int, admit: Callable[[], bool]) -> None:
        """`most_bytes` limits one message, with all its fragments."""
        self._most = most_bytes
        self._admit = admit
        self._buffer = bytearray()
        self._is_counted = False
        # The fragmented message that has begun and not ended.
        self._kind: Kind | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._is_over = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that `data` completes. Raises Violation.

        After a Violation or a CLOSE it ignores all further data.
        """
        if self._is_over:
            return
        self._buffer += data
        while (frame := self._next()) is not None:
            message = self._message(*frame)
            if message is not None:
                yield message
            if self._is_over:
                return

    def stop(self) -> None:
        """Ignore all further data, and drop the unfinished message."""
        self._is_over = True
        self._buffer.clear()
        self._parts.clear()

    def _next(self) -> tuple[int, bool, bytes] | None:
        """Take one frame off the buffer: its opcode, its FIN bit and its unmasked payload.

        Answers None until the whole frame is there.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        if not self._is_counted:
            self._is_counted = True
            if not self._admit():
                self._refuse(CloseCode.TOO_FAST)
            self._check_head(first, second)
        at, size = 2, second & _LENGTH
        if size >= 126:
            width = 2 if size == 126 else 8
            at += width
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at], "big")
        if not first & 0x8 and self._size + size > self._most:
            self._refuse(CloseCode.TOO_BIG)
        end = at + 4 + size
        if len(buffer) < end:
            return None
        payload = _unmasked(bytes(buffer[at + 4 : end]), bytes(buffer[at : at + 4]))
        del buffer[:end]
        self._is_counted = False
        return first & 0x0F, bool(first & _FIN), payload

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        is_control = opcode & 0x8
        if first & _RESERVED or opcode not in _OPCODES or not second & _MASKED:
            self._refuse(CloseCode.MALFORMED)
        if is_control and (not first & _FIN or second & _LENGTH > _CONTROL_BYTES):
            self._refuse(CloseCode.MALFORMED)
        if not is_control and (opcode == _CONTINUATION) is (self._kind is None):
            self._refuse(CloseCode.MALFORMED)

    def _message(self, opcode: int, is_last: bool, payload: bytes) -> Message | None:
        return (
            self._control(opcode, payload) if opcode & 0x8 else self._data(opcode, is_last, payload)
        )

    def _data(self, opcode: int, is_last: bool, payload: bytes) -> Message | None:
        if self._kind is None:
            self._kind = Kind(opcode)
        # An empty fragment adds nothing, and many of them would fill the list.
        if payload:
            self._parts.append(payload)
            self._size += len(payload)
        if not is_last:
            return None
        kind, whole = self._kind, b"".join(self._parts)
        self._kind, self._size = None, 0
        self._parts.clear()
        return Message(kind, text=self._text(whole)) if kind is Kind.TEXT else Message(kind)

    def _control(self, opcode: int, payload: bytes) -> Message:
        if opcode != Kind.CLOSE:
            return Message(Kind(opcode), data=payload)
        if not payload:
            self.stop()
            return Message(Kind.CLOSE, code=1000)
        code = int.from_bytes(payload[:2], "big")
        if len(payload) == 1 or not _may_be_sent(code):
            self._refuse(CloseCode.MALFORMED)
        self._text(payload[2:])
        self.stop()
        return Message(Kind.CLOSE, code=code)

    def _text(self, payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            self._refuse(CloseCode.NOT_UTF8)

    def _refuse(self, code: CloseCode) -> NoReturn:
        self.stop()
        raise Violation(code)


def _may_be_sent(code: int) -> bool:
    # RFC 6455 section 7.4, and the codes that IANA has registered since.
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
