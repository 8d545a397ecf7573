"""All WebSockets of this process: who may connect, which are alive, and the shutdown of all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from bridge.browser.leaving import Leaving
from bridge.browser.liveness import Liveness
from bridge.browser.session import Session, Shared
from bridge.browser.slices import in_slices
from bridge.browser.socket import SUBPROTOCOL, accept
from bridge.door.reply import refuse
from bridge.protocol import handshake
from bridge.protocol.errors import CloseCode
from holdfast.log import Sparing
from holdfast.tokens import Identity, KeysUnavailable, TokenRefused

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
        # Those that are being turned away.
        self._leaving: set[Leaving] = set()
        # Handshakes under way.
        self._opening = 0
        self._of_user: Counter[str] = Counter()
        # Set when there is no session any more.
        self._emptied = asyncio.Event()
        self._liveness = Liveness(
            self._sessions, shared.standing, shared.watches, shared.follows, shared.limits
        )
        self._turning = asyncio.gather(shared.wheel.run(), self._liveness.run())
        shared.metrics.sockets.set_function(lambda: len(self._sessions))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /api/v1/ws: 403 for a foreign page, 426 without an upgrade, 503 during shutdown."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        self._opening += 1
        try:
            return await self._admit(request)
        finally:
            self._opening -= 1

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
        if self.draining or self._count >= self._limits.sockets:
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
        async for slot, session in in_slices(enumerate(sessions), self._limits.slice_s):
            session.go_away(int(slot * slot_ms))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_close_s):
                while self._sessions:
                    self._emptied.clear()
                    await self._emptied.wait()
        for leaving in tuple(self._leaving):
            leaving.cut()
        for session in tuple(self._sessions):
            session.cut()

    async def close(self) -> None:
        await self.drain(notice_s=0)
        self._turning.cancel()
        await asyncio.gather(self._turning, return_exceptions=True)

    @property
    def _count(self) -> int:
        return self._opening + len(self._sessions) + len(self._leaving)

    async def _admit(self, request: web.Request) -> web.StreamResponse:
        try:
            identity = await self._shared.verifier.verify(self._token(request))
        except TokenRefused as error:
            _log.info("token refused", why=str(error))
            return self._turn_away(request, CloseCode.BAD_TOKEN)
        except KeysUnavailable:
            return self._turn_away(request, CloseCode.TRY_LATER)
        user_id = identity.user_id
        if self._of_user[user_id] >= self._limits.sockets_per_user:
            return self._turn_away(request, CloseCode.TOO_MANY_CONNECTIONS)
        self._of_user[user_id] += 1
        try:
            await asyncio.sleep(self._shared.penalties.rest_s(user_id))
            response, is_served = self._serve(request, identity)
        except BaseException:
            self._forget_one_of(user_id)
            raise
        if not is_served:
            self._forget_one_of(user_id)
        return response

    def _serve(self, request: web.Request, identity: Identity) -> tuple[web.StreamResponse, bool]:
        response, socket = accept(request, self._limits)
        if socket is None:
            return response, False
        session = Session(socket, identity, self._shared, self._forget)
        self._sessions.add(session)
        session.begin()
        if self.draining:
            session.go_away(0)
        return response, True

    def _forget(self, session: Session) -> None:
        self._sessions.discard(session)
        self._liveness.forget(session)
        self._forget_one_of(session.identity.user_id)
        if not self._sessions:
            self._emptied.set()

    def _forget_one_of(self, user_id: str) -> None:
        self._of_user[user_id] -= 1
        if not self._of_user[user_id]:
            del self._of_user[user_id]

    def _turn_away(self, request: web.Request, code: CloseCode) -> web.StreamResponse:
        self._shared.metrics.closes.labels(str(code.value)).inc()
        response, socket = accept(request, self._limits)
        if socket is not None:
            leaving = Leaving(socket, self._shared.wheel, self._limits, self._leaving.discard)
            # Peers that do not answer the close frame must not fill the bridge.
            is_crowd = len(self._leaving) >= self._limits.leaving
            self._leaving.add(leaving)
            leaving.begin(code, waits=not is_crowd)
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
