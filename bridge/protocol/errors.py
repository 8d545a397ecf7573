"""Two catalogues: error frames (a command failed) and closes (a connection ends).

CONTRACT: of the close codes 4400 to 4403 are final; after any other a browser comes back.
"""

from __future__ import annotations

from enum import Enum, IntEnum, unique


@unique
class ErrorCode(Enum):
    """Why a command failed, by its name on the wire.

    `retry` says whether the same command may succeed later; `meaning` goes into
    docs/reference/errors.md (`make reference`).
    """

    BAD_FRAME = (
        False,
        "The frame is not JSON, not an object or binary, its `type` is unknown, or a field is"
        " missing or wrong. The connection lives on.",
    )
    ESCROW_NOT_FOUND = (False, "The escrow does not exist, or is not the user's to see.")
    FORBIDDEN = (False, "Core refuses this user.")
    TOO_MANY_SUBSCRIPTIONS = (False, "The connection has as many subscriptions as it may have.")
    RATE_LIMITED = (True, "The browser sends too many frames. The connection is closed with 4429.")
    UNAVAILABLE = (
        True,
        "Core did not answer in time, or the key server does not. Send the command again.",
    )
    TOKEN_EXPIRING = (True, "The token ends in a moment. Send a fresh one with `auth`.")
    TOKEN_INVALID = (False, "The token of an `auth` is not good. The one before stays in force.")
    USER_MISMATCH = (
        False,
        "The token of an `auth` is another user's. The one before stays in force.",
    )

    def __init__(self, retry: bool, meaning: str) -> None:
        self.retry = retry
        self.meaning = meaning


class CloseCode(IntEnum):
    """Why a connection ends. 4400 (bad use), 4402 and 4403 (forbidden) are kept for final ends."""

    MALFORMED = 1002
    NOT_UTF8 = 1007
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

    @property
    def is_final(self) -> bool:
        """Whether coming back would not help."""
        return self in _FINAL


# The whole range is kept for final ends, so that a browser need not know each code.
_FINAL = range(4400, 4404)

_CLOSE_REASONS = {
    CloseCode.MALFORMED: "that is not the WebSocket protocol",
    CloseCode.NOT_UTF8: "the text is not UTF-8",
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
