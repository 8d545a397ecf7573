"""One worker's HTTP session: keeps what the official package throws away when a call fails.

The package loses status and reason of an error and prints to standard output whenever it sees an
exception of requests. So none of them leaves this session: every failure leaves it as one of the
kinds of `outcome`, and the package hands those on untouched and unprinted.
"""

import ssl
import time
from collections.abc import Mapping
from typing import Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from core.razorpay.outcome import GatewayError, GatewayRefused, GatewayUnavailable, OutcomeUnknown

# These codes mean that Razorpay or a bank stumbled, whatever the HTTP status.
_STUMBLED = frozenset({"SERVER_ERROR", "GATEWAY_ERROR"})
_DESCRIPTION_LIMIT = 500
# The longest answer of Razorpay that is read.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class Session(requests.Session):
    """A requests session that answers 2xx with readable JSON, or raises a GatewayError.

    The time-out of requests counts only silence; `body_within_s` limits a body that never ends.
    """

    def __init__(self, *, body_within_s: float) -> None:
        super().__init__()
        self._body_within_s = body_within_s

    def request(
        self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any
    ) -> requests.Response:
        # Razorpay does not redirect, and a followed redirect would turn a POST into a GET.
        kwargs["allow_redirects"] = False
        kwargs["stream"] = True
        is_read = str(method).upper() == "GET"
        try:
            response = super().request(method, url, *args, **kwargs)
            _read_body(response, time.monotonic() + self._body_within_s)
        except (requests.RequestException, HTTPError) as error:
            if _never_sent(error):
                raise GatewayUnavailable(f"Razorpay cannot be reached: {error}") from error
            raise lost(is_read, f"Razorpay did not answer: {error}") from error
        answer = _json(response)
        if not 200 <= response.status_code < 300:
            raise _failure(is_read, response.status_code, answer)
        if answer is None:
            raise lost(is_read, "Razorpay's answer cannot be read.")
        return response


def lost(is_read: bool, sentence: str) -> GatewayError:
    """Name the failure of a call whose answer is missing: a read did nothing, a write may have."""
    return GatewayUnavailable(sentence) if is_read else OutcomeUnknown(sentence)


def _read_body(response: requests.Response, end: float) -> None:
    body = bytearray()
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise HTTPError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > end:
                raise HTTPError("the answer does not end")
        # Nothing is left, but http.client of 3.11 frees the connection only when told to look.
        response.raw.drain_conn()
    except HTTPError:
        response.close()
        raise
    # What `response.content` would have kept, had it read the body itself.
    response._content = bytes(body)


def _failure(is_read: bool, status: int, answer: Mapping[str, object] | None) -> GatewayError:
    if status == 429:
        return GatewayUnavailable("Razorpay asks for fewer calls (429).")
    if status == 401:
        # Keys are rotated: no escrow is to blame, and all go on once core has the new ones.
        return GatewayUnavailable("Razorpay does not know our keys (401).")
    if answer is None or not 400 <= status < 500 or status == 408:
        return lost(is_read, f"Razorpay answered {status}.")
    error = answer.get("error")
    fields = error if isinstance(error, Mapping) else {"description": error}
    refusal = GatewayRefused(
        status=status,
        code=_said(fields, "code"),
        reason=_said(fields, "reason"),
        description=_said(fields, "description"),
    )
    if refusal.code in _STUMBLED or (status == 409 and not _says_other_body(refusal)):
        return lost(is_read, f"Razorpay answered {status}: {refusal.description}")
    return refusal


def _says_other_body(refusal: GatewayRefused) -> bool:
    # 409 has two meanings. Still in progress: ask again. The idempotency key was used with
    # another body ("Different request with the same idempotency key …"): for good.
    return "different request" in refusal.description.lower()


def _said(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    # JSON can spell half a surrogate pair, which no protobuf takes.
    text = "" if value in (None, "NA") else str(value)[:_DESCRIPTION_LIMIT]
    return text.encode(errors="replace").decode()


def _json(response: requests.Response) -> Mapping[str, object] | None:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, Mapping) else None


def _never_sent(error: Exception) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(cause, NewConnectionError):
        return True
    # A certificate is judged before the first byte of a request goes out.
    details = getattr(cause, "args", ())
    return any(isinstance(detail, ssl.SSLCertVerificationError) for detail in details)
