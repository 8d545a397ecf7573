"""The opening handshake of a WebSocket (RFC 6455 section 4.2): checks and answers it. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

VERSION = "13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_LINE = b"\r\n"
_ACCEPTED = _LINE.join(
    [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: ",
    ]
)


def asks(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for a WebSocket. `headers` must be case-insensitive."""
    options = headers.get("Connection", "").lower().split(",")
    upgrades = headers.get("Upgrade", "").lower().strip() == "websocket"
    return upgrades and "upgrade" in (option.strip() for option in options)


def problem(headers: Mapping[str, str]) -> str:
    """Answer what is wrong with such a request, as a sentence; empty if it is good."""
    if headers.get("Sec-WebSocket-Version", "") != VERSION:
        return f"Sec-WebSocket-Version must be {VERSION}."
    try:
        key = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        return f"Sec-WebSocket-Key must be {_KEY_BYTES} bytes in base64."
    return ""


def answer(headers: Mapping[str, str], protocol: str) -> bytes:
    """Write the 101. Selects the subprotocol `protocol` if the browser offered it."""
    key = headers["Sec-WebSocket-Key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    head = _ACCEPTED + accept + _LINE
    if protocol in (one.strip() for one in headers.get("Sec-WebSocket-Protocol", "").split(",")):
        head += b"Sec-WebSocket-Protocol: " + protocol.encode() + _LINE
    return head + _LINE
