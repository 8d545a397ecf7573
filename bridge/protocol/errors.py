"""Two catalogues: error codes (a command failed) and close codes (a connection ended).

Close codes 4400 to 4403 are final. After any other code a browser reconnects.
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
        " missing or wrong. The connection stays open.",
    )
    ESCROW_NOT_FOUND = (False, "The escrow does not exist, or this user may not see it.")
    POSITION_UNKNOWN = (
        False,
        "The position after which `*` was to go on is beyond the newest: core's database was"
        " restored from a backup, or is another one. Subscribe to `*` anew, without `after`.",
    )
    FORBIDDEN = (False, "Core does not allow this user to do that.")
    TOO_MANY_SUBSCRIPTIONS = (
        False,
        "The connection has as many subscriptions as it can have. Unsubscribe from one first.",
    )
    RATE_LIMITED = (True, "The browser sends too many frames. The connection is closed with 4429.")
    UNAVAILABLE = (
        True,
        "Core, or the server of the token's keys, did not answer in time. Send the command again.",
    )
    TOKEN_EXPIRING = (True, "The token is about to expire. Send a fresh one with `auth`.")
    TOKEN_INVALID = (
        False,
        "The token of an `auth` is invalid or expired. The connection keeps its previous token.",
    )
    USER_MISMATCH = (
        False,
        "The token of an `auth` belongs to another user. The connection keeps its previous token.",
    )

    def __init__(self, retry: bool, meaning: str) -> None:
        self.retry = retry
        self.meaning = meaning


class CloseCode(IntEnum):
    """Why the bridge closes a connection. 4400, 4402 and 4403 are reserved for final closes."""

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
        """Whether a reconnect would not help."""
        return self in _FINAL


# The whole range is reserved for final closes, so that a browser need not know each code.
_FINAL = range(4400, 4404)

_CLOSE_REASONS = {
    CloseCode.MALFORMED: "The frame breaks the WebSocket protocol.",
    CloseCode.NOT_UTF8: "The text is not UTF-8.",
    CloseCode.TOO_BIG: "The frame is larger than 64 KiB.",
    CloseCode.RESTART: "This server is shutting down. Reconnect.",
    CloseCode.TRY_LATER: "Tokens cannot be checked right now. Reconnect.",
    CloseCode.BAD_TOKEN: "The token is missing, invalid or expired.",
    CloseCode.TOO_SLOW: "Too many frames wait to be read. Reconnect and resume.",
    CloseCode.TOO_MANY_CONNECTIONS: "This user has too many connections.",
    CloseCode.TOO_FAST: "Too many frames a second.",
}


class BadFrame(Exception):
    """The frame is not a command. `frame_id` is the frame's `id`, if it could be read."""

    def __init__(self, message: str, frame_id: str | int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.frame_id = frame_id
