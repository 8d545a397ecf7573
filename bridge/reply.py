"""Refusals over HTTP, in the one shape of CONTRACT.md section 6."""

from __future__ import annotations

from aiohttp import web


def refuse(status: int, code: str, reason: str, message: str) -> web.Response:
    """Answer `{"error":{"code","reason","message"}}`; `code` is a name of google.rpc.Code."""
    return web.json_response(
        {"error": {"code": code, "reason": reason, "message": message}}, status=status
    )
