"""The catalogue: each way in which a command is refused, its gRPC code, whether to try again.

A refusal is a value of this catalogue. A broken assumption is an assertion, not a refusal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

DOMAIN = "holdfast"


class Reason(enum.Enum):
    """The reason by its name on the wire, its canonical gRPC code, whether to repeat the call."""

    # Who is calling.
    TOKEN_MISSING = ("UNAUTHENTICATED", False)
    TOKEN_INVALID = ("UNAUTHENTICATED", False)
    TOKEN_EXPIRED = ("UNAUTHENTICATED", False)
    KEYS_UNAVAILABLE = ("UNAVAILABLE", True)
    ROLE_MISSING = ("PERMISSION_DENIED", False)
    NOT_A_PARTY = ("PERMISSION_DENIED", False)
    # What was sent.
    REQUEST_MALFORMED = ("INVALID_ARGUMENT", False)
    FIELD_INVALID = ("INVALID_ARGUMENT", False)
    AMOUNT_INVALID = ("INVALID_ARGUMENT", False)
    PAGE_TOKEN_INVALID = ("INVALID_ARGUMENT", False)
    SIGNATURE_INVALID = ("INVALID_ARGUMENT", False)
    ORDER_MISMATCH = ("INVALID_ARGUMENT", False)
    WEBHOOK_MALFORMED = ("INVALID_ARGUMENT", False)
    REQUEST_ID_REUSED = ("ALREADY_EXISTS", False)
    # What it was about.
    ESCROW_NOT_FOUND = ("NOT_FOUND", False)
    MILESTONE_NOT_FOUND = ("NOT_FOUND", False)
    PAYEE_NOT_FOUND = ("NOT_FOUND", False)
    # What the law says.
    WRONG_STATUS = ("FAILED_PRECONDITION", False)
    ALREADY_CONFIRMED = ("FAILED_PRECONDITION", False)
    PAYEE_MISSING = ("FAILED_PRECONDITION", False)
    GATEWAY_REFUSED = ("FAILED_PRECONDITION", False)
    # What is away.
    GATEWAY_UNAVAILABLE = ("UNAVAILABLE", True)
    STORAGE_UNAVAILABLE = ("UNAVAILABLE", True)
    SHUTTING_DOWN = ("UNAVAILABLE", True)
    OVERLOADED = ("RESOURCE_EXHAUSTED", True)
    # What one user may take.
    TOO_MANY_CALLS = ("RESOURCE_EXHAUSTED", True)
    TOO_MANY_UNPAID = ("RESOURCE_EXHAUSTED", True)
    # What is not built yet.
    NOT_OFFERED = ("UNIMPLEMENTED", False)

    @property
    def code(self) -> str:
        """The canonical code by its name in google.rpc.Code."""
        return str(self.value[0])

    @property
    def retry(self) -> bool:
        """Whether the same call may succeed later."""
        return bool(self.value[1])

    # Members with equal values would otherwise be aliases of one another.
    def __new__(cls, code: str, retry: bool) -> Reason:
        member = object.__new__(cls)
        member._value_ = (code, retry, len(cls.__members__))
        return member


class Refusal(Exception):
    """A command was refused and changed nothing."""

    def __init__(self, reason: Reason, message: str, fields: Mapping[str, str] | None = None):
        super().__init__(message)
        self.reason = reason
        self.message = message
        # Name of the field as in the proto, and what is wrong with it.
        self.fields = dict(fields or {})


def field_invalid(field: str, problem: str, reason: Reason = Reason.FIELD_INVALID) -> Refusal:
    """Make the refusal of one field: a sentence that names it, and the same as a violation."""
    return Refusal(reason, f"{field}: {problem}", {field: problem})
