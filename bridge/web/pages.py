"""The dashboard's built files at `/`, and the headers that a page with payments needs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bridge.web.reply import refuse

DIST = Path(__file__).parents[1] / "dashboard" / "dist"
HINT = "The dashboard is not built. `make run` builds it; the API is at /api/v1/.\n"
# Vite puts a hash of its content into the name of everything here.
_HASHED = "assets"
_YEAR_S = 365 * 24 * 3600


class Pages:
    """GET of everything that is not /api/: a file, or index.html for the pages within the page."""

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
            return refuse(404, "NOT_FOUND", "ROUTE_NOT_FOUND", "no such route")
        file = self._find(path)
        if file is None:
            return web.Response(text=HINT, status=404 if path else 200, headers=self._headers)
        hashed = file.parent == self._dist / _HASHED
        if path.startswith(_HASHED + "/") and not hashed:
            # An old page asks for what a new build has replaced: index.html would be no script.
            return web.Response(text="no such file\n", status=404, headers=self._headers)
        cache = f"public, max-age={_YEAR_S}, immutable" if hashed else "no-cache"
        return web.FileResponse(file, headers={**self._headers, "Cache-Control": cache})

    def _find(self, path: str) -> Path | None:
        index = self._dist / "index.html"
        try:
            file = (self._dist / path).resolve()
            if path and file.is_relative_to(self._dist) and file.is_file():
                return file
        except (ValueError, OSError):
            # A zero byte, or a name longer than a name can be.
            pass
        return index if index.is_file() else None


def _policy(pay_url: str | None) -> str:
    """Ours, Razorpay Checkout's (its script, its frame, its calls), and the sandbox's pay page."""
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
