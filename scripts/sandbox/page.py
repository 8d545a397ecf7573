"""The payment page for people: one form without a script, and a redirect back to the shop."""

import html
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from scripts.sandbox import payment
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.check import THREE_DECIMALS, ZERO_DECIMALS
from scripts.sandbox.refusal import Refusal

MAX_RETURN_URL_LENGTH = 2_000
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ margin: 0 auto; max-width: 26rem; padding: 1.5rem; }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
.amount {{ font-size: 2rem; font-weight: 600; margin: 0; }}
form {{ display: grid; gap: .75rem; margin-top: 1.5rem; }}
button {{ font: inherit; padding: .75rem; cursor: pointer; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_ORDER = """<p>This is the Razorpay sandbox: no money moves.</p>
<p class="amount">{amount}</p>
<dl><dt>Order</dt><dd>{order}</dd><dt>Receipt</dt><dd>{receipt}</dd>
<dt>Status</dt><dd>{status}</dd></dl>
<form method="post">
<input type="hidden" name="return_url" value="{return_url}">
<button name="outcome" value="captured">Pay {amount}</button>
<button name="outcome" value="failed">Let the payment fail</button>
<button name="outcome" value="authorized">Authorize only</button>
</form>"""


class Page:
    """The routes of the payment page. `checkout` makes what Checkout would return."""

    def __init__(self, *, books: Books, checkout: Callable[[Entity], dict[str, str]]) -> None:
        self._books = books
        self._checkout = checkout

    def routes(self) -> list[web.RouteDef]:
        """List the page and its form."""
        return [
            web.get("/sandbox/checkout/{id}", self._show),
            web.post("/sandbox/checkout/{id}", self._act),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        try:
            order = self._books.find("order", request.match_info["id"])
            return_url = _return_url(request.query.get("return_url", ""))
        except Refusal as refusal:
            return _sorry(refusal, "")
        content = _ORDER.format(
            amount=html.escape(_price(order["amount"], order["currency"])),
            order=html.escape(order["id"]),
            receipt=html.escape(order["receipt"] or "none"),
            status=html.escape(order["status"]),
            return_url=html.escape(return_url),
        )
        return _answer("Pay in the sandbox", content)

    async def _act(self, request: web.Request) -> web.Response:
        form = await request.post()
        return_url = ""
        try:
            return_url = _return_url(str(form.get("return_url", "")))
            outcome = str(form.get("outcome"))
            if outcome not in payment.OUTCOMES:
                raise Refusal("The outcome must be captured, failed or authorized.")
            paid = payment.pay(self._books, request.match_info["id"], outcome)
        except Refusal as refusal:
            return _sorry(refusal, return_url)
        told = self._checkout(paid)
        if paid["status"] == "failed":
            told = {"razorpay_error": "payment_failed"}
        if return_url:
            return web.Response(status=303, headers={"Location": _with(return_url, told)})
        return _answer(
            "Done", f'<p role="status">The payment is {html.escape(paid["status"])}.</p>'
        )


def _answer(title: str, content: str, status: int = 200) -> web.Response:
    page = _PAGE.format(title=html.escape(title), content=content)
    return web.Response(text=page, status=status, content_type="text/html", headers=_HEADERS)


def _sorry(refusal: Refusal, return_url: str) -> web.Response:
    content = f'<p role="alert">{html.escape(str(refusal))}</p>'
    if return_url:
        content += f'<p><a href="{html.escape(return_url)}">Go back</a></p>'
    return _answer("This cannot be paid", content, refusal.status)


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
    return f"{currency} {whole:,}" + (f".{part:0{exponent}d}" if exponent else "")
