"""Razorpay's own API under /v1: authentication, lists, and the faults that were asked for."""

import asyncio
import base64
import binascii
import hmac
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from scripts.sandbox import check, order, payment, refund, transfer
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.faults import Faults
from scripts.sandbox.refusal import Refusal, error_body

MAX_PAGE = 100
# A page of the settlement recon may be longer.
MAX_RECON_PAGE = 1_000
DEFAULT_PAGE = 10
MAX_SKIP = 1_000_000
MAX_HELD_ANSWERS = 1_000
# How often to check whether the client of a withheld answer has disconnected.
_LOOK_EVERY_S = 0.05

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Api:
    """The routes under /v1."""

    def __init__(
        self, *, books: Books, faults: Faults, key_id: str, key_secret: str, rng: random.Random
    ) -> None:
        self._books = books
        self._faults = faults
        self._key = f"{key_id}:{key_secret}".encode()
        self._rng = rng
        self._held = 0
        self.closing = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """List the routes that the official package calls for payments and what follows them."""
        return [
            web.post("/v1/orders", self._create_order),
            web.get("/v1/orders", self._list_orders),
            web.get("/v1/orders/{id}", self._fetch("order")),
            web.patch("/v1/orders/{id}", self._edit_notes("order")),
            web.get("/v1/orders/{id}/payments", self._list_of("order", "payment")),
            web.get("/v1/payments", self._list("payment")),
            web.get("/v1/payments/{id}", self._fetch("payment")),
            web.patch("/v1/payments/{id}", self._edit_notes("payment")),
            web.post("/v1/payments/{id}/capture", self._capture),
            web.post("/v1/payments/{id}/refund", self._refund),
            web.get("/v1/payments/{id}/refunds", self._list_of("payment", "refund")),
            web.get("/v1/payments/{payment}/refunds/{id}", self._fetch("refund")),
            web.post("/v1/payments/{id}/transfers", self._transfer),
            web.get("/v1/payments/{id}/transfers", self._list_of("payment", "transfer")),
            web.get("/v1/refunds", self._list("refund")),
            web.get("/v1/refunds/{id}", self._fetch("refund")),
            web.patch("/v1/refunds/{id}", self._edit_notes("refund")),
            web.get("/v1/transfers", self._list("transfer")),
            web.get("/v1/transfers/{id}", self._fetch("transfer")),
            web.patch("/v1/transfers/{id}", self._edit_transfer),
            web.post("/v1/transfers/{id}/reversals", self._reverse),
            web.get("/v1/transfers/{id}/reversals", self._list_of("transfer", "reversal")),
            web.get("/v1/disputes", self._list("dispute")),
            web.get("/v1/disputes/{id}", self._fetch("dispute")),
            web.get("/v1/settlements", self._list("settlement")),
            web.get("/v1/settlements/recon/combined", self._recon),
            web.get("/v1/settlements/{id}", self._fetch("settlement")),
        ]

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the key, then serve the call with the faults that are in force."""
        if not self._knows(request.headers.get("Authorization", "")):
            return web.json_response(error_body("Authentication failed"), status=401)
        plan = self._faults.plan.api
        await asyncio.sleep(plan.latency_s)
        if self._faults.strikes(plan.rate_limit):
            return self._stumble(429, "Too many requests")
        if self._faults.strikes(plan.error):
            return self._stumble(500, "We are facing some trouble completing your request")
        answer = await _answer(request, handler)
        is_write = request.method != "GET"
        if is_write and answer.status < 300 and self._faults.strikes(plan.timeout_after_success):
            await self._withhold(request, plan.timeout_hold_s)
        return answer

    def _knows(self, header: str) -> bool:
        scheme, _, coded = header.partition(" ")
        try:
            given = base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._key)

    def _stumble(self, status: int, description: str) -> web.Response:
        # Half of these answers are HTML, as from a proxy in front of Razorpay.
        if self._rng.random() < 0.5:
            page = _HTML.format(f"{status} {description}")
            return web.Response(status=status, text=page, content_type="text/html")
        code = "SERVER_ERROR" if status >= 500 else "BAD_REQUEST_ERROR"
        return web.json_response(error_body(description, code=code), status=status)

    async def _withhold(self, request: web.Request, hold_s: float) -> None:
        if self._held < MAX_HELD_ANSWERS:
            self._held += 1
            try:
                await self._hold(request, hold_s)
            finally:
                self._held -= 1
        if request.transport is not None:
            request.transport.abort()

    async def _hold(self, request: web.Request, hold_s: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + hold_s
        while loop.time() < end and not self.closing.is_set():
            if request.transport is None or request.transport.is_closing():
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _create_order(self, request: web.Request) -> web.Response:
        return web.json_response(order.create(self._books, await read_body(request)))

    async def _list_orders(self, request: web.Request) -> web.Response:
        receipt = request.query.get("receipt")
        if receipt is None:
            return _page(request, self._books.all("order"))
        found = self._books.order_of_receipt.get(receipt)
        return _page(request, [found] if found else [])

    async def _capture(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        currency = check.currency(body)
        amount = check.amount(body, currency=currency)
        taken = payment.capture(self._books, request.match_info["id"], amount, currency)
        return web.json_response(taken)

    async def _refund(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        key = request.headers.get("X-Refund-Idempotency")
        return web.json_response(refund.create(self._books, request.match_info["id"], body, key))

    async def _transfer(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        made = transfer.create(self._books, request.match_info["id"], body)
        return web.json_response(_collection(made))

    async def _edit_transfer(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return web.json_response(transfer.set_hold(self._books, request.match_info["id"], body))

    async def _reverse(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return web.json_response(transfer.reverse(self._books, request.match_info["id"], body))

    async def _recon(self, request: web.Request) -> web.Response:
        year = _whole(request, "year", 0, 2_000, 9_999)
        month = _whole(request, "month", 0, 1, 12)
        day = _whole(request, "day", 0, 1, 31) if "day" in request.query else None
        if not year or not month:
            raise Refusal("The year and month fields are required.", field="year")
        lines = self._books.statement.report(year, month, day)
        count = _whole(request, "count", DEFAULT_PAGE, 1, MAX_RECON_PAGE)
        skip = _whole(request, "skip", 0, 0, MAX_SKIP)
        return web.json_response(_collection(lines[skip : skip + count]))

    def _fetch(self, kind: str) -> Handler:
        async def fetch(request: web.Request) -> web.Response:
            return web.json_response(self._books.find(kind, request.match_info["id"]))

        return fetch

    def _list(self, kind: str) -> Handler:
        async def list_all(request: web.Request) -> web.Response:
            return _page(request, self._books.all(kind))

        return list_all

    def _list_of(self, parent: str, kind: str) -> Handler:
        async def list_children(request: web.Request) -> web.Response:
            found = self._books.find(parent, request.match_info["id"])
            return _page(request, self._books.of(kind, found["id"]))

        return list_children

    def _edit_notes(self, kind: str) -> Handler:
        async def edit(request: web.Request) -> web.Response:
            entity = self._books.find(kind, request.match_info["id"])
            entity["notes"] = check.notes(await read_body(request))
            return web.json_response(entity)

        return edit


async def read_body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; an empty body counts as an empty object."""
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal("The request body must be a JSON object")
    return body


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.body, status=refusal.status)
    except web.HTTPNotFound:
        body = error_body("The requested URL was not found on the server.")
        return web.json_response(body, status=404)
    except web.HTTPMethodNotAllowed as error:
        body = error_body("The HTTP method is not allowed for this URL.")
        return web.json_response(body, status=405, headers={"Allow": error.headers["Allow"]})
    except web.HTTPRequestEntityTooLarge:
        return web.json_response(error_body("The request body is too large."), status=413)


def _page(request: web.Request, entities: list[Entity]) -> web.Response:
    count = _whole(request, "count", DEFAULT_PAGE, 1, MAX_PAGE)
    skip = _whole(request, "skip", 0, 0, MAX_SKIP)
    since = _whole(request, "from", 0, 0, 2**53)
    until = _whole(request, "to", 2**53, 0, 2**53)
    newest_first = [e for e in reversed(entities) if since <= e["created_at"] <= until]
    return web.json_response(_collection(newest_first[skip : skip + count]))


def _collection(entities: list[Entity]) -> dict[str, Any]:
    return {"entity": "collection", "count": len(entities), "items": entities}


def _whole(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not low <= int(text[:20]) <= high:
        raise Refusal(f"The {name} must be between {low} and {high}.", field=name)
    return int(text)
