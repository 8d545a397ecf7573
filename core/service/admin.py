"""AdminService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from escrow.v1 import admin_service_pb2 as rpc
from escrow.v1 import admin_service_pb2_grpc as service

from core.errors import Reason, Refusal, request_id_reused, shutting_down
from core.execute import Executor
from core.law import command as c
from core.law.message import escrow_message, timestamp
from core.law.rules import outstanding
from core.live.revoke import Revoker
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller, require_keeper
from core.service.inspection import entity
from core.settlement.inspect import Inspector
from core.settlement.retry import Retrier
from core.storage.store import Store
from holdfast.revocation import Revocations

US_PER_S = 1_000_000
# How far ahead of core's clock the time of a revocation may be: one for good cannot be undone.
AHEAD_S = 60
# After so long without a message a watcher gets an empty one.
HEARTBEAT_S = 15.0
# Inspections in a minute: each is several calls to Razorpay, which settlement needs more.
INSPECTIONS_A_MINUTE = 60


class AdminService(service.AdminServiceServicer):
    """For those who run the place."""

    def __init__(
        self,
        store: Store,
        revoker: Revoker,
        revocations: Revocations,
        executor: Executor,
        inspector: Inspector,
        retrier: Retrier,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._revoker = revoker
        self._revocations = revocations
        self._executor = executor
        self._inspector = inspector
        self._retrier = retrier
        self._now_us = now_us
        self._is_closed = False
        # Who hears of revocations.
        self._watching: set[asyncio.Event] = set()
        # When the inspections of the last minute began, the oldest first.
        self._inspections: deque[int] = deque(maxlen=INSPECTIONS_A_MINUTE)

    def close(self) -> None:
        """End all who hear of revocations, so that they come back to another server."""
        self._is_closed = True
        for rung in self._watching:
            rung.set()

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
        self._watching.add(rung)
        try:
            while not self._is_closed:
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
            self._watching.discard(rung)
            self._revocations.listeners.remove(ring)
        raise shutting_down()

    async def InspectEscrow(
        self, request: rpc.InspectEscrowRequest, context: Any
    ) -> rpc.InspectEscrowResponse:
        if "admin" not in caller().roles:
            raise Refusal(Reason.ROLE_MISSING, "InspectEscrow is for the role admin.")
        escrow = await visible(self._store, request.escrow_id, caller())
        now_us = self._now_us()
        self._count_inspection(now_us)
        found = await self._inspector.inspect(escrow)
        return rpc.InspectEscrowResponse(
            escrow=escrow_message(escrow),
            entities=[entity(line) for line in found],
            inspect_time=timestamp(now_us),
            is_settling=outstanding(escrow),
        )

    async def RetrySettlement(
        self, request: rpc.RetrySettlementRequest, context: Any
    ) -> rpc.RetrySettlementResponse:
        require_keeper("RetrySettlement is")
        escrow_id = check.escrow_id(request.escrow_id)
        check_ = Check()
        check_.request_id(request.request_id)
        check_.text("note", request.note, most=check.MAX_NOTE)
        check_.done()
        who = caller()
        escrow = await visible(self._store, escrow_id, who)
        cause, fingerprint = check.cause(who, request.request_id), check.fingerprint(request)
        answer = await self._executor.recall(cause, fingerprint)
        if answer is not None:
            return rpc.RetrySettlementResponse(escrow=answer.escrow)
        after = await self._retrier.retry(
            escrow, c.RetrySettlement(request.note), caller=who, cause=cause, body=fingerprint
        )
        return rpc.RetrySettlementResponse(escrow=escrow_message(after))

    def _count_inspection(self, now_us: int) -> None:
        counted = self._inspections
        if len(counted) == counted.maxlen and counted[0] > now_us - 60 * US_PER_S:
            text = f"Escrows are inspected {counted.maxlen} times a minute at most; wait a moment."
            raise Refusal(Reason.TOO_MANY_CALLS, text)
        counted.append(now_us)

    def _before_us(self, check_: Check, request: rpc.RevokeTokensRequest, now_us: int) -> int:
        """Read the time, by default now."""
        if not request.HasField("issued_before"):
            return now_us
        before = request.issued_before
        before_us = before.seconds * US_PER_S + before.nanos // 1000
        if not 0 < before_us <= now_us + AHEAD_S * US_PER_S:
            check_.problem("issued_before", f"must be after 1970 and at most {AHEAD_S} s from now")
        return before_us
