"""Serves the built dashboard at `/`, with the security headers that a payment page needs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bridge.web.reply import refuse

DIST = Path(__file__).parents[1] / "dashboard" / "dist"
HINT = "The dashboard is not built. `make run` builds it; the API is at /api/v1/.\n"
# Vite names every file in this folder by a hash of its content.
_HASHED = "assets"
_YEAR_S = 365 * 24 * 3600


class Pages:
    """GET of every path that is not under /api/: a file, or index.html, which routes the rest."""

    def __init__(self, *, pay_url: str | None, dist: Path = DIST) -> None:
        self._dist = dist.resolve()
        self._headers = {
            "Content-Security-Policy": _policy(pay_url),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        }

    async def give(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if path == "api" or path.startswith("api/"):
            return refuse(404, "NOT_FOUND", "ROUTE_NOT_FOUND", "There is no such route.")
        file = self._find(path)
        if file is None:
            return web.Response(text=HINT, status=404 if path else 200, headers=self._headers)
        hashed = file.parent == self._dist / _HASHED
        if path.startswith(_HASHED + "/") and not hashed:
            # A page of an older build asks for a script that is gone: index.html is no answer.
            return web.Response(text="There is no such file.\n", status=404, headers=self._headers)
        cache = f"public, max-age={_YEAR_S}, immutable" if hashed else "no-cache"
        return web.FileResponse(file, headers={**self._headers, "Cache-Control": cache})

    def _find(self, path: str) -> Path | None:
        index = self._dist / "index.html"
        try:
            file = (self._dist / path).resolve()
            if path and file.is_relative_to(self._dist) and file.is_file():
                return file
        except (ValueError, OSError):
            # The name has a zero byte, or is too long.
            pass
        return index if index.is_file() else None


def _policy(pay_url: str | None) -> str:
    """Allow our own origin, Razorpay Checkout (script, frame, calls) and the sandbox's pages."""
    parts = urlsplit(pay_url or "")
    pay = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' https://checkout.razorpay.com",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: https://*.razorpay.com",
            "font-src 'self' data:",
            f"frame-src https://checkout.razorpay.com https://api.razorpay.com{pay}",
            "connect-src 'self' ws: wss: https://api.razorpay.com https://checkout.razorpay.com"
            f" https://lumberjack.razorpay.com{pay}",
            f"form-action 'self' https://api.razorpay.com{pay}",
            "base-uri 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        )
    )
