"""Refusals over HTTP, in the one shape of CONTRACT.md section 6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

# No answer of ours may be kept by anybody on its way, nor taken for something else than it is.
_MARKS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_JSON = "application/json"

# What a refusal says in headers must survive its new shape, and whom CORS lets read it.
_KEPT = ("Allow", "Retry-After", "Upgrade", "Vary", "WWW-Authenticate", "Content-Range")


def refuse(
    status: int, code: str, reason: str, message: str, fields: Iterable[tuple[str, str]] = ()
) -> web.Response:
    """Answer `{"error":{"code","reason","message"}}`; `code` is a name of google.rpc.Code.

    `fields` are the ones that are wrong, each with what is: they come as `"fields"` where some are.
    """
    error: dict[str, Any] = {"code": code, "reason": reason, "message": message}
    wrong = [{"field": field, "message": problem} for field, problem in fields]
    if wrong:
        error["fields"] = wrong
    return web.json_response({"error": error}, status=status)


def shaped(error: web.HTTPException) -> web.Response:
    """Turn a refusal of aiohttp's own into one of ours, with the headers that say more."""
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
        text = "The only expectation that can be met is 100-continue."
        return refuse(417, "INVALID_ARGUMENT", "EXPECTATION_FAILED", text)
    return refuse(error.status, "FAILED_PRECONDITION", "REFUSED", error.reason)


def mark(response: web.StreamResponse) -> None:
    """Say of a JSON answer that nobody keeps it, and that it is nothing else."""
    if response.content_type == _JSON:
        for name, value in _MARKS.items():
            response.headers.setdefault(name, value)


async def mark_json(_request: web.Request, response: web.StreamResponse) -> None:
    """Mark an answer before it is sent: for an app's `on_response_prepare`."""
    mark(response)
