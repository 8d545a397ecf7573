"""Two catalogues: error frames (a command failed) and closes (a connection ends).

CONTRACT: of the close codes 4400 to 4403 are final; after any other a browser comes back.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class ErrorCode(Enum):
    """Why a command failed; `retry` says whether the same command may succeed later."""

    BAD_FRAME = ("BAD_FRAME", False)
    ESCROW_NOT_FOUND = ("ESCROW_NOT_FOUND", False)
    FORBIDDEN = ("FORBIDDEN", False)
    TOO_MANY_SUBSCRIPTIONS = ("TOO_MANY_SUBSCRIPTIONS", False)
    RATE_LIMITED = ("RATE_LIMITED", True)
    UNAVAILABLE = ("UNAVAILABLE", True)
    TOKEN_EXPIRING = ("TOKEN_EXPIRING", True)
    TOKEN_INVALID = ("TOKEN_INVALID", False)
    USER_MISMATCH = ("USER_MISMATCH", False)

    @property
    def retry(self) -> bool:
        return self.value[1]


class CloseCode(IntEnum):
    """Why a connection ends. 4400 (bad use), 4402 and 4403 (forbidden) are kept for final ends."""

    MALFORMED = 1002
    TOO_BIG = 1009
    RESTART = 1012
    TRY_LATER = 1013
    BAD_TOKEN = 4401
    TOO_SLOW = 4408
    TOO_MANY_CONNECTIONS = 4409
    TOO_FAST = 4429

    @property
    def reason(self) -> str:
        """A sentence for people, short enough for a close frame (123 bytes)."""
        return _CLOSE_REASONS[self]


_CLOSE_REASONS = {
    CloseCode.MALFORMED: "that is not the WebSocket protocol",
    CloseCode.TOO_BIG: "the frame is larger than 64 KiB",
    CloseCode.RESTART: "this server is about to go; reconnect",
    CloseCode.TRY_LATER: "tokens cannot be checked right now; reconnect",
    CloseCode.BAD_TOKEN: "the token is missing, invalid or expired",
    CloseCode.TOO_SLOW: "too many frames wait for this reader; reconnect and resume",
    CloseCode.TOO_MANY_CONNECTIONS: "too many connections of this user",
    CloseCode.TOO_FAST: "too many frames a second",
}


class BadFrame(Exception):
    """What came is not a command. `frame_id` is the frame's own where one could be read."""

    def __init__(self, message: str, frame_id: str | int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.frame_id = frame_id
