"""Sends events to endpoints: makes deliveries of them, tries those that are due, tries again.

Several processes share the work. What one does to an endpoint's rows it does under the lock of that
endpoint, and a try under a lease: a crash costs the lease's time, and repeats the try. Must never
wait for an endpoint while it holds a lock, nor give one more than its share of the tries at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from core.errors import Refusal
from core.heartbeat import beat, stop, until_pulse_s
from core.storage.outgoing import FAILED, PENDING, Delivery, Endpoint
from core.storage.position import Place
from core.storage.store import Store
from core.storage.transaction import Transaction
from core.webhooks import verdict
from core.webhooks.intake import Intake, New
from core.webhooks.pace import US_PER_S, Pace
from core.webhooks.payload import payload
from core.webhooks.post import Poster
from core.webhooks.signature import signed
from core.webhooks.verdict import Tried

log = logging.getLogger(__name__)

# Tries that one process makes at once.
MAX_AT_ONCE = 200
# Of one endpoint: fewer where so many would leave others none, and one where its last try failed.
MAX_OF_ONE = 16
# How long an endpoint is left alone that another process is just writing to.
LOCKED_S = 0.02
# How often in a row it is left alone before it is waited for.
MAX_MISSED = 2
# How long tries that end at about the same time are waited for while others are under way: they
# share two transactions, which cost more than a try.
GATHER_S = 0.01
# How often the tables are read without a ring.
POLL_S = 1.0
# How long tries under way may take when the process stops; they are repeated otherwise.
DRAIN_S = 3.0


class Dispatcher:
    """Does what endpoints are owed, beside other processes."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        *,
        now_us: Callable[[], int],
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
        known: Callable[[str, int], bytes | None] = lambda _escrow_id, _version: None,
    ) -> None:
        """`known` answers a stored event that this process has at hand."""
        self._store = store
        self._poster = poster
        self._intake = Intake(store)
        self._known = known
        self._now_us = now_us
        self._pace = pace or Pace()
        self._chance = chance
        self._rung = asyncio.Event()
        self._trying: set[asyncio.Task[None]] = set()
        # Tries of each endpoint that are not written down.
        self._at_work: Counter[str] = Counter()
        self._tried: list[Tried] = []
        self._closed = False
        # While there is no endpoint, news is none of ours.
        self._is_idle = False
        # Tries of one endpoint that may be under way.
        self._share = MAX_OF_ONE
        # How often in a row an endpoint was left alone that another process was writing to.
        self._missed = 0
        # Tries by how they ended.
        self.outcomes: Counter[str] = Counter()

    def ring(self) -> None:
        """Look for work at once, because an endpoint was changed."""
        self._rung.set()

    def news(self) -> None:
        """Look for work at once, because there are events with new positions."""
        if not self._is_idle:
            self._rung.set()

    async def close(self) -> None:
        """Begin no more tries, wait a little for those under way, and write down what became of
        them."""
        self._closed = True
        if self._trying:
            await asyncio.wait(self._trying, timeout=DRAIN_S)
        with contextlib.suppress(Refusal):
            await self._write_down()

    async def run(self) -> None:
        """Send what is due until cancelled; cancels the tries under way too."""
        try:
            while True:
                beat()
                self._rung.clear()
                try:
                    await self.look()
                except Refusal as refusal:
                    log.warning("webhooks wait: %s", refusal)
                    await asyncio.sleep(POLL_S)
                except Exception:  # One bad row must not stop the loop.
                    log.exception("webhooks wait")
                    await asyncio.sleep(POLL_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(until_pulse_s(POLL_S)):
                        await self._rung.wait()
                if self._trying:
                    await asyncio.sleep(GATHER_S)
        finally:
            await stop(self._trying)

    async def look(self) -> None:
        """Write down what became of tries, and begin those that are due. Raises Refusal."""
        await self._write_down()
        if not self._closed and self._busy < MAX_AT_ONCE:
            await self._begin()

    @property
    def is_busy(self) -> bool:
        """Whether a try is under way, or not written down yet."""
        return self._busy > 0

    async def idle(self) -> None:
        """Wait until no try is under way; what became of them is not written down yet."""
        while self._trying:
            await asyncio.wait(set(self._trying))

    async def _begin(self) -> None:
        work = await self._store.webhooks.work(self._now_us())
        self._is_idle = not work
        self._share = max(1, min(MAX_OF_ONE, MAX_AT_ONCE // max(len(work), 1)))
        new, is_more = await self._intake.look(work)
        due = {w.endpoint.endpoint_id for w in work if w.is_due and self._free(w.endpoint) > 0}
        taken = await self._take(new, due) if new or due else []
        for endpoint, delivery in taken:
            self._start(endpoint, delivery)
        if taken or is_more:
            self._rung.set()  # There may be more.

    async def _take(
        self, new: Mapping[str, New], due: Collection[str]
    ) -> list[tuple[Endpoint, Delivery]]:
        """Make deliveries of what is new, and take those to try."""
        taken: list[tuple[Endpoint, Delivery]] = []
        endpoint_ids = {*new, *due}
        async with self._store.write() as transaction:
            # Of two processes of one rhythm one would find the other at work each time.
            endpoints = await transaction.webhooks.lock_enabled(
                endpoint_ids, wait=self._missed >= MAX_MISSED
            )
            if len(endpoints) < len(endpoint_ids) and self._missed < MAX_MISSED:
                self._missed += 1
                asyncio.get_running_loop().call_later(LOCKED_S, self._rung.set)
            else:
                self._missed = 0
            now_us = self._now_us()
            # Where not all can be served, it must not be the same ones each time.
            random.shuffle(endpoints)
            for endpoint in endpoints:
                events = new.get(endpoint.endpoint_id)
                # Another process may have been faster.
                if events is not None and events.after == endpoint.position:
                    await self._enqueue(transaction, endpoint, events, now_us)
                free = min(self._free(endpoint), MAX_AT_ONCE - self._busy - len(taken))
                if free > 0:
                    begun = await self._lease(transaction, endpoint, free, now_us)
                    taken += [(endpoint, delivery) for delivery in begun]
        return taken

    @property
    def _busy(self) -> int:
        """Tries that are under way or not written down yet."""
        return sum(self._at_work.values())

    def _free(self, endpoint: Endpoint) -> int:
        """How many more tries of an endpoint may begin."""
        most = 1 if endpoint.failing_since_us is not None else self._share
        return most - self._at_work[endpoint.endpoint_id]

    async def _lease(
        self, transaction: Transaction, endpoint: Endpoint, limit: int, now_us: int
    ) -> list[Delivery]:
        return await transaction.webhooks.lease(
            endpoint.endpoint_id,
            # A new id each time, because a slow try of this process has lost its lease too.
            lease_id=uuid.uuid4().hex,
            now_us=now_us,
            until_us=now_us + round(self._pace.lease_s * US_PER_S),
            limit=limit,
        )

    async def _enqueue(
        self, transaction: Transaction, endpoint: Endpoint, new: New, now_us: int
    ) -> None:
        """Make deliveries of the events that come next for an endpoint."""
        held: set[str] = set()
        if not endpoint.unordered:
            escrow_ids = {event.escrow_id for event in new.wanted}
            held = await transaction.webhooks.held(endpoint.endpoint_id, escrow_ids)
        rows: list[dict[str, Any]] = []
        for event in new.wanted:
            is_next = endpoint.unordered or event.escrow_id not in held
            held.add(event.escrow_id)
            rows.append(_row(endpoint, event, now_us, now_us if is_next else None))
        await transaction.webhooks.enqueue(rows)
        await transaction.webhooks.change(
            endpoint.endpoint_id,
            position=new.reached,
            pending=endpoint.pending + len(rows),
        )

    def _start(self, endpoint: Endpoint, delivery: Delivery) -> None:
        self._at_work[endpoint.endpoint_id] += 1
        task = asyncio.create_task(self._try(endpoint, delivery))
        self._trying.add(task)
        task.add_done_callback(self._trying.discard)

    async def _try(self, endpoint: Endpoint, delivery: Delivery) -> None:
        try:
            body = await self._body(delivery)
            now_us = self._now_us()
            headers = signed(endpoint.secrets(now_us), delivery.delivery_id, now_us, body)
            outcome = await self._poster.post(endpoint.url, headers, body)
        except Exception as error:
            # The lease runs out, and somebody tries again.
            self._at_work[endpoint.endpoint_id] -= 1
            log.warning("the delivery %s was not tried: %s", delivery.delivery_id, error)
            return
        self._tried.append(Tried(delivery, outcome))
        self._rung.set()

    async def _body(self, delivery: Delivery) -> bytes:
        event = self._known(delivery.escrow_id, delivery.version)
        if event is None:
            event = await self._store.event(delivery.escrow_id, delivery.version)
        return payload(delivery.position, event)

    async def _write_down(self) -> None:
        """Write down what became of tries: all of it is done, or nothing. Raises Refusal."""
        tried = list(self._tried)
        if not tried:
            return
        groups: defaultdict[str, list[Tried]] = defaultdict(list)
        for one in tried:
            groups[one.delivery.endpoint_id].append(one)
        told: list[str] = []
        try:
            async with self._store.write() as transaction:
                # In the order of their ids, as everywhere.
                for endpoint_id in sorted(groups):
                    endpoint = await transaction.webhooks.lock(endpoint_id)
                    if endpoint is not None:
                        told += await self._judge(transaction, endpoint, groups[endpoint_id])
        except Refusal:
            raise  # They are kept for the next look.
        except Exception:
            # Their leases run out, and they are tried again.
            log.exception("what became of webhooks could not be written down")
        del self._tried[: len(tried)]
        for one in tried:
            self._at_work[one.delivery.endpoint_id] -= 1
            self.outcomes["delivered" if one.outcome.is_taken else "failed"] += 1
        for text in told:
            log.warning("%s", text)

    async def _judge(
        self, transaction: Transaction, endpoint: Endpoint, tried: Sequence[Tried]
    ) -> list[str]:
        """Write down the tries of one endpoint; answers what the log is to say."""
        now_us = self._now_us()
        found = await transaction.webhooks.read([one.delivery.delivery_id for one in tried])
        stored = {one.delivery_id: one for one in found}
        rows, ended = list[dict[str, Any]](), list[Delivery]()
        for one in tried:
            delivery = stored.get(one.delivery.delivery_id)
            if delivery is None or not verdict.counts(delivery, one):
                continue
            del stored[delivery.delivery_id]  # One that was slow may come twice.
            rows.append(verdict.after(delivery, one, now_us, self._pace, self._chance))
            if rows[-1]["state"] != PENDING:
                ended.append(delivery)
        await transaction.webhooks.put(rows)
        waiting = {one.escrow_id for one in ended if one.in_order}
        await transaction.webhooks.release(endpoint.endpoint_id, waiting, now_us)
        outcomes = [one.outcome for one in tried]
        standing, text = verdict.standing(endpoint, outcomes, now_us, self._pace)
        if verdict.is_back(endpoint, standing, now_us, self._pace):
            await transaction.webhooks.hurry(endpoint.endpoint_id, now_us)
        await transaction.webhooks.change(
            endpoint.endpoint_id, pending=endpoint.pending - len(ended), **standing
        )
        given_up = sum(row["state"] == FAILED for row in rows)
        if given_up:
            text.append(f"{verdict.name(endpoint)}: {given_up} deliveries are given up")
        return text


def _row(endpoint: Endpoint, event: Place, now_us: int, due_us: int | None) -> dict[str, Any]:
    return {
        "delivery_id": f"msg_{uuid.uuid4().hex}",
        "endpoint_id": endpoint.endpoint_id,
        "position": event.position,
        "escrow_id": event.escrow_id,
        "version": event.version,
        "type": event.type,
        "state": PENDING,
        "in_order": not endpoint.unordered,
        "attempts": 0,
        "due_us": due_us,
        "last_status": 0,
        "last_problem": "",
        "create_time_us": now_us,
    }
