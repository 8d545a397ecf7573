"""A core in memory whose clock, calls and death the test controls.

The database is real and outlives it. Two sets of core's objects work on it side by side, as two
processes would. A power cut ends both of them, wherever they are.
"""

import asyncio
import contextlib
import functools
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from core.books.audit import Auditor
from core.execute import Executor
from core.feed.tail import Tail
from core.law.command import Caller
from core.live.feed import Feed
from core.live.follow import Followers
from core.live.need import Need
from core.service import guard
from core.service.escrow import EscrowService
from core.service.guard import Verified
from core.service.ids import NewIds
from core.service.payee import Payees
from core.service.payment import PaymentService
from core.service.share import Pace, Shares
from core.service.watches import Watches
from core.settlement.checkout import Checkout
from core.settlement.compare import Comparer
from core.settlement.deadline import Clock
from core.settlement.look import order_of
from core.settlement.override import Overrider
from core.settlement.reconcile import Reconciler
from core.settlement.settle import Settler
from core.settlement.webhook import Inbox
from core.storage.batch import Decided, Judge, Wanted
from core.storage.database import connect
from core.storage.store import Store
from core.storage.transaction import Transaction
from core.storage.trip.step import Work
from holdfast.tokens import Verifier
from tests.fakes.gateway import FakeGateway, Fate
from tests.simulation.threadless import Files

FEE_BPS = 250
# Parties of a long deal are reminded of its deadlines, those of a short one are not.
REMIND_BEFORE_US = 300 * 1_000_000
WEBHOOK_SECRET = "the webhook secret of a fake"
US_PER_S = 1_000_000
BEGIN_US = 1_800_000_000 * US_PER_S
# A call whose answer was lost arrives within this time, if it does: the gateway's own limit.
UNDERWAY_S = 9
STUCK_S = 20.0
LOOK_AGAIN_S = 0.02

Answer = TypeVar("Answer")


class MortalStore(Store):
    """A store that may die before a transaction begins and after it is committed."""

    def __init__(self, engine: Any, around: Callable[[], Awaitable[None]]) -> None:
        super().__init__(engine)
        self._around = around

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        await self._around()
        async with super().write() as transaction:
            yield transaction
        await self._around()

    async def transact(self, work: Work[Answer]) -> Answer:
        await self._around()
        answer = await super().transact(work)
        await self._around()
        return answer

    async def run(
        self, wanted: Wanted, judge: Judge[Decided], *, now_us: Callable[[], int]
    ) -> Decided:
        await self._around()
        judged = await super().run(wanted, judge, now_us=now_us)
        await self._around()
        return judged


class Core:
    """The objects of one process, wired as core.server does, without its loops."""

    def __init__(self, world: "World") -> None:
        store = MortalStore(world.engine, world.around)
        gateway, now_us = world.gateway, world.now_us
        feed = Feed(store)
        followers = Followers(store, Tail(store.positions, feed, Need()))
        executor = Executor(store, now_us=now_us, published=lambda _: None)
        self.store = store
        self.executor = executor
        self.settler = Settler(store, executor, gateway, now_us=now_us)
        self.reconciler = Reconciler(store, executor, gateway, now_us=now_us)
        self.clock = Clock(store, executor, now_us=now_us)
        self.auditor = Auditor(store, Comparer(gateway).differences, now_us=now_us)
        self.inbox = Inbox(
            store,
            executor,
            secrets=[WEBHOOK_SECRET],
            now_us=now_us,
            ring_settlement=self.settler.ring,
            order_of=functools.partial(order_of, gateway),
        )
        self.escrows = EscrowService(
            store,
            executor,
            feed,
            followers,
            new_id=NewIds(now_us),
            fee_bps=FEE_BPS,
            remind_before_us=REMIND_BEFORE_US,
            overrider=Overrider(
                store,
                executor,
                gateway,
                now_us=now_us,
                ring_settlement=self.settler.ring,
                wait_s=0.0,  # Time stands still while it would wait.
            ),
            watches=Watches(feed, Verifier(secret=None), Pace(Shares())),
        )
        self.payments = PaymentService(
            store,
            executor,
            Checkout(gateway),
            self.inbox,
            now_us=now_us,
            payees=Payees(store, now_us=now_us, cooling_s=0, ring_settlement=self.settler.ring),
        )


class World:
    """Two cores on one database, Razorpay, and time, which stands still unless it is moved."""

    def __init__(self, database_url: str, seed: int = 0) -> None:
        self._url = database_url
        self._us = BEGIN_US
        self._underway_s = 0.0
        self._points: int | None = None
        self._dead = asyncio.Event()
        self._errors = _Errors()
        self._files = Files()
        self.deaths = 0
        # What becomes of the next calls that change something, and of the next that only look.
        self.fates: list[Fate] = []
        self.blind = 0
        self.gateway = FakeGateway(seed, fate=self._fate, around=self.around)
        self.cores: list[Core] = []
        self._running: list[asyncio.Task[None]] = []

    @property
    def core(self) -> Core:
        return self.cores[0]

    def now_us(self) -> int:
        return self._us

    def advance(self, seconds: float) -> None:
        """Move the clock on. Calls that are still on their way arrive before their time-out."""
        if self.gateway.underway and self._underway_s + seconds > UNDERWAY_S:
            self.gateway.arrive()
        self._underway_s = self._underway_s + seconds if self.gateway.underway else 0.0
        self._us += round(seconds * US_PER_S)

    def _fate(self, is_read: bool) -> Fate:
        if is_read:
            self.blind -= self.blind > 0
            return Fate.FAILED if self.blind else Fate.WELL
        return self.fates.pop(0) if self.fates else Fate.WELL

    async def open(self) -> None:
        logging.getLogger("core").addHandler(self._errors)
        await self._start()

    async def close(self) -> None:
        await self._stop()
        logging.getLogger("core").removeHandler(self._errors)

    async def _start(self) -> None:
        self.engine = connect(self._url)
        if self.engine.dialect.name == "sqlite":
            self._files.serve(self.engine)
        self._points = None
        self._dead.clear()
        self.cores = [Core(self), Core(self)]
        self._running = [asyncio.create_task(core.executor.run()) for core in self.cores]

    async def _stop(self) -> None:
        cut: set[asyncio.Task[Any]] = set()
        async with asyncio.timeout(STUCK_S):
            while others := _others():
                # What is cut may begin something new, such as giving back a lease: this is cut too.
                for task in others - cut:
                    # A connection that is just being closed belongs to the kernel, so to speak.
                    if "sqlalchemy" not in task.get_coro().cr_code.co_filename:  # type: ignore[union-attr]
                        task.cancel()
                cut |= others
                await asyncio.wait(
                    others, timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
        await self.engine.dispose()
        self._files.close()

    def die_after(self, points: int) -> None:
        """Cut the power after so many more transactions and calls, or halves of them."""
        self._points = points

    def live(self) -> None:
        """Cancel all planned deaths and faults."""
        self._points = None
        self.fates.clear()
        self.blind = 0

    async def around(self) -> None:
        """Pass a point at which the power may be cut; then it does not return."""
        if self._points is None:
            return
        self._points -= 1
        if self._points < 0:
            self._dead.set()
            await asyncio.Event().wait()

    async def run(self, *doing: Coroutine[Any, Any, Any]) -> bool:
        """Run these at the same time; answer False if the power was cut, and core is restarted."""
        tasks = [asyncio.create_task(one) for one in doing]
        dead = asyncio.create_task(self._dead.wait())
        done = asyncio.gather(*tasks)
        try:
            async with asyncio.timeout(STUCK_S):
                both: list[asyncio.Future[Any]] = [done, dead]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            dead.cancel()
        if self._dead.is_set():
            self.deaths += 1
            await self._stop()
            await self._start()
            await asyncio.gather(done, return_exceptions=True)
            return False
        await done
        self._errors.check()
        return True

    async def call(self, who: Caller, act: Callable[[Core], Coroutine[Any, Any, Answer]]) -> Answer:
        """Make an RPC as a user, and repeat it after each death until it is answered."""
        answers: list[Answer] = []

        async def once() -> None:
            guard._verified.set(Verified(who, float("inf")))
            answers.append(await act(self.core))

        while not await self.run(once()):
            pass
        return answers[-1]

    async def deliver(self, index: int, core: int = 0, *, again: str = "") -> None:
        """Deliver one of Razorpay's webhooks; `again` makes it another delivery of the same."""
        event_id, body = self.gateway.told[index % len(self.gateway.told)]
        signature = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        await self.cores[core].inbox.ingest(body, signature, event_id + again)


def _others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


class _Errors(logging.Handler):
    """Fails the test when core logs an error, because each one breaks a promise."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(self.format(record))

    def check(self) -> None:
        said, self._said = self._said, []
        assert not said, "\n".join(said)
