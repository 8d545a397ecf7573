"""Which web pages may call this bridge: its own, and those of ALLOWED_ORIGINS.

A request without an Origin header does not come from a web page and passes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from holdfast.log import Sparing
from holdfast.loopback import is_loopback

# How long a browser may remember the answer to a preflight.
CORS_MAX_AGE_S = 600
_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS = "Authorization, Content-Type, Idempotency-Key"
_log = Sparing("bridge.web.origin")


class Origins:
    """Decides by the Origin header."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(allowed)

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether the request comes from no page, from our own or from an allowed one."""
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        if origin.lower() in self._allowed or _host(origin) == request.host.lower():
            return True
        # Both values are logged: behind a proxy that changes Host, our own pages look foreign.
        host = request.headers.get("Host", "")
        _log.warning("a page of a foreign origin was refused", origin=origin, host=host)
        return False

    def lists(self, origin: str) -> bool:
        """Whether a page of this origin may read our answers (CORS)."""
        return origin.lower() in self._allowed


class Hosts:
    """The names under which this machine may be called, checked against the Host header."""

    def __init__(self, bridge_host: str, allowed_origins: tuple[str, ...]) -> None:
        names = {urlsplit(origin).hostname for origin in allowed_origins}
        self._names = frozenset({*names, bridge_host.strip("[]").lower()} - _ANYWHERE)

    def names_us(self, request: web.BaseRequest) -> bool:
        """Whether it is a loopback name or address, ours, or that of an allowed origin."""
        try:
            name = urlsplit("//" + request.headers.get("Host", "")).hostname or ""
        except ValueError:
            return False
        return name in self._names or is_loopback(name)


# Values of BRIDGE_HOST that are not names of the machine.
_ANYWHERE = frozenset({None, "", "0.0.0.0", "::"})  # noqa: S104


def _host(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    return parts.netloc.lower() or None


def cors(origins: Origins) -> web.middlewares.Middleware:  # type: ignore[name-defined]
    """Make the middleware that answers preflights and marks answers under /api/ as readable."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or not request.path.startswith("/api/") or not origins.lists(origin):
            return await handler(request)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = str(CORS_MAX_AGE_S)
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                _mark(error, origin)
                raise
        if not response.prepared:
            _mark(response, origin)
        return response

    return middleware


def _mark(response: web.StreamResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    response.headers["Vary"] = "Origin"
