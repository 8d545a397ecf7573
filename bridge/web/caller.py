"""Who calls, and how an error leaves: what all doors that take a user's token have in common."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from bridge.door.body import BodyRefused
from bridge.door.reply import refuse
from bridge.upstream.error import CoreError
from bridge.web.transcode import BadInput
from holdfast.tokens import Identity, KeysUnavailable, TokenRefused, Verifier

# What `Retry-After` says with 503 and 429.
RETRY_AFTER_S = 1

# As google/rpc/code.proto names the HTTP status of each code.
STATUS_OF_CODE = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
_RETRIED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
_KEYS_AWAY = CoreError(
    "UNAVAILABLE", "Tokens cannot be checked right now. Try again.", "KEYS_UNAVAILABLE"
)
_BEARER = re.compile(r"bearer +([\x21-\x7e]+) *", re.IGNORECASE)

Answer = TypeVar("Answer", bound=web.StreamResponse)


async def answered(
    request: web.Request,
    verifier: Verifier,
    act: Callable[[Identity], Awaitable[Answer]],
) -> Answer | web.Response:
    """Answer a call with what `act` makes of it, or with an error in our JSON form."""
    token = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if token is None:
        return _no_token()
    try:
        return await act(await verifier.verify(token[1]))
    except TokenRefused as error:
        return _bad_token(error)
    except KeysUnavailable:
        return refused(_KEYS_AWAY)
    except BodyRefused as body:
        return body.answer
    except BadInput as bad:
        fields = ((bad.field, bad.problem),) if bad.field else ()
        reason = "FIELD_INVALID" if bad.field else "REQUEST_MALFORMED"
        return refuse(400, "INVALID_ARGUMENT", reason, str(bad), fields)
    except CoreError as error:
        return refused(error)


def of_unknown_outcome(error: CoreError) -> CoreError:
    """Make the error of a call that may have changed something: it says what is safe to do."""
    if error.reason or not error.away:
        return error
    text = (
        "Core's answer is missing, so the outcome is unknown. Send the call again with the same"
        " request_id or Idempotency-Key: it is done once."
    )
    return CoreError(error.code, text, "OUTCOME_UNKNOWN")


def refused(error: CoreError) -> web.Response:
    """Answer with an error of core's."""
    reason = error.reason or ("CORE_UNAVAILABLE" if error.away else error.code)
    status = STATUS_OF_CODE.get(error.code, 500)
    response = refuse(status, error.code, reason, error.message, error.fields)
    if error.code in _RETRIED:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if error.code == "UNAUTHENTICATED":
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return response


def _no_token() -> web.Response:
    message = "The header Authorization must be: Bearer <token>."
    response = refuse(401, "UNAUTHENTICATED", "TOKEN_MISSING", message)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _bad_token(error: TokenRefused) -> web.Response:
    reason = "TOKEN_EXPIRED" if error.expired else "TOKEN_INVALID"
    if error.revoked:
        reason = "TOKEN_REVOKED"
    message = f"The token is not valid: {error}. Log in again."
    return refused(CoreError("UNAUTHENTICATED", message, reason))
