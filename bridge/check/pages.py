"""Checks plain HTTP: does the bridge answer, and does the proxy pass on what it needs?"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from bridge.check.address import Address
from bridge.check.report import Report, Stop

# How long a response may take.
ANSWER_S = 10.0
# Bytes of the webhook that is tried: a little less than the largest that the bridge takes.
WEBHOOK_BYTES = 1_000_000
# A fake token, which is easy to find wherever a response repeats it.
CANARY = "eyJhbGciOiJub25lIn0.e30.holdfast-check-canary"
_CAREFUL = ("no-referrer", "origin", "same-origin", "strict-origin")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `error` is the `reason` of the bridge's error, or empty."""

    status: int
    headers: dict[str, str]
    body: str
    took_s: float

    @property
    def told(self) -> dict[str, Any]:
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def error(self) -> str:
        error = self.told.get("error")
        return str(error.get("reason", "")) if isinstance(error, dict) else ""

    @property
    def where(self) -> str:
        """The address that it redirects to, or empty."""
        return self.headers.get("location", "") if self.status in _REDIRECTS else ""


class Pages:
    """Makes requests to one address, and reports the findings."""

    def __init__(self, http: aiohttp.ClientSession, address: Address, report: Report) -> None:
        self._http = http
        self._address = address
        self._report = report

    async def ask(self, method: str, path: str, origin: str = "", **more: Any) -> Answer:
        """Make one request. Raises Stop if there is no response."""
        url = (origin or self._address.origin) + path
        began = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with self._http.request(
                method, url, timeout=timeout, allow_redirects=False, **more
            ) as answer:
                body = await answer.text(errors="replace")
        except aiohttp.ClientConnectorCertificateError as error:
            why = f"the certificate is not good: {error.certificate_error}"
            raise Stop(why, is_wrong=True) from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            why = f"{url.partition('?')[0]} cannot be reached: {_name(error)}"
            raise Stop(why, is_wrong=False) from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, headers, body, time.monotonic() - began)

    async def alive(self) -> None:
        """Try `/healthz`. Raises Stop if the response is not a bridge's."""
        answer = await self.ask("GET", "/healthz")
        if answer.where:
            raise Stop(f"it redirects to {answer.where}: check that address", is_wrong=True)
        if answer.status != 200 or answer.told.get("status") != "alive":
            why = f"/healthz answers {answer.status}, and not as a Holdfast bridge does"
            raise Stop(f"{why}: are all paths passed on to the bridge?", is_wrong=True)
        self._report.good(f"the bridge answers ({answer.took_s * 1000:.0f} ms)")

    async def ready(self) -> None:
        answer = await self.ask("GET", "/readyz")
        if answer.status == 200:
            self._report.good("the bridge is ready")
            return
        status = answer.told.get("status", answer.status)
        self._report.wrong(
            f"the bridge is not ready: {status}", "See its log; this is no fault of the proxy."
        )

    async def page(self) -> None:
        """Check the dashboard's headers, which show the Host that the bridge saw."""
        answer = await self.ask("GET", "/")
        policy = answer.headers.get("content-security-policy", "")
        host = self._address.host
        if not policy:
            self._report.wrong(
                "the page comes without its Content-Security-Policy",
                "Have the proxy pass the bridge's headers on as they are.",
            )
        elif f" wss://{host} " in policy.replace(";", " ;"):
            self._report.good("the bridge sees the Host that a browser asks for")
        else:
            self._report.wrong(
                f"the bridge does not see the Host {host}: it will refuse its own pages",
                "Have the proxy pass it: `proxy_set_header Host $http_host;` in nginx.",
            )
        if answer.headers.get("referrer-policy", "").startswith(_CAREFUL):
            self._report.good("the page does not tell others its whole address")
        else:
            self._report.wrong(
                "the page may tell other sites its whole address, in Referer",
                "Have the proxy pass the bridge's Referrer-Policy on as it is.",
            )

    async def webhook(self) -> None:
        """Send an unsigned webhook of nearly the largest size."""
        body = b"x" * WEBHOOK_BYTES
        answer = await self.ask("POST", "/api/v1/webhooks/razorpay", data=body)
        if answer.error == "SIGNATURE_INVALID":
            self._report.good("webhooks of Razorpay reach the bridge")
        elif answer.status == 413:
            self._report.wrong(
                f"a webhook of {WEBHOOK_BYTES} bytes is refused on its way (413)",
                "Let bodies of 1 MiB through: `client_max_body_size 2m;` in nginx.",
            )
        else:
            self._report.wrong(
                f"a webhook does not reach the bridge: the answer is {answer.status}",
                "Pass POST /api/v1/webhooks/razorpay on, with its body and its headers.",
            )

    async def api(self, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await self.ask("GET", "/api/v1/escrows?page_size=1", headers=headers)
        if answer.status == 200:
            self._report.good("the JSON API answers")
        elif answer.error == "TOKEN_MISSING":
            self._report.wrong(
                "the header Authorization does not reach the bridge",
                "Have the proxy pass it on; a login of its own may have taken its place.",
            )
        else:
            self._report.wrong(
                f"the JSON API answers {answer.status} {answer.error}".rstrip(),
                "If the reason begins with TOKEN, give a valid token with --token.",
            )

    async def canary(self) -> None:
        """Check whether a response repeats a token of the URL."""
        path = f"/api/v1/ws?token={CANARY}"
        answer = await self.ask("GET", path)
        told = "\n".join((answer.body, *answer.headers.values()))
        if CANARY in told:
            self._report.wrong(
                "the answer repeats a token of the URL, where logs and other sites may see it",
                "Let nothing on the way redirect or rewrite /api/v1/ws.",
            )
        else:
            self._report.good("a token in a URL is not repeated")
        if self._address.scheme == "https":
            await self._open_canary(path)
        self._report.note(
            "a proxy's access log writes whole URLs: switch it off for /api/v1/ws, or set"
            " ALLOW_QUERY_TOKEN=0 on the bridge (the dashboard puts no token there)"
        )

    async def _open_canary(self, path: str) -> None:
        host = self._address.host.rpartition(":")[0] or self._address.host
        if self._address.host != host:
            return  # With a port in the address, there is no known port for plain http.
        try:
            answer = await self.ask("GET", path, origin=f"http://{host}")
        except Stop:
            self._report.good("there is nothing at plain http")
            return
        if not answer.where.startswith("https://"):
            self._report.wrong(
                f"plain http is served too (it answers {answer.status}): tokens would be readable",
                "Redirect http to https.",
            )
        elif CANARY in answer.where:
            self._report.note("plain http redirects to https, and repeats what was asked for")
        else:
            self._report.good("plain http redirects to https")

    async def demo_token(self) -> str:
        """Get a token of the demo login; empty if the demo login is off."""
        config = await self.ask("GET", "/api/v1/config")
        if not config.told.get("demo_login"):
            return ""
        answer = await self.ask("POST", "/api/v1/demo/token", json={"user_id": "check"})
        return str(answer.told.get("token", ""))


def _name(error: Exception) -> str:
    return str(error) or type(error).__name__
