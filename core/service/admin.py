"""AdminService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from escrow.v1 import admin_service_pb2 as rpc
from escrow.v1 import admin_service_pb2_grpc as service

from core.errors import request_id_reused
from core.law.message import timestamp
from core.live.revoke import Revoker
from core.service import check
from core.service.check import Check
from core.service.guard import caller, require_keeper
from core.storage.store import Store
from holdfast.revocation import Revocations

US_PER_S = 1_000_000
# How far ahead of core's clock the time of a revocation may be: one for good cannot be undone.
AHEAD_S = 60
# After so long without a message a watcher gets an empty one.
HEARTBEAT_S = 15.0


class AdminService(service.AdminServiceServicer):
    """For those who run the place."""

    def __init__(
        self,
        store: Store,
        revoker: Revoker,
        revocations: Revocations,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._revoker = revoker
        self._revocations = revocations
        self._now_us = now_us

    async def RevokeTokens(
        self, request: rpc.RevokeTokensRequest, context: Any
    ) -> rpc.RevokeTokensResponse:
        require_keeper("RevokeTokens is")
        now_us = self._now_us()
        check_ = Check()
        check_.request_id(request.request_id)
        user_id = check_.user_id("user_id", request.user_id)
        before_us = self._before_us(check_, request, now_us)
        check_.done()
        fingerprint = check.fingerprint(request)
        async with self._store.write() as transaction:
            known = await transaction.revoke(
                cause=check.cause(caller(), request.request_id),
                fingerprint=fingerprint,
                user_id=user_id,
                issued_before_us=before_us,
                now_us=now_us,
            )
        if known != fingerprint:
            raise request_id_reused()
        await self._revoker.look()
        return rpc.RevokeTokensResponse()

    async def WatchRevocations(
        self, request: rpc.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[rpc.WatchRevocationsResponse]:
        require_keeper("WatchRevocations is")
        rung = asyncio.Event()

        def ring(_user_id: str) -> None:
            rung.set()

        told: dict[str, float] = {}
        self._revocations.listeners.append(ring)
        try:
            while True:
                rung.clear()
                new = {u: s for u, s in self._revocations.before.items() if told.get(u) != s}
                told |= new
                yield rpc.WatchRevocationsResponse(
                    revocations=[
                        rpc.Revocation(user_id=u, issued_before=timestamp(round(s * US_PER_S)))
                        for u, s in new.items()
                    ]
                )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await rung.wait()
        finally:
            self._revocations.listeners.remove(ring)

    def _before_us(self, check_: Check, request: rpc.RevokeTokensRequest, now_us: int) -> int:
        """Read the time, by default now."""
        if not request.HasField("issued_before"):
            return now_us
        before = request.issued_before
        before_us = before.seconds * US_PER_S + before.nanos // 1000
        if not 0 < before_us <= now_us + AHEAD_S * US_PER_S:
            check_.problem("issued_before", f"must be after 1970 and at most {AHEAD_S} s from now")
        return before_us
