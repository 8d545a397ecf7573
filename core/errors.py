"""The catalogue: each way in which a command is refused, its gRPC code, whether to try again.

A refusal is a value of this catalogue. A broken assumption is an assertion, not a refusal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

DOMAIN = "holdfast"


@enum.unique
class Reason(enum.Enum):
    """Each reason by its name on the wire: its canonical gRPC code, `retry`, and what it means.

    `code` is a name of google.rpc.Code; `retry` says whether the same call may succeed later;
    `meaning` goes into docs/reference/errors.md (`make reference`).
    """

    # Who is calling.
    TOKEN_MISSING = ("UNAUTHENTICATED", False, "The call has no `authorization: Bearer` metadata.")
    TOKEN_INVALID = (
        "UNAUTHENTICATED",
        False,
        "The token's signature, algorithm, issuer, audience or another claim is wrong, or its"
        " `sub` is a reserved name.",
    )
    TOKEN_EXPIRED = (
        "UNAUTHENTICATED",
        False,
        "The token's `exp` has passed. A stream that is open ends with it too.",
    )
    TOKEN_REVOKED = (
        "UNAUTHENTICATED",
        False,
        "The token was revoked by an administrator. Sign in again.",
    )
    KEYS_UNAVAILABLE = (
        "UNAVAILABLE",
        True,
        "The key server (JWKS) does not answer, so nobody can tell whether the token is good.",
    )
    ROLE_MISSING = ("PERMISSION_DENIED", False, "The call is for the role `admin` or `service`.")
    NOT_A_PARTY = (
        "PERMISSION_DENIED",
        False,
        "The caller may see the escrow, but is not one who may do this.",
    )
    # What was sent.
    REQUEST_MALFORMED = (
        "INVALID_ARGUMENT",
        False,
        "The bytes are not a message of the request's type.",
    )
    FIELD_INVALID = ("INVALID_ARGUMENT", False, "Fields are wrong. The error names all of them.")
    AMOUNT_INVALID = (
        "INVALID_ARGUMENT",
        False,
        "Only amounts are wrong. The error names all of them.",
    )
    PAGE_TOKEN_INVALID = (
        "INVALID_ARGUMENT",
        False,
        "`page_token` does not come from an answer with the same filter.",
    )
    POSITION_UNKNOWN = (
        "OUT_OF_RANGE",
        False,
        "`after_position` is beyond the newest position: the database is another one or was"
        " restored from a backup. Read everything anew.",
    )
    SIGNATURE_INVALID = (
        "INVALID_ARGUMENT",
        False,
        "The signature of a webhook or of Checkout's callback is wrong.",
    )
    ORDER_MISMATCH = (
        "INVALID_ARGUMENT",
        False,
        "The Razorpay order is not this escrow's, or the payment is not the order's.",
    )
    WEBHOOK_MALFORMED = (
        "INVALID_ARGUMENT",
        False,
        "The delivery is signed but is not a webhook of Razorpay.",
    )
    ATTACHMENT_TOO_LARGE = ("INVALID_ARGUMENT", False, "The file has more bytes than it may have.")
    ATTACHMENT_TYPE_REFUSED = (
        "INVALID_ARGUMENT",
        False,
        "The file is not a PNG, JPEG or WebP picture or a PDF, or it is not what it is said to be.",
    )
    UPLOAD_INCOMPLETE = (
        "INVALID_ARGUMENT",
        True,
        "The bytes of a file were not as many as was said, did not come in time, or came twice at"
        " once. Send the file again.",
    )
    REQUEST_ID_REUSED = (
        "ALREADY_EXISTS",
        False,
        "The same `request_id` was used before with another body.",
    )
    # What it was about.
    ESCROW_NOT_FOUND = (
        "NOT_FOUND",
        False,
        "The escrow does not exist, or the caller may not see it.",
    )
    MILESTONE_NOT_FOUND = ("NOT_FOUND", False, "The escrow has no such milestone.")
    PAYEE_NOT_FOUND = ("NOT_FOUND", False, "The user has no linked account registered.")
    PAYEE_CHANGE_NOT_FOUND = (
        "NOT_FOUND",
        False,
        "The user has no change of the linked account that waits.",
    )
    ATTACHMENT_NOT_FOUND = (
        "NOT_FOUND",
        False,
        "There is no such file for this caller: it was never uploaded, was sent already, was not"
        " sent within 24 hours, or is another's.",
    )
    ENDPOINT_NOT_FOUND = ("NOT_FOUND", False, "There is no such webhook endpoint.")
    DELIVERY_NOT_FOUND = (
        "NOT_FOUND",
        False,
        "There is no such delivery of a webhook, or it is no longer kept.",
    )
    # What the law says.
    WRONG_STATUS = ("FAILED_PRECONDITION", False, "The escrow's status does not allow this.")
    ACCEPTANCE_MISSING = (
        "FAILED_PRECONDITION",
        False,
        "The escrow asks for acceptance, and the other side has not accepted yet.",
    )
    ALREADY_ACCEPTED = ("FAILED_PRECONDITION", False, "This party has accepted already.")
    SETTLEMENT_UNDER_WAY = (
        "FAILED_PRECONDITION",
        True,
        "A call to Razorpay is on its way, so that nobody can say yet what has been done. Look at"
        " the escrow, and try again.",
    )
    ALREADY_CONFIRMED = ("FAILED_PRECONDITION", False, "This party has confirmed already.")
    PAYEE_MISSING = (
        "FAILED_PRECONDITION",
        False,
        "A release waits for the seller's linked account. No call answers it: it stands in"
        " `attention`.",
    )
    GATEWAY_REFUSED = (
        "FAILED_PRECONDITION",
        False,
        "Razorpay refuses the call. The message has its own words.",
    )
    ENDPOINT_DISABLED = (
        "FAILED_PRECONDITION",
        False,
        "The webhook endpoint is disabled. Enable it first (UpdateEndpoint).",
    )
    TOO_MANY_MESSAGES = (
        "FAILED_PRECONDITION",
        False,
        "The caller has written as many messages in this dispute as one person may.",
    )
    # What is away.
    GATEWAY_UNAVAILABLE = ("UNAVAILABLE", True, "Razorpay does not answer.")
    STORAGE_UNAVAILABLE = (
        "UNAVAILABLE",
        True,
        "The database does not answer, or core met an error of its own, which its log has.",
    )
    ATTACHMENTS_UNAVAILABLE = (
        "UNAVAILABLE",
        True,
        "The directory or bucket of `ATTACHMENTS_URL` does not answer or has no room.",
    )
    ATTACHMENT_DAMAGED = (
        "DATA_LOSS",
        False,
        "The stored bytes are not those that were uploaded. Restore the file from a backup.",
    )
    SHUTTING_DOWN = ("UNAVAILABLE", True, "This process is about to stop. Another one answers.")
    OVERLOADED = ("RESOURCE_EXHAUSTED", True, "Too many commands wait in this process.")
    # What one user may take.
    TOO_MANY_CALLS = (
        "RESOURCE_EXHAUSTED",
        True,
        "The user makes more calls a second than `LIMIT_USER_CALLS_PER_S`.",
    )
    TOO_MANY_WATCHES = (
        "RESOURCE_EXHAUSTED",
        True,
        "The stream has as many watches as it may have. Open the watch on another one.",
    )
    TOO_MANY_UNPAID = (
        "RESOURCE_EXHAUSTED",
        True,
        "The user has created too many escrows that nobody has paid yet, in all"
        " (`LIMIT_USER_UNPAID`) or with one counterparty (`LIMIT_USER_UNPAID_TOWARDS`).",
    )
    TOO_MANY_ATTACHMENTS = (
        "RESOURCE_EXHAUSTED",
        False,
        "The escrow or the user has as many files, or as many bytes of them, as there may be. Send"
        " or delete what waits, or use smaller files.",
    )
    TOO_MANY_ENDPOINTS = (
        "RESOURCE_EXHAUSTED",
        False,
        "There are as many webhook endpoints as there may be. Delete one first.",
    )

    def __init__(self, code: str, retry: bool, meaning: str) -> None:
        self.code = code
        self.retry = retry
        self.meaning = meaning


class Refusal(Exception):
    """A command was refused and changed nothing."""

    def __init__(self, reason: Reason, message: str, fields: Mapping[str, str] | None = None):
        super().__init__(message)
        self.reason = reason
        self.message = message
        # Name of the field as in the proto, and what is wrong with it.
        self.fields = dict(fields or {})


def request_id_reused() -> Refusal:
    """Make the refusal of a request id that came before with another body."""
    problem = "was used before with another body"
    text = f"request_id {problem}; take a fresh one."
    return Refusal(Reason.REQUEST_ID_REUSED, text, {"request_id": problem})


def shutting_down() -> Refusal:
    """Make the refusal that ends a stream when its server stops."""
    return Refusal(Reason.SHUTTING_DOWN, "This server is about to go; watch again.")


def field_invalid(field: str, problem: str, reason: Reason = Reason.FIELD_INVALID) -> Refusal:
    """Make the refusal of one field: a sentence that names it, and the same as a violation."""
    return Refusal(reason, f"{field}: {problem}", {field: problem})
