"""RetrySettlement: what has stopped is looked at again, now, because a person asks for it.

Must never decide where money goes: it goes on as was decided, or compares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.errors import Reason, Refusal
from core.execute import Executor
from core.law import command as c
from core.law.command import Caller
from core.law.escrow import Escrow
from core.law.rules import outstanding
from core.law.status import AttentionCode, Status
from core.settlement.reconcile import Reconciler
from core.settlement.refusal import answering
from core.storage.store import Store
from core.storage.trip import owed

# How long Razorpay may take for a comparison: less than the bridge waits for core.
LIMIT_S = 12.0


class Retrier:
    """Has an escrow's settlement, or its comparison with Razorpay, done again."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        reconciler: Reconciler,
        *,
        now_us: Callable[[], int],
        ring_settlement: Callable[[], None] = lambda: None,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._store = store
        self._executor = executor
        self._reconciler = reconciler
        self._now_us = now_us
        self._ring_settlement = ring_settlement
        self._limit_s = limit_s

    async def retry(
        self, escrow: Escrow, command: c.RetrySettlement, *, caller: Caller, cause: str, body: bytes
    ) -> Escrow:
        """Try again what has stopped; `body` is the fingerprint of the request.

        Raises Refusal: WRONG_STATUS where nothing has stopped, GATEWAY_UNAVAILABLE,
        GATEWAY_REFUSED, and what the law says of the command.
        """
        if any(part.status is Status.SETTLING for part in escrow.parts) and escrow.attentions:
            await self._executor.execute(
                command,
                escrow_id=escrow.escrow_id,
                caller=caller,
                cause=cause,
                fingerprint=body,
            )
        elif outstanding(escrow):
            await self._store.transact(
                owed.make_due(now_us=self._now_us(), escrow_id=escrow.escrow_id)
            )
            self._ring_settlement()
        elif any(one.code is AttentionCode.BOOKS_DIFFER for one in escrow.attentions):
            await self._compare(escrow.escrow_id)
        else:
            text = "Nothing of this escrow has stopped, so that there is nothing to try again."
            raise Refusal(Reason.WRONG_STATUS, text)
        latest = await self._store.escrow(escrow.escrow_id)
        assert latest is not None, "an escrow never goes away"
        return latest

    async def _compare(self, escrow_id: str) -> None:
        with answering():
            async with asyncio.timeout(self._limit_s):
                await self._reconciler.look(escrow_id)
