"""The sandbox's own endpoints, under /sandbox: act as customer or bank, set faults, read the state.

They need no key, allow any origin, and have no API faults. `scripts.sandbox` documents them. They
are called the *door*, because through them people and tests get at what Razorpay keeps inside.
"""

import datetime as dt
import hashlib
import hmac

from aiohttp import web

from scripts.sandbox import check, dispute, payment, transfer
from scripts.sandbox.api import Handler, read_body
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import Body
from scripts.sandbox.faults import Faults, parse_plan
from scripts.sandbox.refusal import Refusal, error_body

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "600",
}


class Door:
    """The routes under /sandbox, except the payment page."""

    def __init__(self, *, books: Books, faults: Faults, key_secret: str) -> None:
        self._books = books
        self._faults = faults
        self._key_secret = key_secret.encode()

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/sandbox/orders/{id}/pay", self._pay),
            web.post("/sandbox/payments/{id}/authorize", self._authorize),
            web.post("/sandbox/payments/{id}/dispute", self._dispute),
            web.put("/sandbox/accounts/{id}", self._account),
            web.post("/sandbox/settle", self._settle),
            web.get("/sandbox/recon", self._recon),
            web.post("/sandbox/recon/plant", self._plant),
            web.get("/sandbox/balance", self._balance),
            web.get("/sandbox/state", self._state),
            web.get("/sandbox/faults", self._show_faults),
            web.put("/sandbox/faults", self._set_faults),
        ]

    def checkout(self, paid: Entity) -> dict[str, str]:
        """Make what Checkout returns to the page that opened it."""
        message = f"{paid['order_id']}|{paid['id']}".encode()
        return {
            "razorpay_order_id": paid["order_id"],
            "razorpay_payment_id": paid["id"],
            "razorpay_signature": hmac.new(self._key_secret, message, hashlib.sha256).hexdigest(),
        }

    async def _pay(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        currency = check.currency(body) if "currency" in body else None
        paid = payment.pay(
            self._books,
            request.match_info["id"],
            _choice(body, "outcome", payment.OUTCOMES),
            amount=check.amount(body, currency=currency or "INR") if "amount" in body else None,
            currency=currency,
            force=check.flag(body, "force", default=False),
            customer_fee=_minor(body, "customer_fee"),
            discount=_minor(body, "discount"),
        )
        return web.json_response(self.checkout(paid))

    async def _authorize(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        then_capture = check.flag(body, "capture", default=False)
        late = payment.authorize_late(
            self._books, request.match_info["id"], then_capture=then_capture
        )
        return web.json_response(late)

    async def _dispute(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        moved = dispute.advance(
            self._books,
            request.match_info["id"],
            _choice(body, "event", tuple(dispute.STATUS_AFTER)),
            amount=check.amount(body) if "amount" in body else None,
            deduct_at_onset=check.flag(body, "deduct_at_onset", default=False),
        )
        return web.json_response(moved)

    async def _account(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return web.json_response(transfer.set_account(self._books, request.match_info["id"], body))

    async def _settle(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        day = _day(body["day"]) if "day" in body else None
        settlement = self._books.statement.settle(self._books, day)
        return web.json_response({"settlement": settlement})

    async def _recon(self, request: web.Request) -> web.Response:
        day = _day(request.query.get("day"))
        lines = self._books.statement.report(day.year, day.month, day.day)
        return web.json_response({"entity": "collection", "count": len(lines), "items": lines})

    async def _plant(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        return web.json_response(self._books.statement.plant(self._books, body))

    async def _balance(self, _: web.Request) -> web.Response:
        return web.json_response({"balance": self._books.statement.balance_minor})

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self._books.state())

    async def _show_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.show())

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.plan = parse_plan(await read_body(request))
        except ValueError as error:
            raise Refusal(str(error)) from error
        return web.json_response(self._faults.show())


async def open_to_all(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with CORS headers, and refusals in Razorpay's shape."""
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=_CORS)
    try:
        answer = await handler(request)
    except Refusal as refusal:
        answer = web.json_response(refusal.body, status=refusal.status)
    except web.HTTPNotFound:
        answer = web.json_response(error_body("The sandbox has no such endpoint."), status=404)
    answer.headers.update(_CORS)
    return answer


def _minor(body: Body, name: str) -> int:
    value = body.get(name, 0)
    if type(value) is not int or not 0 <= value <= check.MAX_AMOUNT_MINOR:
        raise Refusal(f"The {name} must be a whole number of minor units.", field=name)
    return value


def _day(value: object) -> dt.date:
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        raise Refusal("The day must be written as YYYY-MM-DD.", field="day") from None


def _choice(body: Body, name: str, known: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in known:
        raise Refusal(f"The {name} must be one of {', '.join(known)}.", field=name)
    return str(value)
