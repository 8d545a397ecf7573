"""Serves the built dashboard at `/`, with the security headers that a payment page needs.

Beside each text that the build wrote stand its compressed siblings, `.br` and `.gz`. They go out in
its place to browsers that accept them, and have no address of their own.

Must never answer 200 for a page that does not exist: only ROUTES are pages.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bridge.door.reply import refuse

DIST = Path(__file__).parents[1] / "dashboard" / "dist"
HINT = "The dashboard is not built. `make run` builds it; the API is at /api/v1/.\n"
# The pages of the dashboard's router (bridge/dashboard/src/pages/Rooms.tsx).
ROUTES = ("", "new", "settings", "escrows/:id", "operator", "operator/:room")
ROBOTS = "User-agent: *\nDisallow: /\n"
# Vite names every file in this folder by a hash of its content.
_HASHED = "assets"
_COMPRESSED = (".br", ".gz")
_REFUSES = re.compile(r"(br|gzip|\*)\s*;\s*q=0(\.0*)?\s*(,|$)")
_YEAR_S = 365 * 24 * 3600
_PAGE = re.compile("|".join(re.sub(":[a-z]+", "[^/]+", route) for route in ROUTES))
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_RAZORPAY_CALLS = (
    " https://api.razorpay.com https://checkout.razorpay.com https://lumberjack.razorpay.com"
)


class Pages:
    """GET of every path that is not under /api/: a file, or index.html, which routes the rest."""

    def __init__(self, *, pay_url: str | None, dist: Path = DIST) -> None:
        self._dist = dist.resolve()
        self._pay_url = pay_url

    def add_to(self, app: web.Application) -> None:
        """Add the routes. After all others: they take what is left."""
        app.router.add_route("*", r"/api{path:(/[\s\S]*)?}", _nothing)
        app.router.add_get("/robots.txt", _give_robots)
        app.router.add_get(r"/{path:[\s\S]*}", self.give)

    async def give(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        headers = self._headers(request.headers.get("Host", ""))
        file = self._find(path)
        if file is not None:
            hashed = file.parent == self._dist / _HASHED
            cache = f"public, max-age={_YEAR_S}, immutable" if hashed else "no-cache"
            headers |= {"Cache-Control": cache, "Vary": "Accept-Encoding"}
            if _REFUSES.search(request.headers.get("Accept-Encoding", "").lower()):
                return await _plain(file, headers)
            return web.FileResponse(file, headers=headers)
        if not path:
            return web.Response(text=HINT, headers=headers)
        if "text/html" not in request.headers.get("Accept", ""):
            return await _nothing(request)
        return self._missing(headers)

    def _find(self, path: str) -> Path | None:
        index = self._dist / "index.html"
        if _PAGE.fullmatch(path.removesuffix("/")):
            return index if index.is_file() else None
        if path.endswith(("/", *_COMPRESSED)):
            return None
        try:
            file = (self._dist / path).resolve()
            return file if file.is_relative_to(self._dist) and file.is_file() else None
        except (ValueError, OSError):
            # The name has a zero byte, or is too long.
            return None

    def _missing(self, headers: dict[str, str]) -> web.Response:
        """Answer 404 with the dashboard, which has a page for this, or with the hint."""
        index = self._dist / "index.html"
        headers = {**headers, "Cache-Control": "no-cache"}
        if not index.is_file():
            return web.Response(text=HINT, status=404, headers=headers)
        page = index.read_text()
        return web.Response(text=page, content_type="text/html", status=404, headers=headers)

    def _headers(self, host: str) -> dict[str, str]:
        return {
            "Content-Security-Policy": _policy(self._pay_url, host),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        }


async def _nothing(_request: web.Request) -> web.Response:
    return refuse(404, "NOT_FOUND", "PATH_UNKNOWN", "There is nothing at this path.")


async def _plain(file: Path, headers: dict[str, str]) -> web.Response:
    """Answer with the file itself: aiohttp sends a sibling also to who refuses it with `q=0`."""
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    body = await asyncio.to_thread(file.read_bytes)
    return web.Response(body=body, headers={**headers, "Content-Type": kind})


async def _give_robots(_request: web.Request) -> web.Response:
    return web.Response(text=ROBOTS, headers={"Cache-Control": "public, max-age=3600"})


def _policy(pay_url: str | None, host: str) -> str:
    """Allow our own origin, Razorpay Checkout (script, frame, calls) and the sandbox's pages.

    Our own WebSocket is named as well, because not every browser counts it as 'self'. A picture of
    a dispute needs the token, so that the page fetches it and shows it from a `blob:`.
    """
    parts = urlsplit(pay_url or "")
    pay = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    own = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' https://checkout.razorpay.com",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob: https://*.razorpay.com",
            "font-src 'self' data:",
            f"frame-src https://checkout.razorpay.com https://api.razorpay.com{pay}",
            f"connect-src 'self'{own}{pay or _RAZORPAY_CALLS}",
            f"form-action 'self' https://api.razorpay.com{pay}",
            "base-uri 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
        )
    )
