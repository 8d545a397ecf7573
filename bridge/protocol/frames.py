"""The frames of the WebSocket: parses a browser's commands, encodes events and answers. Pure.

An encoded frame carries its WebSocket header (RFC 6455 section 5.2: text, final, unmasked), so that
an event is encoded once, whatever the number of sockets that get it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Any, TypeAlias

import msgspec
from escrow.v1 import escrow_pb2 as pb

from bridge.protocol import view
from bridge.protocol.errors import BadFrame, ErrorCode

# Characters of the `escrow_id` in a frame.
ESCROW_ID_CHARACTERS = 128
# Characters of a frame's own `id`.
FRAME_ID_CHARACTERS = 128
VERSION_MAX = 2**63 - 1
# The largest safe integer of JavaScript. A larger id could come back changed.
FRAME_ID_MAX = 2**53 - 1

# The escrow_id that stands for all escrows of the user. No escrow has this id.
EVERYTHING = "*"

FrameId: TypeAlias = str | int | None

PING = b"\x89\x00"

_ASCII = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# What comes from protobuf is UTF-8 for certain, and has no number that JSON lacks.
_written = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Subscribe:
    escrow_id: str
    # The last version that the browser has (exclusive); of EVERYTHING, the last position.
    after: int | None
    frame_id: FrameId


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    escrow_id: str
    frame_id: FrameId


@dataclass(frozen=True, slots=True)
class Ping:
    frame_id: FrameId


@dataclass(frozen=True, slots=True)
class Authenticate:
    token: str
    frame_id: FrameId


Command: TypeAlias = Subscribe | Unsubscribe | Ping | Authenticate


class EventFrames(msgspec.Struct, frozen=True, eq=False):
    """An encoded event: `wire` holds `count` frames, which are always sent together.

    They carry `position` if it is not 0: for those who follow everything.
    """

    version: int
    wire: bytes
    count: int
    escrow: pb.Escrow
    position: int = 0


class Burst(msgspec.Struct, frozen=True, eq=False):
    """Events of one escrow that come right after one another: `wire` holds all their frames."""

    events: Sequence[EventFrames]
    wire: bytes
    count: int
    first: int
    last: int


def burst(events: Sequence[EventFrames]) -> Burst:
    """Put one or more events together, which were encoded before."""
    return Burst(
        events,
        events[0].wire if len(events) == 1 else b"".join([event.wire for event in events]),
        sum([event.count for event in events]),
        events[0].version,
        events[-1].version,
    )


def parse(text: str) -> Command:
    """Parse one text frame. Raises BadFrame, with the frame's id if it could be read."""
    frame = _object(text)
    frame_id = _frame_id(frame)
    match frame.get("type"):
        case "subscribe":
            escrow_id = _escrow_id(frame, frame_id)
            return Subscribe(escrow_id, _after(frame, escrow_id, frame_id), frame_id)
        case "unsubscribe":
            return Unsubscribe(_escrow_id(frame, frame_id), frame_id)
        case "ping":
            return Ping(frame_id)
        case "auth":
            return Authenticate(_text(frame, "token", frame_id), frame_id)
        case str():
            raise BadFrame("type must be subscribe, unsubscribe, ping or auth.", frame_id)
        case _:
            raise BadFrame("type must be a string.", frame_id)


def _object(text: str) -> dict[str, Any]:
    try:
        frame = _read(text)
    except (ValueError, RecursionError):
        raise BadFrame("The frame is not JSON.") from None
    if not isinstance(frame, dict):
        raise BadFrame("The frame must be a JSON object.")
    return frame


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# Made once: json.loads makes one for each call that asks for more than the plain one.
_read = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _frame_id(frame: dict[str, Any]) -> FrameId:
    frame_id = frame.get("id")
    if isinstance(frame_id, str) and len(frame_id) <= FRAME_ID_CHARACTERS:
        return frame_id
    if isinstance(frame_id, int) and not isinstance(frame_id, bool):
        if abs(frame_id) <= FRAME_ID_MAX:
            return frame_id
    elif frame_id is None:
        return None
    raise BadFrame(
        f"id must be a string of at most {FRAME_ID_CHARACTERS} characters, or an integer from"
        f" -{FRAME_ID_MAX} to {FRAME_ID_MAX}."
    )


def _text(frame: dict[str, Any], name: str, frame_id: FrameId) -> str:
    value = frame.get(name)
    if not isinstance(value, str) or not value:
        raise BadFrame(f"{name} must be a string, and not empty.", frame_id)
    return value


def _escrow_id(frame: dict[str, Any], frame_id: FrameId) -> str:
    escrow_id = _text(frame, "escrow_id", frame_id)
    if len(escrow_id) > ESCROW_ID_CHARACTERS:
        raise BadFrame(f"escrow_id must have at most {ESCROW_ID_CHARACTERS} characters.", frame_id)
    try:
        escrow_id.encode()
    except UnicodeEncodeError:
        raise BadFrame("escrow_id must not contain a lone surrogate.", frame_id) from None
    return escrow_id


def _after(frame: dict[str, Any], escrow_id: str, frame_id: FrameId) -> int | None:
    after = frame.get("after")
    if after is None:
        return None
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= VERSION_MAX:
        what = "position" if escrow_id == EVERYTHING else "version"
        raise BadFrame(f"after must be a {what}: an integer from 0 to {VERSION_MAX}.", frame_id)
    return after


def wire(payload: bytes) -> bytes:
    """Make a text frame: the header, then the payload."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def ws_pong(payload: bytes) -> bytes:
    """Answer a ping of the WebSocket protocol. `payload` has at most 125 bytes."""
    return struct.pack("!BB", 0x8A, len(payload)) + payload


def close(code: int, reason: str = "") -> bytes:
    """Make a close frame. `reason` has at most 123 bytes."""
    payload = struct.pack("!H", code) + reason.encode()
    return struct.pack("!BB", 0x88, len(payload)) + payload


def connected(user_id: str, expires_at: float, ping_interval_s: float) -> bytes:
    return _frame(
        {
            "type": "connected",
            "user_id": user_id,
            "expires_at": int(expires_at),
            "time": int(time()),
            "ping_interval": _plain(ping_interval_s),
        }
    )


def live(is_live: bool, reason: str = "") -> bytes:
    """Tell whether events reach the browser now; `reason` says why not."""
    frame: dict[str, Any] = {"type": "live", "live": is_live}
    return _frame(frame if is_live else {**frame, "reason": reason})


def subscribed(
    escrow_id: str, version: int, data: bytes, frame_id: FrameId, position: int | None = None
) -> bytes:
    """Answer a subscribe. `data` is the snapshot, already JSON: it is encoded once per version.

    To who follows EVERYTHING it is sent with the position as of which it is true, or a later one.
    """
    head = _json({"type": "subscribed", "escrow_id": escrow_id, "version": version})
    tail = b"" if frame_id is None else b',"id":' + _json(frame_id)
    if position is not None:
        tail += _position(position)
    return wire(head[:-1] + b',"data":' + data + tail + b"}")


def subscribed_to_all(frame_id: FrameId, position: int, *, more: bool = False) -> bytes:
    """Answer a subscribe to EVERYTHING: all up to a position was sent.

    `more` says that older open escrows exist, for which no snapshot was sent.
    """
    frame: dict[str, Any] = {"type": "subscribed", "escrow_id": EVERYTHING, "position": position}
    return _frame({**frame, "more": True} if more else frame, frame_id)


def unsubscribed(escrow_id: str, frame_id: FrameId) -> bytes:
    return _frame({"type": "unsubscribed", "escrow_id": escrow_id}, frame_id)


def pong(frame_id: FrameId) -> bytes:
    return _frame({"type": "pong"}, frame_id)


def authenticated(expires_at: float, frame_id: FrameId) -> bytes:
    return _frame({"type": "authenticated", "expires_at": int(expires_at)}, frame_id)


def reconnect(after_ms: int) -> bytes:
    return _frame({"type": "reconnect", "after_ms": after_ms})


def error(
    code: ErrorCode, message: str, *, escrow_id: str | None = None, frame_id: FrameId = None
) -> bytes:
    frame = {"type": "error", "code": code.name, "message": message, "retry": code.retry}
    if escrow_id is not None:
        frame["escrow_id"] = escrow_id
    return _frame(frame, frame_id)


def snapshot(escrow: pb.Escrow) -> bytes:
    """Encode the `data` of `subscribed` as JSON."""
    return _written(view.escrow_data(escrow))


def event_frames(event: pb.EscrowEvent) -> EventFrames:
    """Encode an event: first `payment_status` and `status_change` if it implies them, then
    `escrow_update`."""
    place = {"escrow_id": event.escrow_id, "version": event.version}
    frames: list[dict[str, Any]] = []
    if event.payment_status:
        status = view.payment_status(event.payment_status)
        frames.append({"type": "payment_status", **place, "status": status})
    if event.old_status and event.old_status != event.new_status:
        old, new = view.escrow_status(event.old_status), view.escrow_status(event.new_status)
        frames.append({"type": "status_change", **place, "old_status": old, "new_status": new})
    update = {"type": "escrow_update", **place, "data": view.event_data(event)}
    blob = wire(_written(update))
    for frame in reversed(frames):
        blob = wire(_written(frame)) + blob
    return EventFrames(event.version, blob, len(frames) + 1, event.escrow)


def at(event: EventFrames, position: int) -> EventFrames:
    """Put the position into each frame of an event, without encoding it again."""
    parts, rest = [], memoryview(event.wire)
    while rest:
        size, start = rest[1], 2
        if size == 126:
            (size,), start = struct.unpack("!H", rest[2:4]), 4
        elif size == 127:
            (size,), start = struct.unpack("!Q", rest[2:10]), 10
        # Without the brace at its end.
        parts.append(wire(bytes(rest[start : start + size - 1]) + _position(position) + b"}"))
        rest = rest[start + size :]
    return msgspec.structs.replace(event, wire=b"".join(parts), position=position)


def _position(position: int) -> bytes:
    return b',"position":' + str(position).encode()


def _frame(frame: dict[str, Any], frame_id: FrameId = None) -> bytes:
    if frame_id is not None:
        frame = {**frame, "id": frame_id}
    return wire(_json(frame))


def _json(value: Any) -> bytes:
    # ASCII only: a lone surrogate in a browser's `id` cannot be UTF-8, but it can be escaped.
    return _ASCII.encode(value).encode("ascii")


def _plain(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number
