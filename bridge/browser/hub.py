"""All WebSockets of this process: who may connect, which are alive, and the shutdown of all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import TypeVar

from aiohttp import web

from bridge.browser.session import Session, Shared
from bridge.browser.socket import SUBPROTOCOL, accept
from bridge.door.reply import refuse
from bridge.protocol import handshake
from bridge.protocol.errors import CloseCode
from holdfast.log import Sparing
from holdfast.tokens import Identity, KeysUnavailable, TokenRefused

_T = TypeVar("_T")
_log = Sparing("bridge.browser")


class Hub:
    """Serves the WebSocket endpoint."""

    def __init__(
        self,
        shared: Shared,
        admits: Callable[[web.BaseRequest], bool],
        *,
        query_token: bool,
    ) -> None:
        """`admits` says whether the page that a request comes from may connect."""
        self.draining = False
        self._shared = shared
        self._limits = shared.limits
        self._admits = admits
        self._query_token = query_token
        self._sessions: set[Session] = set()
        # All upgraded connections: the sessions, and those that are being turned away.
        self._upgraded = self._leaving = 0
        self._of_user: Counter[str] = Counter()
        self._sweeper = asyncio.create_task(self._sweep())
        shared.metrics.sockets.set_function(lambda: len(self._sessions))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/ws: 403 for a foreign page, 426 without an upgrade, 503 during shutdown."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        self._upgraded += 1
        try:
            return await self._admit(request)
        finally:
            self._upgraded -= 1

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._admits(request):
            text = "This Origin may not connect: it is neither our host nor one of ALLOWED_ORIGINS."
            return refuse(403, "PERMISSION_DENIED", "ORIGIN_REFUSED", text)
        if not handshake.asks(request.headers):
            text = "This is a WebSocket. Ask for one, with the headers Connection and Upgrade."
            response = refuse(426, "FAILED_PRECONDITION", "UPGRADE_REQUIRED", text)
            response.headers.update({"Upgrade": "websocket", "Connection": "Upgrade"})
            return response
        problem = handshake.problem(request.headers)
        if problem:
            response = refuse(400, "INVALID_ARGUMENT", "HANDSHAKE_INVALID", problem)
            response.headers["Sec-WebSocket-Version"] = handshake.VERSION
            return response
        if self.draining or self._upgraded >= self._limits.sockets:
            reason = "SHUTTING_DOWN" if self.draining else "BUSY"
            response = refuse(
                503, "UNAVAILABLE", reason, "This server takes no more connections. Connect again."
            )
            response.headers["Retry-After"] = "1"
            return response
        return None

    def revoke(self, user_id: str) -> None:
        """End the connections of a user whose tokens were revoked."""
        revocations = self._shared.verifier.revocations
        for session in tuple(self._sessions):
            identity = session.identity
            if identity.user_id == user_id and revocations.covers(user_id, identity.issued_at):
                session.end(CloseCode.BAD_TOKEN)

    async def tell_live(self) -> None:
        """Tell every browser whether events reach it now."""
        async for session in self._in_slices(tuple(self._sessions)):
            session.tell_live()

    async def drain(self, *, notice_s: float | None = None) -> None:
        """Shut down: refuse new connections, fail `/readyz`, then tell each browser to reconnect in
        a slot of its own, and close it. After `drain_close_s` it cuts those that are left."""
        if self.draining:
            return
        self.draining = True
        if self._sessions:
            await asyncio.sleep(self._limits.drain_notice_s if notice_s is None else notice_s)
        sessions = tuple(self._sessions)
        slot_ms = self._limits.reconnect_slots_s * 1000 / max(len(sessions), 1)
        async for slot, session in self._in_slices(enumerate(sessions)):
            session.go_away(int(slot * slot_ms))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_close_s):
                await asyncio.gather(*(session.over() for session in sessions))
        for session in sessions:
            session.cut()

    async def close(self) -> None:
        await self.drain(notice_s=0)
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)

    async def _admit(self, request: web.Request) -> web.StreamResponse:
        try:
            identity = await self._shared.verifier.verify(self._token(request))
        except TokenRefused as error:
            _log.info("token refused", why=str(error))
            return await self._turn_away(request, CloseCode.BAD_TOKEN)
        except KeysUnavailable:
            return await self._turn_away(request, CloseCode.TRY_LATER)
        user_id = identity.user_id
        if self._of_user[user_id] >= self._limits.sockets_per_user:
            return await self._turn_away(request, CloseCode.TOO_MANY_CONNECTIONS)
        self._of_user[user_id] += 1
        try:
            await asyncio.sleep(self._shared.penalties.rest_s(user_id))
            return await self._run(request, identity)
        finally:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]

    async def _run(self, request: web.Request, identity: Identity) -> web.StreamResponse:
        response, socket = await accept(request, self._limits)
        if socket is None:
            return response
        session = Session(socket, identity, self._shared)
        self._sessions.add(session)
        try:
            if self.draining:
                session.go_away(0)
            await session.run(request)
        finally:
            self._sessions.discard(session)
        return response

    async def _turn_away(self, request: web.Request, code: CloseCode) -> web.StreamResponse:
        self._shared.metrics.closes.labels(str(code.value)).inc()
        response, socket = await accept(request, self._limits)
        if socket is None:
            return response
        self._leaving += 1
        try:
            # Peers that do not answer the close frame must not fill the bridge.
            is_crowd = self._leaving > self._limits.leaving
            await socket.turn_away(code, request, 0 if is_crowd else self._limits.close_s)
        finally:
            self._leaving -= 1
        return response

    def _token(self, request: web.Request) -> str:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credentials.strip():
            return credentials.strip()
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        if len(offered) == 2 and offered[0].strip() == SUBPROTOCOL:
            return offered[1].strip()
        if self._query_token:
            return request.query.get("token", "")
        return ""

    async def _sweep(self) -> None:
        """Check all sessions. A timer or a task for each would cost more than its socket."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.tick_s)
            async for session in self._in_slices(tuple(self._sessions)):
                session.check(loop.time())

    async def _in_slices(self, items: Iterable[_T]) -> AsyncIterator[_T]:
        end = perf_counter() + self._limits.slice_s
        for item in items:
            yield item
            if perf_counter() > end:
                await asyncio.sleep(0)
                end = perf_counter() + self._limits.slice_s
