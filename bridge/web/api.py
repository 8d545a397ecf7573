"""The JSON API: every annotated RPC of core under /api/v1, and the settings that a page needs.

No route is written by hand: transcode reads them from the proto. Must never decide who may do what.
It checks that the caller's token is valid and passes it on to core, which decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from escrow.v1 import (
    admin_service_pb2,
    attachment_service_pb2,
    escrow_service_pb2,
    feed_service_pb2,
    ledger_service_pb2,
    payment_service_pb2,
    profile_service_pb2,
    webhook_service_pb2,
)
from google.protobuf.message import Message

from bridge.door.body import Bodies
from bridge.door.reply import refuse
from bridge.limits import Limits
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError
from bridge.web.caller import answered, of_unknown_outcome
from bridge.web.large import LargeBodies
from bridge.web.openapi import document
from bridge.web.slot import Slots
from bridge.web.transcode import BadInput, Route, matching, rendered, routes_of
from holdfast.loopback import is_loopback
from holdfast.tokens import Identity, Verifier

PREFIX = "/api/v1"
# Bytes in the body of a call.
BODY_LIMIT_BYTES = 1024 * 1024
# Longer bodies are transcoded one after another.
LARGE_BODY_BYTES = 8 * 1024
# Fields in the query of a call.
QUERY_FIELDS = 100
# How long core may take for a call: StartPayment and ConfirmPayment ask Razorpay before they
# answer.
CALL_LIMIT_S = 15.0
# How long a call waits for a connection to core.
CORE_WAIT_S = 5.0
ROUTES = routes_of(
    escrow_service_pb2.DESCRIPTOR.services_by_name["EscrowService"],
    payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"],
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
    feed_service_pb2.DESCRIPTOR.services_by_name["FeedService"],
    webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
    attachment_service_pb2.DESCRIPTOR.services_by_name["AttachmentService"],
    profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"],
)


class Api:
    """Serves ROUTES. `core_of` and `verifier_of` find what the app makes after its routes."""

    def __init__(
        self,
        core_of: Callable[[web.Request], Core],
        verifier_of: Callable[[web.Request], Verifier],
        bodies: Bodies,
        limits: Limits,
        *,
        demo_login: bool,
        pay_url: str | None,
    ) -> None:
        self._core_of = core_of
        self._verifier_of = verifier_of
        self._bodies = bodies
        self._body_s = limits.body_s
        self._slots = Slots(limits.calls, limits.calls_per_user)
        self._large = LargeBodies(limits)
        self._config = _json(_page_config(demo_login, pay_url))

    def add_to(self, app: web.Application) -> None:
        """Add the routes, after all others under PREFIX: the last one takes what is left there."""
        app.router.add_get(f"{PREFIX}/config", self._give_config)
        app.router.add_get(f"{PREFIX}/openapi.json", self._give_openapi)
        app.router.add_route("*", PREFIX + r"{path:(/[\s\S]*)?}", self.serve)

    async def _give_config(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._config, content_type="application/json")

    async def _give_openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=_openapi(), content_type="application/json")

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one call: with core's answer, or with an error in our JSON form."""
        routes = matching(ROUTES, request.rel_url.raw_path)
        method = "GET" if request.method == "HEAD" else request.method
        route = next((route for route in routes if route.method == method), None)
        if route is None:
            return await _no_route(request, {route.method for route in routes})
        return await answered(
            request, self._verifier_of(request), lambda who: self._call(route, request, who)
        )

    async def _call(self, route: Route, request: web.Request, who: Identity) -> web.Response:
        body = await self._body(request, who.user_id) if route.body else b""
        message = await self._message(route, request, body, who.user_id)
        with self._slots.taken(who.user_id):
            return await self._ask(route, message, self._core_of(request), who.token)

    async def _message(
        self, route: Route, request: web.Request, body: bytes, user_id: str
    ) -> Message:
        key = request.headers.get("Idempotency-Key")
        build = partial(route.message, request.rel_url.raw_path, _query(request), body, key)
        if len(body) <= LARGE_BODY_BYTES:
            return build()
        return await self._large.in_turn(user_id, build)

    async def _body(self, request: web.Request, user_id: str) -> bytes:
        return await self._bodies.read(
            request, most=BODY_LIMIT_BYTES, within_s=self._body_s, user_id=user_id
        )

    async def _ask(self, route: Route, message: Message, core: Core, token: str) -> web.Response:
        await core.wait(CORE_WAIT_S)
        is_read = route.method == "GET"
        try:
            answer = await core.unary(
                route.rpc_path,
                message,
                route.reply,
                token=token,
                timeout_s=CALL_LIMIT_S,
                repeatable=is_read or bool(getattr(message, "request_id", "")),
            )
        except CoreError as error:
            raise (error if is_read else of_unknown_outcome(error)) from None
        return web.Response(body=rendered(answer), content_type="application/json")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def _openapi() -> bytes:
    return _json(document(ROUTES))


def _page_config(demo_login: bool, pay_url: str | None) -> dict[str, object]:
    config: dict[str, object] = {"demo_login": demo_login}
    if pay_url is not None and is_loopback(urlsplit(pay_url).hostname or ""):
        config["sandbox_url"] = pay_url.rstrip("/")
    return config


def _query(request: web.Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            request.rel_url.raw_query_string,
            keep_blank_values=True,
            strict_parsing=bool(request.rel_url.raw_query_string),
            errors="strict",
            max_num_fields=QUERY_FIELDS,
        )
    except ValueError as error:
        raise BadInput("", f"The query cannot be parsed: {error}.") from None


async def _no_route(request: web.Request, methods: set[str]) -> web.Response:
    # aiohttp routes the endpoints that are not RPCs, and knows which methods they take.
    for resource in request.app.router.resources():
        if resource.canonical.startswith(PREFIX):
            methods |= (await resource.resolve(request))[1]
    allowed = sorted(methods - {"*"} | ({"HEAD"} if "GET" in methods else set()))
    if not allowed:
        return refuse(404, "NOT_FOUND", "PATH_UNKNOWN", f"There is nothing at {request.path}.")
    listed = ", ".join(allowed)
    message = f"{request.path} takes {listed}, not {request.method}."
    response = refuse(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED", message)
    response.headers["Allow"] = listed
    return response
