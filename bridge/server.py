"""The bridge as an aiohttp app: the only composition root, and the only place for routes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from aiohttp import web
from escrow.v1.ledger_service_pb2 import GetLastCheckResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from bridge.browser.hub import Hub
from bridge.browser.outbox import Flusher
from bridge.browser.penalty import Penalties
from bridge.browser.session import Shared
from bridge.browser.wheel import Wheel
from bridge.config import Settings
from bridge.door.body import Bodies
from bridge.door.listener import Listener, bound
from bridge.door.reply import mark_json
from bridge.limits import Limits
from bridge.metrics import Metrics, books
from bridge.upstream import revoke
from bridge.upstream.core import Core
from bridge.upstream.endpoint import Tls
from bridge.upstream.error import CoreError
from bridge.upstream.follow import Follows
from bridge.upstream.standing import Standing
from bridge.upstream.stream import Encoder, Source
from bridge.upstream.watch import Watches
from bridge.web.api import Api
from bridge.web.attachment import Attachments
from bridge.web.demo import DemoLogin
from bridge.web.origin import Hosts, Origins, cors
from bridge.web.pages import Pages
from bridge.web.webhook import WebhookEndpoint
from bridge.workers import metrics as crew_metrics
from bridge.workers.post import Post
from holdfast.metrics import served, split, taken
from holdfast.tokens import Verifier

SETTINGS = web.AppKey("SETTINGS", Settings)
LIMITS = web.AppKey("LIMITS", Limits)
METRICS = web.AppKey("METRICS", Metrics)
ORIGINS = web.AppKey("ORIGINS", Origins)
BODIES = web.AppKey("BODIES", Bodies)
# Made when the app starts, because a channel belongs to the loop that runs.
CORE = web.AppKey("CORE", Core)
VERIFIER = web.AppKey("VERIFIER", Verifier)
STANDING = web.AppKey("STANDING", Standing)
HUB = web.AppKey("HUB", Hub)
WEBHOOKS = web.AppKey("WEBHOOKS", WebhookEndpoint)
POST: web.AppKey[Post | None] = web.AppKey("POST", Post)


def create_app(
    settings: Settings, limits: Limits | None = None, post: Post | None = None
) -> web.Application:
    """Wire the bridge. It connects to core by itself, and serves whether or not core is there.

    `post` is the place of this process if it is one of several workers.
    """
    limits = limits or Limits()
    origins = Origins(settings.allowed_origins)
    app = web.Application(middlewares=[cors(origins)])
    app[SETTINGS] = settings
    app[LIMITS] = limits
    app[METRICS] = Metrics()
    app[ORIGINS] = origins
    app[BODIES] = Bodies(limits)
    app[POST] = post
    app.cleanup_ctx.append(_open)
    app.on_shutdown.append(_close_sockets)
    app.on_response_prepare.append(mark_json)
    _add_routes(app)
    return app


def listener(app: web.Application, *, shutdown_s: float) -> Listener:
    """Make the listener for the app. `shutdown_s` is how long open requests may take at the end."""
    return Listener(app, app[LIMITS], app[METRICS], shutdown_s=shutdown_s)


async def bound_ports(settings: Settings) -> tuple[list[socket.socket], list[socket.socket]]:
    """Bind what workers serve: PORT, and METRICS_LISTEN if it is set.

    Raises OSError and metrics.PortTaken.
    """
    ports, address = await bound(settings.bridge_host, settings.port), settings.metrics_listen
    if address is None:
        return ports, []
    try:
        return ports, await bound(*split(address))
    except OSError as error:
        raise taken(address, error) from None


def _add_routes(app: web.Application) -> None:
    settings = app[SETTINGS]
    app.router.add_get("/healthz", _health)
    app.router.add_get("/readyz", _ready)
    if settings.metrics_listen is None:
        app.router.add_get("/metrics", _metrics)
    app.router.add_get("/api/v1/ws", _socket)
    app.router.add_post("/api/v1/webhooks/razorpay", _webhook)
    if settings.demo_login and settings.jwt_secret is not None:
        app.router.add_post("/api/v1/demo/token", _demo_login(app, settings.jwt_secret).give)
    Attachments(
        lambda request: request.app[CORE],
        lambda request: request.app[VERIFIER],
        app[BODIES],
        app[LIMITS],
    ).add_to(app)
    api = Api(
        lambda request: request.app[CORE],
        lambda request: request.app[VERIFIER],
        app[BODIES],
        app[LIMITS],
        demo_login=settings.demo_login,
        pay_url=settings.razorpay_base_url,
    )
    api.add_to(app)
    Pages(pay_url=settings.razorpay_base_url).add_to(app)


def _demo_login(app: web.Application, secret: SecretStr) -> DemoLogin:
    settings = app[SETTINGS]
    return DemoLogin(
        secret.get_secret_value(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        origins=app[ORIGINS],
        hosts=Hosts(settings.bridge_host, settings.allowed_origins),
        bodies=app[BODIES],
        limits=app[LIMITS],
    )


async def _open(app: web.Application) -> AsyncIterator[None]:
    settings, limits, metrics = app[SETTINGS], app[LIMITS], app[METRICS]
    core = app[CORE] = Core(
        settings.core_address, settings.bridge_token.get_secret_value(), limits, _tls(settings)
    )
    probe = Core(
        settings.core_address, settings.bridge_token.get_secret_value(), limits, _tls(settings)
    )
    verifier = app[VERIFIER] = verifier_of(settings)
    standing = app[STANDING] = Standing(
        core, probe, settings.bridge_token.get_secret_value(), verifier, limits
    )
    source = Source(core, limits, metrics, Encoder(limits.encoded_events))
    watches = Watches(source, limits.watches)
    follows = Follows(source, limits.follows)
    metrics.watches.set_function(watches.count)
    metrics.follows.set_function(follows.count)
    flusher = Flusher(limits)
    metrics.count_frames(lambda: flusher.frames_sent)
    metrics.core_connected.set_function(lambda: core.connected)
    penalties = Penalties(limits.flood_wait_s, asyncio.get_running_loop().time)
    wheel = Wheel(limits)
    shared = Shared(
        watches, follows, verifier, flusher, wheel, penalties, standing, limits, metrics
    )
    hub = app[HUB] = Hub(shared, app[ORIGINS].admits, query_token=settings.allow_query_token)
    app[WEBHOOKS] = WebhookEndpoint(core, app[BODIES], limits, metrics)
    metrics.token_left_s.set_function(lambda: standing.token_left_s)
    metrics.ready.set_function(lambda: float(not standing.problem))
    verifier.revocations.listeners.append(hub.revoke)
    looking = asyncio.gather(standing.run(), revoke.hear(probe, verifier.revocations, limits))
    async with (
        crew_metrics.told(app[POST], app[METRICS].render_own),
        _metrics_served(app),
    ):
        yield
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await hub.close()
    await watches.close()
    await follows.close()
    await verifier.close()
    await core.close()
    await probe.close()


async def _close_sockets(app: web.Application) -> None:
    # Before aiohttp cuts the connections. Does nothing if `__main__` has drained already.
    await app[HUB].drain(notice_s=0)


def verifier_of(settings: Settings) -> Verifier:
    """Make the token verifier, by the settings."""
    secret = settings.jwt_secret
    return Verifier(
        secret=None if secret is None else secret.get_secret_value(),
        jwks_url=settings.jwt_jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


def _tls(settings: Settings) -> Tls | None:
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    client = settings.grpc_tls_client_ca is not None
    return Tls(settings.grpc_tls_cert, settings.grpc_tls_key, client)


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _ready(request: web.Request) -> web.Response:
    if request.app[HUB].draining:
        return web.json_response({"status": "draining"}, status=503)
    if not await request.app[CORE].serving():
        return web.json_response({"status": "core is away"}, status=503)
    problem = request.app[STANDING].problem
    if problem:
        return web.json_response({"status": problem}, status=503)
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    body = await _rendered(request.app)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _metrics_served(app: web.Application) -> AbstractAsyncContextManager[int]:
    post, address = app[POST], app[SETTINGS].metrics_listen
    at = address if post is None or not post.metrics else post.metrics[0]
    return served(at, lambda: _rendered(app))


async def _rendered(app: web.Application) -> bytes:
    post, metrics = app[POST], app[METRICS]
    own = metrics.render_own() if post is None else await crew_metrics.merged(post)
    return own + books(await _last_check(app[CORE]))


async def _last_check(core: Core) -> GetLastCheckResponse | None:
    try:
        return await core.last_check() if core.connected else None
    except CoreError:
        return None


async def _socket(request: web.Request) -> web.StreamResponse:
    return await request.app[HUB].serve(request)


async def _webhook(request: web.Request) -> web.Response:
    return await request.app[WEBHOOKS].take(request)
