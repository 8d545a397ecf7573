"""Sends webhooks: signed, at least once, with back-off, and with the faults that were asked for.

Without faults the events of one lane are sent in order, each after the first attempt of the one
before. An event that a fault holds back leaves its lane, so that later events overtake it.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp

from scripts.sandbox.books import Entity
from scripts.sandbox.faults import Faults

ANSWER_WITHIN_S = 5.0
FIRST_RETRY_S = 0.5
RETRY_FACTOR = 2.0
MAX_RETRY_S = 30.0
GIVE_UP_AFTER_S = 24 * 3600.0
MAX_CONCURRENT = 32
MAX_PENDING = 20_000
# The longest time that a reordered event, or the second copy of a duplicate, is held back.
HELD_BACK_S = 0.5
# Razorpay's platform account: the one that owns the webhooks.
ACCOUNT_ID = "acc_SandboxHouse01"

log = logging.getLogger("sandbox")


class Courier:
    """Delivers events to one address. Start and stop it on the loop that it is used on."""

    def __init__(
        self,
        *,
        url: str | None,
        secret: str,
        faults: Faults,
        rng: random.Random,
        now_s: Callable[[], int],
    ) -> None:
        # None delivers nothing: the events are dropped.
        self.url = url
        self._secret = secret
        self._faults = faults
        self._rng = rng
        self._now_s = now_s
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(MAX_CONCURRENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._tails: dict[str, asyncio.Event] = {}

    def start(self) -> None:
        """Open the connections."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)

    async def stop(self) -> None:
        """Drop what is not delivered yet, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def send(self, event: str, payload: dict[str, Entity], *, lane: str) -> None:
        """Sign an event, choose its faults and schedule its delivery."""
        plan = self._faults.plan.webhooks
        if self.url is None or self._faults.strikes(plan.drop):
            return
        body = _envelope(event, payload, self._now_s())
        headers = self._headers(body)
        held_back_s = 0.0
        if self._faults.strikes(plan.reorder):
            held_back_s = self._faults.within(HELD_BACK_S)
        self._spawn(body, headers, plan.delay_s + held_back_s, lane if not held_back_s else None)
        if self._faults.strikes(plan.duplicate):
            again_s = plan.delay_s + held_back_s + self._faults.within(HELD_BACK_S)
            self._spawn(body, headers, again_s, None)

    def _headers(self, body: bytes) -> dict[str, str]:
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "Razorpay-Webhook/v1",
            "X-Razorpay-Signature": signature,
            "X-Razorpay-Event-Id": uuid.UUID(int=self._rng.getrandbits(128), version=4).hex,
        }

    def _spawn(self, body: bytes, headers: dict[str, str], wait_s: float, lane: str | None) -> None:
        if len(self._tasks) >= MAX_PENDING:
            log.warning("a webhook was dropped: %d others are not delivered yet", MAX_PENDING)
            return
        before = self._tails.get(lane) if lane else None
        attempted = asyncio.Event()
        if lane:
            self._tails[lane] = attempted
        task = asyncio.create_task(self._carry(body, headers, wait_s, before, attempted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._leave(lane, attempted))

    def _leave(self, lane: str | None, attempted: asyncio.Event) -> None:
        attempted.set()
        if lane and self._tails.get(lane) is attempted:
            del self._tails[lane]

    async def _carry(
        self,
        body: bytes,
        headers: dict[str, str],
        wait_s: float,
        before: asyncio.Event | None,
        attempted: asyncio.Event,
    ) -> None:
        give_up = time.monotonic() + GIVE_UP_AFTER_S
        await asyncio.sleep(wait_s)
        if before is not None:
            await before.wait()
        retry_s = FIRST_RETRY_S
        while time.monotonic() < give_up:
            if await self._attempt(body, headers):
                return
            attempted.set()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * RETRY_FACTOR, MAX_RETRY_S)

    async def _attempt(self, body: bytes, headers: dict[str, str]) -> bool:
        assert self._session is not None, "the courier has not been started"
        url = self.url
        if url is None:
            return True
        async with self._turns:
            try:
                async with self._session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    return 200 <= answer.status < 300
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("a webhook was not taken: %s", error)
                return False


def _envelope(event: str, payload: dict[str, Entity], now_s: int) -> bytes:
    envelope: dict[str, Any] = {
        "entity": "event",
        "account_id": ACCOUNT_ID,
        "event": event,
        "contains": list(payload),
        "payload": payload,
        "created_at": now_s,
    }
    return json.dumps(envelope, separators=(",", ":")).encode()
