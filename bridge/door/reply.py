"""Error responses over HTTP, all in one form: `{"error": {"code", "reason", "message"}}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

# No cache may keep a JSON response, and no browser may guess another type for it.
_MARKS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_JSON = "application/json"

# The headers that a converted error keeps, beside those of CORS.
_KEPT = ("Allow", "Retry-After", "Upgrade", "Vary", "WWW-Authenticate", "Content-Range")


def refuse(
    status: int, code: str, reason: str, message: str, fields: Iterable[tuple[str, str]] = ()
) -> web.Response:
    """Answer `{"error":{"code","reason","message"}}`; `code` is a name of google.rpc.Code.

    `fields` are the fields that are wrong, each with its problem. They become `"fields"`, if any.
    """
    error: dict[str, Any] = {"code": code, "reason": reason, "message": message}
    wrong = [{"field": field, "message": problem} for field, problem in fields]
    if wrong:
        error["fields"] = wrong
    return web.json_response({"error": error}, status=status)


def shaped(error: web.HTTPException) -> web.Response:
    """Convert an error of aiohttp's to our form, with the headers that matter."""
    response = _in_our_words(error)
    for name, value in error.headers.items():
        if name in _KEPT or name.startswith("Access-Control-"):
            response.headers[name] = value
    mark(response)
    return response


def _in_our_words(error: web.HTTPException) -> web.Response:
    if error.status == 404:
        return refuse(404, "NOT_FOUND", "PATH_UNKNOWN", "There is nothing at this path.")
    if error.status == 405:
        text = "This path does not take that method."
        return refuse(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED", text)
    if error.status == 417:
        text = "The only expectation that is supported is 100-continue."
        return refuse(417, "INVALID_ARGUMENT", "EXPECTATION_FAILED", text)
    return refuse(error.status, "FAILED_PRECONDITION", "REFUSED", error.reason)


def mark(response: web.StreamResponse) -> None:
    """Set the headers of a JSON response."""
    if response.content_type == _JSON:
        for name, value in _MARKS.items():
            response.headers.setdefault(name, value)


async def mark_json(_request: web.Request, response: web.StreamResponse) -> None:
    """Mark a response before it is sent: for an app's `on_response_prepare`."""
    mark(response)
