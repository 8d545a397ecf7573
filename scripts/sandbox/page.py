"""The payment page for people: one form without a script, and a redirect back to the shop."""

import html
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from scripts.sandbox import payment
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import THREE_DECIMALS, ZERO_DECIMALS
from scripts.sandbox.refusal import Refusal
from scripts.sandbox.typeface import PATH as TYPE_PATH
from scripts.sandbox.typeface import Typefaces
from scripts.sandbox.words import Words, words

MAX_RETURN_URL_LENGTH = 2_000
# What the shop says of the order: shown up to here.
MAX_SHOWN_LENGTH = 200
# How long the bank of a payment that is still being authorised takes to make up its mind.
LATE_S = 8.0
PENDING = "pending"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; font-src 'self'; img-src data:;"
        " base-uri 'none'"
    )
}
_TYPE = Typefaces()
_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_ORDER = Template("""<h1>$title</h1>
$payee
<p class="amount">$amount</p>
$action""")
_FORM = Template("""<form method="post">
<input type="hidden" name="return_url" value="$return_url">
<button class="pay" name="outcome" value="captured">$pay</button>
<h2>$else</h2>
<button name="outcome" value="failed">$fail<small>$fail_means</small></button>
<button name="outcome" value="pending">$late<small>$late_means</small></button>
<button name="outcome" value="authorized">$authorise<small>$authorise_means</small></button>
</form>""")
_DETAILS = Template("""<dl><dt>$order_word</dt><dd>$order</dd>\
<dt>$receipt_word</dt><dd>$receipt</dd></dl>""")


class Page:
    """The routes of the payment page.

    `checkout` makes what Checkout would return; `later` calls a function after so many seconds.
    """

    def __init__(
        self,
        *,
        books: Books,
        checkout: Callable[[Entity], dict[str, str]],
        later: Callable[[Callable[[], None], float], None],
    ) -> None:
        self._books = books
        self._checkout = checkout
        self._later = later

    def routes(self) -> list[web.RouteDef]:
        """List the page, its type and its form."""
        return [
            web.get(TYPE_PATH, _TYPE.serve),
            web.get("/sandbox/checkout/{id}", self._show),
            web.post("/sandbox/checkout/{id}", self._act),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        said = _language(request)
        return_url = ""
        try:
            return_url = _return_url(request.query.get("return_url", ""))
            order = self._order(said, request.match_info["id"])
        except Refusal as refusal:
            return _sorry(said, refusal, return_url)
        title = _about(request, order, "title")
        payee = _about(request, order, "payee")
        content = _ORDER.substitute(
            title=html.escape(title or said["payment"]),
            payee=_payee(said, payee) if payee else "",
            amount=html.escape(_price(order["amount"], order["currency"])),
            action=self._action(said, order, return_url),
        )
        details = _DETAILS.substitute(
            order_word=said["order"],
            order=html.escape(order["id"]),
            receipt_word=said["receipt"],
            receipt=html.escape(order["receipt"] or said["no_receipt"]),
        )
        return _answer(said, said["title"], content, details=details)

    def _action(self, said: Words, order: Entity, return_url: str) -> str:
        back = _back(said["back"], return_url)
        if order["status"] == "paid":
            return f'<p role="status">{said["is_paid"]}</p>{back}'
        if any(one["status"] == "authorized" for one in self._books.of("payment", order["id"])):
            return f'<p role="status">{said["is_authorised"]}</p>{back}'
        amount = _price(order["amount"], order["currency"])
        form = _FORM.substitute(
            said,
            return_url=html.escape(return_url),
            pay=html.escape(said["pay"].format(amount=amount)),
            late_means=said["late_means"].format(late_s=LATE_S),
        )
        return form + _back(said["leave"], return_url)

    async def _act(self, request: web.Request) -> web.Response:
        said = _language(request)
        form = await request.post()
        return_url = ""
        try:
            return_url = _return_url(str(form.get("return_url", "")))
            outcome = str(form.get("outcome"))
            if outcome not in (*payment.OUTCOMES, PENDING):
                raise Refusal("The outcome must be captured, failed, pending or authorized.")
            self._order(said, request.match_info["id"])
            paid, told = self._pay(request.match_info["id"], outcome)
        except Refusal as refusal:
            return _sorry(said, refusal, return_url)
        if return_url:
            return web.Response(status=303, headers={"Location": _with(return_url, told)})
        became = said[PENDING if outcome == PENDING else paid["status"]]
        done = f'<h1>{said["done"]}</h1><p role="status">{became}</p>'
        return _answer(said, said["done"], done)

    def _order(self, said: Words, order_id: str) -> Entity:
        try:
            return self._books.find("order", order_id)
        except Refusal as refusal:
            raise Refusal(said["forgotten"], status=refusal.status) from refusal

    def _pay(self, order_id: str, outcome: str) -> tuple[Entity, dict[str, str]]:
        """Pay, and answer the payment and what Checkout would tell the shop of it."""
        if outcome != PENDING:
            paid = payment.pay(self._books, order_id, outcome)
            failed = paid["status"] == "failed"
            return paid, {"razorpay_error": "payment_failed"} if failed else self._checkout(paid)
        # As with Razorpay, it counts as failed until the bank authorises it late.
        paid = payment.pay(self._books, order_id, "failed")
        self._later(lambda: self._decide_late(paid["id"]), LATE_S)
        return paid, {}

    def _decide_late(self, payment_id: str) -> None:
        # Whoever let it be authorised by hand meanwhile was faster.
        with suppress(Refusal):
            payment.authorize_late(self._books, payment_id, then_capture=True)


def _answer(
    said: Words, title: str, content: str, status: int = 200, details: str = ""
) -> web.Response:
    frame = {name: said[name] for name in ("language", "note", "brand")}
    page = _PAGE.substitute(
        frame, title=title, faces=_TYPE.style(), content=content, details=details
    )
    return web.Response(text=page, status=status, content_type="text/html", headers=_HEADERS)


def _language(request: web.Request) -> Words:
    """What the shop says, or else the browser."""
    return words(request.query.get("language", "") or request.headers.get("Accept-Language", ""))


def _about(request: web.Request, order: Entity, name: str) -> str:
    """What the order's notes say, or else the shop in the address."""
    notes = order["notes"] or {}
    told = str(notes.get(name) or request.query.get(name, "")).strip()
    return told if len(told) <= MAX_SHOWN_LENGTH else told[:MAX_SHOWN_LENGTH] + "…"


def _payee(said: Words, payee: str) -> str:
    return f'<p class="payee">{html.escape(said["payee"].format(payee=payee))}</p>'


def _back(label: str, return_url: str) -> str:
    return f'<a class="back" href="{html.escape(return_url)}">{label}</a>' if return_url else ""


def _sorry(said: Words, refusal: Refusal, return_url: str) -> web.Response:
    content = f'<h1>{said["refused"]}</h1><p role="alert">{html.escape(str(refusal))}</p>'
    back = _back(said["back"], return_url)
    return _answer(said, said["refused"], content + back, refusal.status)


def _return_url(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    printable = text.isprintable() and len(text) <= MAX_RETURN_URL_LENGTH
    if parts.scheme not in ("http", "https") or not parts.netloc or not printable:
        raise Refusal("The return_url must be an http or https address.", field="return_url")
    return text


def _with(url: str, more: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *more.items()])
    return urlunsplit(parts._replace(query=query))


def _price(amount_minor: int, currency: str) -> str:
    exponent = 0 if currency in ZERO_DECIMALS else 3 if currency in THREE_DECIMALS else 2
    whole, part = divmod(amount_minor, 10**exponent)
    decimals = f".{part:0{exponent}d}" if exponent and (part or currency != "INR") else ""
    if currency == "INR":
        return f"₹{_in_lakhs(whole)}{decimals}"
    return f"{currency} {whole:,}{decimals}"


def _in_lakhs(whole: int) -> str:
    """Group as India writes: the last three digits, and then two at a time."""
    head, tail = divmod(whole, 1000)
    if not head:
        return str(tail)
    pairs = re.sub(r"(?<=\d)(?=(\d\d)+$)", ",", str(head))
    return f"{pairs},{tail:03d}"
