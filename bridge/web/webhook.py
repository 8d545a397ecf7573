"""The webhook endpoint: passes Razorpay's raw bytes to core, and answers the outcome.

It knows neither the secret nor the content. Unless core has taken the webhook, or refused it for
good, the answer is 503, so that Razorpay sends it again.
"""

from __future__ import annotations

import structlog
from aiohttp import web

from bridge.door.body import Bodies, BodyRefused
from bridge.door.reply import refuse
from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError

_log = structlog.get_logger("bridge.web.webhook")
_FOR_GOOD = frozenset({"SIGNATURE_INVALID", "WEBHOOK_MALFORMED"})


class WebhookEndpoint:
    """POST /api/v1/webhooks/razorpay."""

    def __init__(self, core: Core, bodies: Bodies, limits: Limits, metrics: Metrics) -> None:
        self._core = core
        self._bodies = bodies
        self._limits = limits
        self._metrics = metrics
        self._inside = 0

    async def take(self, request: web.Request) -> web.Response:
        try:
            body = await self._bodies.read(
                request, most=self._limits.webhook_bytes, within_s=self._limits.webhook_body_s
            )
        except BodyRefused as refused:
            return self._refuse_body(refused)
        if self._inside >= self._limits.webhooks:
            text = "Too many webhooks are under way. Send this one again."
            return self._refuse("busy", 503, "UNAVAILABLE", "BUSY", text)
        self._inside += 1
        try:
            return await self._take(request, body)
        finally:
            self._inside -= 1

    async def _take(self, request: web.Request, body: bytes) -> web.Response:
        signature = _header(request, "X-Razorpay-Signature")
        if not signature:
            text = "The header X-Razorpay-Signature is missing."
            return self._refuse("refused", 400, "INVALID_ARGUMENT", "SIGNATURE_INVALID", text)
        try:
            outcome = await self._core.ingest_webhook(
                body, signature, _header(request, "X-Razorpay-Event-Id")
            )
        except CoreError as error:
            return self._answer(error)
        self._metrics.webhooks.labels(outcome).inc()
        return web.json_response({"outcome": outcome})

    def _refuse_body(self, refused: BodyRefused) -> web.Response:
        if refused.status == 413:
            text = "The body of a webhook must have at most 1 MiB."
            return self._refuse("too_big", 413, "INVALID_ARGUMENT", "WEBHOOK_TOO_BIG", text)
        if refused.status == 400:
            text = "The body cannot be read."
            return self._refuse("refused", 400, "INVALID_ARGUMENT", "WEBHOOK_MALFORMED", text)
        self._metrics.webhooks.labels("refused").inc()
        return refused.answer

    def _answer(self, error: CoreError) -> web.Response:
        if error.code == "INVALID_ARGUMENT" or error.reason in _FOR_GOOD:
            reason = error.reason or "WEBHOOK_MALFORMED"
            return self._refuse("refused", 400, "INVALID_ARGUMENT", reason, error.message)
        if not error.away:
            _log.error("core refused a webhook", code=error.code, reason=error.reason)
        text = "Core is unavailable. Send the webhook again."
        return self._refuse("unavailable", 503, "UNAVAILABLE", "CORE_UNAVAILABLE", text)

    def _refuse(
        self, outcome: str, status: int, code: str, reason: str, message: str
    ) -> web.Response:
        self._metrics.webhooks.labels(outcome).inc()
        return refuse(status, code, reason, message)


def _header(request: web.Request, name: str) -> str:
    """Answer a header; empty if it is missing or not ASCII, which gRPC could not carry."""
    value = request.headers.get(name, "")
    return value if value.isascii() else ""
