"""Refusals over HTTP, in the one shape of CONTRACT.md section 6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web


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
