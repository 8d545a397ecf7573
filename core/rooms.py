"""All that works behind the services, wired: opened in order, closed in reverse."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.attachments import choice
from core.attachments import prune as attachment_prune
from core.attachments.archive import Archive
from core.books.audit import EVERY_S, Auditor
from core.books.fold import Folder
from core.books.recon import Recon
from core.clock import SteadyClock, Timekeeper
from core.config import Settings
from core.execute import Committed, Executor
from core.feed.sequence import Sequencer
from core.feed.tail import Tail
from core.heartbeat import Heartbeat
from core.live import bell
from core.live.feed import Feed
from core.live.follow import Followers
from core.live.need import Need
from core.nats.exchange import Exchange
from core.razorpay import TIMEOUT_S, Gateway
from core.settlement import prune
from core.settlement.compare import Comparer
from core.settlement.deadline import Clock
from core.settlement.look import order_of
from core.settlement.override import Overrider
from core.settlement.patience import Patience
from core.settlement.prune import Pruner
from core.settlement.recon import SettlementReports
from core.settlement.reconcile import Reconciler, Schedule
from core.settlement.settle import Settler
from core.settlement.webhook import Inbox
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.pooler import require_sessions
from core.storage.store import Store
from core.storage.trouble import storage_errors
from core.storage.vital import Vitals
from core.strain import Strain
from core.webhooks import prune as webhook_prune
from core.webhooks.address import Guard
from core.webhooks.dispatch import Dispatcher
from core.webhooks.pace import Pace
from core.webhooks.post import Poster


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that works behind the services, wired and not yet running."""

    store: Store
    feed: Feed
    followers: Followers
    tail: Tail
    need: Need
    nats: Exchange | None
    sequencer: Sequencer
    gateway: Gateway
    executor: Executor
    settler: Settler
    overrider: Overrider
    reconciler: Reconciler
    auditor: Auditor
    folder: Folder
    recon: Recon
    inbox: Inbox
    pruner: Pruner
    clock: Clock
    guard: Guard
    dispatcher: Dispatcher
    delivery_pruner: webhook_prune.Pruner
    archive: Archive
    attachment_pruner: attachment_prune.Pruner
    vitals: Vitals
    timekeeper: Timekeeper
    now_us: Callable[[], int]


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    patience: Patience | None = None,
    schedule: Schedule | None = None,
    pace: Pace | None = None,
    gateway_timeout_s: float | None = None,
    strain: Strain | None = None,
    is_alone: bool = False,
) -> AsyncIterator[Rooms]:
    """Open the database and the gateway, migrate, and wire the rooms; closes them at the end.

    Settlement waits for its turns at `strain`. With `is_alone` no other core may serve the same
    SQLite file. Raises Refusal
    STORAGE_UNAVAILABLE, whose cause says more (core.storage.trouble).
    """
    turn = (strain or Strain()).turn
    async with contextlib.AsyncExitStack() as stack:
        engine = connect(settings.database_url)
        stack.push_async_callback(engine.dispose)
        with storage_errors():
            await require_sessions(settings.database_url)
            if is_alone and engine.file is not None:
                stack.enter_context(engine.file.alone())
        await upgrade(engine)
        store = Store(engine, notifies=settings.nats_url is None)
        vitals = Vitals(engine)
        now_us = SteadyClock()
        timekeeper = Timekeeper(store, vitals, now_us)
        await timekeeper.start()
        need = Need()
        feed = Feed(store, need)
        tail = Tail(store.positions, feed, need)
        nats = None
        if settings.nats_url is not None:
            url = settings.nats_url.get_secret_value()
            nats = Exchange(url, store, now_us=now_us, need=need, feed=feed, tail=tail)
        gateway = Gateway(
            key_id=settings.razorpay_key_id,
            key_secret=settings.razorpay_key_secret.get_secret_value(),
            base_url=settings.razorpay_base_url,
            timeout_s=gateway_timeout_s or TIMEOUT_S,
        )
        stack.push_async_callback(gateway.close)
        archive = Archive(
            store,
            await choice.opened(settings.attachments_url),
            now_us=now_us,
            new_id=lambda: str(uuid.uuid4()),
        )
        stack.push_async_callback(archive.close)
        guard = Guard(allow_private=settings.webhooks_allow_private)
        stack.callback(guard.close)
        poster = Poster(guard)
        stack.push_async_callback(poster.close)

        dispatcher = Dispatcher(store, poster, now_us=now_us, pace=pace, known=feed.known)

        def placed(committed: Sequence[Committed]) -> None:
            tail.ring()
            dispatcher.news()
            if nats is not None:
                nats.placed(committed)

        sequencer = Sequencer(store.positions.give, placed)

        def published(committed: Sequence[Committed]) -> None:
            feed.publish(committed)
            if nats is not None:
                nats.bells.publish(committed)
            # On SQLite what is committed has its position.
            (sequencer.publish if store.is_postgres else placed)(committed)

        executor = Executor(store, now_us=now_us, published=published, owed=lambda: settler.ring())
        settler = Settler(
            store,
            executor,
            gateway,
            now_us=now_us,
            patience=patience,
            turn=turn,
        )
        inbox = Inbox(
            store,
            executor,
            secrets=settings.webhook_secrets,
            now_us=now_us,
            ring_settlement=settler.ring,
            order_of=functools.partial(order_of, gateway),
        )
        yield Rooms(
            store=store,
            feed=feed,
            followers=Followers(store, tail),
            tail=tail,
            need=need,
            nats=nats,
            sequencer=sequencer,
            gateway=gateway,
            executor=executor,
            settler=settler,
            overrider=Overrider(
                store,
                executor,
                gateway,
                now_us=now_us,
                patience=patience,
                ring_settlement=settler.ring,
            ),
            reconciler=Reconciler(
                store,
                executor,
                gateway,
                now_us=now_us,
                schedule=replace(schedule or Schedule(), forget_s=settings.checks_keep_s),
                turn=turn,
            ),
            auditor=Auditor(store, Comparer(gateway).differences, now_us=now_us),
            folder=Folder(store),
            recon=Recon(store, SettlementReports(gateway), now_us=now_us),
            inbox=inbox,
            pruner=Pruner(store, keep_s=settings.inbox_keep_s, now_us=now_us),
            clock=Clock(
                store,
                executor,
                now_us=now_us,
                is_believed=lambda: not timekeeper.problem,
                ring_settlement=settler.ring,
            ),
            guard=guard,
            dispatcher=dispatcher,
            delivery_pruner=webhook_prune.Pruner(
                store, keep_s=settings.webhooks_keep_s, now_us=now_us
            ),
            archive=archive,
            attachment_pruner=attachment_prune.Pruner(store, archive, now_us=now_us),
            vitals=vitals,
            timekeeper=timekeeper,
            now_us=now_us,
        )


@dataclass(frozen=True, slots=True)
class Loop:
    """What runs as long as core serves: its heartbeat, and the coroutine itself."""

    heartbeat: Heartbeat
    run: Coroutine[Any, Any, None]


def loops(rooms: Rooms, settings: Settings) -> list[Loop]:
    """Make the loops of all rooms, not yet running; seconds are how long each may be silent."""
    made = [
        _loop("executor", 60, rooms.executor.run()),
        _loop("inbox", 120, rooms.inbox.run()),
        _loop("pruning", 2 * prune.EVERY_S, rooms.pruner.run()),
        _loop("settlement", 60, rooms.settler.run()),
        # A page of escrows, each with several calls to Razorpay that may all time out.
        _loop("reconciliation", 1_800, rooms.reconciler.run()),
        _loop("bank_disputes", 2_400, rooms.reconciler.run_disputes()),
        _loop("books", EVERY_S + 1_800, rooms.auditor.run()),
        # A day's report may have a thousand pages.
        _loop("recon", 3_600, rooms.recon.run()),
        _loop("balances", 60, rooms.folder.run()),
        _loop("deadlines", 60, rooms.clock.run()),
        _loop("watchers", 60, rooms.feed.sweep()),
        _loop("followers", 60, rooms.tail.run()),
        _loop("clock", 60, rooms.timekeeper.run()),
        _loop("webhooks", 60, rooms.dispatcher.run()),
        _loop("delivery_pruning", 2 * webhook_prune.EVERY_S, rooms.delivery_pruner.run()),
    ]
    made.append(
        _loop("attachment_pruning", 2 * attachment_prune.EVERY_S, rooms.attachment_pruner.run())
    )
    if rooms.store.is_postgres:
        made.append(_loop("sequencer", 60, rooms.sequencer.run()))
    if rooms.nats is not None:
        made += [_loop(name, 60, run) for name, run in rooms.nats.loops().items()]
    elif rooms.store.is_postgres:
        made.append(_loop("bell", 60, _listen(rooms, settings)))
    return made


def _loop(name: str, limit_s: float, run: Coroutine[Any, Any, None]) -> Loop:
    return Loop(Heartbeat(name, limit_s), run)


def _listen(rooms: Rooms, settings: Settings) -> Coroutine[Any, Any, None]:
    def look() -> None:
        rooms.feed.look()
        rooms.tail.ring()

    dsn = settings.database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
    return bell.listen(
        dsn,
        need=rooms.need,
        ring=rooms.feed.ring,
        ring_feed=rooms.tail.ring,
        reconnected=look,
    )
