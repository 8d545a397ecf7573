"""One HTTP connection: aiohttp's own, which also tells the crowd what it waits for.

Every error that it answers has our JSON form. Must never log what a peer sent: a request that
cannot be parsed may contain a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_request import BaseRequest

from bridge.door import reply
from bridge.door.crowd import Crowd, network
from bridge.limits import Limits
from holdfast.log import Sparing

_log = Sparing("bridge.door")


class Connection(web.RequestHandler):
    """Made for each socket that the listener accepts."""

    def __init__(self, server: web.Server, crowd: Crowd, limits: Limits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle_s,
            lingering_time=limits.rest_s,
            # A decompressed body has no limit, and a signature covers the bytes as they were sent.
            auto_decompress=False,
            # No access log: the path of a WebSocket may carry a token.
            access_log=None,  # type: ignore[arg-type]
        )
        self.address = ""
        self._crowd = crowd
        self._answer_s = limits.answer_s
        self._is_idle = False
        self._is_handed_over = False
        self._begin = server.request_factory
        self._request_factory = self._begins

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = network(peer[0]) if isinstance(peer, tuple) else ""
        super().connection_made(transport)
        self._crowd.waits_for_head(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._crowd.leave(self)

    def hand_over(self, protocol: asyncio.BaseProtocol) -> tuple[Callable[[], None], bytes]:
        """Give the connection to another protocol after an upgrade. aiohttp then forgets it, and
        the handler's response is not sent.

        Answers what to call when the connection is lost, and the bytes that have arrived already.
        """
        transport = self.transport
        assert transport is not None
        rest = _Rest()
        self.set_parser(rest)  # type: ignore[arg-type]
        transport.set_protocol(protocol)
        self.transport = None
        self._is_handed_over = True
        super().connection_lost(None)
        return self._crowd.left, bytes(rest.data)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._is_idle = False
            self._crowd.waits_for_head(self)
        super().data_received(data)
        self._tell_broken_body()

    def drop(self) -> None:
        """Close the connection at once, even if data is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def waits_for_body(self) -> None:
        """Tell the crowd that we wait for the body of the request."""
        self._crowd.waits_for(self)

    def has_body(self) -> None:
        """Tell the crowd that the body is there."""
        self._crowd.busy(self)

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._is_handed_over:
            return resp, True
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = reply.shaped(resp)
        self._crowd.waits_for(self)
        try:
            async with asyncio.timeout(self._answer_s):
                told = await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.drop()
            return resp, True
        self._is_idle = True
        return told

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote the request
    ) -> web.StreamResponse:
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("the peer is gone, or has half an answer")
        if isinstance(exc, HttpProcessingError):
            _log.info("a request could not be read", why=type(exc).__name__, peer=self.address)
            response = _unreadable(exc)
        elif status == 504:
            response = reply.refuse(
                504, "DEADLINE_EXCEEDED", "TIMEOUT", "This took too long. Try again."
            )
        else:
            _log.error("a request failed unexpectedly", exc_info=exc)
            response = reply.refuse(
                500, "INTERNAL", "INTERNAL", "Something went wrong here. Try again."
            )
        # The app's signal does not run for a request that could not be parsed.
        reply.mark(response)
        response.force_close()
        return response

    def log_exception(self, *_args: Any, **kw: Any) -> None:
        _log.error("a connection failed unexpectedly", exc_info=kw.get("exc_info", True))

    def _tell_broken_body(self) -> None:
        """End a body that cannot be parsed. aiohttp queues the error behind the request, which
        would wait for the rest of its body in vain."""
        request = self._current_request
        if request is None or not self._messages:
            return
        if not isinstance(self._messages[-1][0], RawRequestMessage):
            request.content.set_exception(web.RequestPayloadError("the body cannot be parsed"))

    def _begins(self, *request: Any) -> BaseRequest:
        self._is_idle = False
        self._crowd.busy(self)
        return self._begin(*request)


class _Rest:
    """Collects what arrived behind the request, in the place of aiohttp's parser."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing is to be done: the new protocol learns of the end."""


def _unreadable(error: HttpProcessingError) -> web.Response:
    if isinstance(error, LineTooLong):
        text = "A line of the request's head is too long."
        return reply.refuse(431, "INVALID_ARGUMENT", "HEAD_TOO_LARGE", text)
    text = "This is not a valid HTTP request."
    return reply.refuse(400, "INVALID_ARGUMENT", "REQUEST_MALFORMED", text)
