"""The only composition root: open, wire, serve, drain, close. The clock is handed in from here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from escrow.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    escrow_service_pb2,
    escrow_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from core.books.audit import Auditor
from core.config import Settings
from core.execute import Committed, Executor
from core.live import bell
from core.live.feed import Feed
from core.live.follow import Followers
from core.razorpay import TIMEOUT_S, Gateway
from core.service import reflection
from core.service.admin import AdminService
from core.service.escrow import EscrowService
from core.service.guard import Guard
from core.service.ledger import LedgerService
from core.service.payment import PaymentService
from core.service.share import Pace, Shares
from core.settlement.checkout import Checkout
from core.settlement.compare import Comparer
from core.settlement.deadline import Clock
from core.settlement.reconcile import Reconciler
from core.settlement.settle import Patience, Settler
from core.settlement.webhook import Inbox
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.pooler import require_sessions
from core.storage.store import Store
from core.storage.trouble import storage_errors
from holdfast.tokens import Verifier

log = logging.getLogger(__name__)

# How long calls under way may take when the server stops; watchers are told at once.
DRAIN_S = 5.0
# What is read for watchers when the server stops may end within this time, in seconds.
FEED_STOP_S = 2.0
# After the calls: a settlement's step that is under way, and commands on their way to the disk.
STOP_S = 9.5
# The longest request: a webhook of 1 MiB and its frame.
MAX_MESSAGE_BYTES = 2 << 20
# Streams that may open at once; by default gRPC cancels more than about 1,000.
MAX_PENDING_REQUESTS = 100_000

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.server.max_pending_requests", MAX_PENDING_REQUESTS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_REQUESTS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # A second core on the same port must fail, not share it.
    ("grpc.so_reuseport", 0),
]

SERVICES = [
    escrow_service_pb2.DESCRIPTOR.services_by_name["EscrowService"].full_name,
    payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name,
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name,
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
]


def now_us() -> int:
    """The wall clock, whole microseconds since the epoch."""
    return time.time_ns() // 1000


class PortTaken(Exception):
    """The address of CORE_LISTEN cannot be had."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that works behind the services, wired and not yet running."""

    store: Store
    feed: Feed
    followers: Followers
    gateway: Gateway
    executor: Executor
    settler: Settler
    reconciler: Reconciler
    auditor: Auditor
    inbox: Inbox
    clock: Clock


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    patience: Patience | None = None,
    gateway_timeout_s: float | None = None,
    is_alone: bool = False,
) -> AsyncIterator[Rooms]:
    """Open the database and the gateway, migrate, and wire the rooms; closes them at the end.

    With `is_alone` no other core may serve the same SQLite file. Raises Refusal
    STORAGE_UNAVAILABLE, whose cause says more (core.storage.trouble).
    """
    async with contextlib.AsyncExitStack() as stack:
        engine = connect(settings.database_url)
        stack.push_async_callback(engine.dispose)
        with storage_errors():
            await require_sessions(settings.database_url)
            if is_alone and engine.file is not None:
                stack.enter_context(engine.file.alone())
        await upgrade(engine)
        store = Store(engine)
        feed = Feed(store)
        followers = Followers(store, feed, now_us=now_us)
        gateway = Gateway(
            key_id=settings.razorpay_key_id,
            key_secret=settings.razorpay_key_secret.get_secret_value(),
            base_url=settings.razorpay_base_url,
            timeout_s=gateway_timeout_s or TIMEOUT_S,
        )
        stack.push_async_callback(gateway.close)

        def published(committed: Sequence[Committed]) -> None:
            feed.publish(committed)
            followers.publish(committed)
            settler.ring()

        executor = Executor(store, now_us=now_us, published=published)
        settler = Settler(store, executor, gateway, now_us=now_us, patience=patience)
        inbox = Inbox(
            store,
            executor,
            secrets=settings.webhook_secrets,
            now_us=now_us,
            ring_settlement=settler.ring,
        )
        yield Rooms(
            store=store,
            feed=feed,
            followers=followers,
            gateway=gateway,
            executor=executor,
            settler=settler,
            reconciler=Reconciler(store, executor, gateway, now_us=now_us),
            auditor=Auditor(store, Comparer(gateway).differences, now_us=now_us),
            inbox=inbox,
            clock=Clock(store, executor, now_us=now_us),
        )


@dataclass(frozen=True, slots=True)
class Core:
    """A running core: the port that it serves, and its rooms.

    `broken` is set when one of its loops has ended, which none ever should: nothing is lost, and
    only a new process goes on.
    """

    port: int
    rooms: Rooms
    broken: asyncio.Event


@contextlib.asynccontextmanager
async def serving(
    settings: Settings,
    *,
    patience: Patience | None = None,
    gateway_timeout_s: float | None = None,
) -> AsyncIterator[Core]:
    """Serve until the block ends; then watchers go, calls finish, loops stop, files close."""
    async with contextlib.AsyncExitStack() as stack:
        verifier = Verifier(
            secret=settings.jwt_secret.get_secret_value() if settings.jwt_secret else None,
            jwks_url=settings.jwt_jwks_url,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
        stack.push_async_callback(verifier.close)
        server = grpc.aio.server(
            interceptors=[Guard(verifier, Pace(_shares(settings)))], options=OPTIONS
        )
        # Before the database is touched: a port that is taken must change nothing.
        port = _bind(server, settings)
        stack.push_async_callback(server.stop, None)
        rooms = await stack.enter_async_context(
            opened(settings, patience=patience, gateway_timeout_s=gateway_timeout_s, is_alone=True)
        )
        healthy = _add_services(server, rooms, settings)
        broken = asyncio.Event()
        tasks = [_kept(loop, broken) for loop in _loops(rooms, settings)]
        stack.push_async_callback(_stop, tasks)
        await server.start()
        for name in ["", *SERVICES]:
            await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
        log.info("core serves %s:%d", settings.core_listen.rsplit(":", 1)[0], port)
        try:
            yield Core(port, rooms, broken)
        finally:
            await healthy.enter_graceful_shutdown()
            rooms.followers.close()
            await _within(FEED_STOP_S, rooms.feed.close())
            await server.stop(DRAIN_S)
            await _within(STOP_S, asyncio.gather(rooms.settler.close(), rooms.executor.close()))


def _add_services(
    server: grpc.aio.Server, rooms: Rooms, settings: Settings
) -> health.HealthServicer:
    store, executor = rooms.store, rooms.executor
    escrows = EscrowService(
        store,
        executor,
        rooms.feed,
        rooms.followers,
        fee_bps=settings.platform_fee_bps,
        shares=_shares(settings),
    )
    payments = PaymentService(
        store,
        executor,
        Checkout(rooms.gateway),
        rooms.inbox,
        now_us=now_us,
        ring_settlement=rooms.settler.ring,
    )
    ledger = LedgerService(store, rooms.auditor)
    escrow_service_pb2_grpc.add_EscrowServiceServicer_to_server(escrows, server)
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, server)
    ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminService(), server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    names = [*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
    reflection.enable(names, server)
    return healthy


def _shares(settings: Settings) -> Shares:
    return Shares(
        calls_per_s=settings.limit_user_calls_per_s,
        unpaid=settings.limit_user_unpaid,
        unpaid_towards=settings.limit_user_unpaid_towards,
    )


def _loops(rooms: Rooms, settings: Settings) -> list[Coroutine[Any, Any, None]]:
    loops = [
        rooms.executor.run(),
        rooms.inbox.run(),
        rooms.settler.run(),
        rooms.reconciler.run(),
        rooms.reconciler.run_disputes(),
        rooms.auditor.run(),
        rooms.clock.run(),
        rooms.feed.sweep(),
        rooms.followers.sweep(),
    ]
    if rooms.store.is_postgres:
        dsn = settings.database_url.replace("postgresql+asyncpg://", "postgresql://", 1)

        def ring(escrow_id: str, version: int) -> None:
            rooms.feed.ring(escrow_id, version)
            rooms.followers.ring(escrow_id)

        def look() -> None:
            rooms.feed.look()
            rooms.followers.look()

        loops.append(bell.listen(dsn, ring=ring, reconnected=look))
    return loops


async def reconcile(
    settings: Settings, since_us: int, progress: Callable[[int, int], None]
) -> tuple[int, int]:
    """Ask Razorpay about all that changed since a time: (escrows asked about, escrows changed).

    May run beside a serving core. Calls `progress` with the same figures as it goes on.
    """
    async with opened(settings) as rooms:
        running = asyncio.create_task(rooms.executor.run())
        try:
            return await rooms.reconciler.since(since_us, progress)
        finally:
            await rooms.executor.close()
            await _stop([running])


def _kept(loop: Coroutine[Any, Any, None], broken: asyncio.Event) -> asyncio.Task[None]:
    """Run a loop, and say so when something that it did not expect ends it."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("a loop of core has ended", exc_info=task.exception())
            broken.set()

    task = asyncio.create_task(loop)
    task.add_done_callback(ended)
    return task


async def _within(limit_s: float, closing: Awaitable[object]) -> None:
    """Wait for the end of something, but not for a database or a provider that is silent."""
    try:
        async with asyncio.timeout(limit_s):
            await closing
    except TimeoutError:
        log.warning("core stops without waiting any longer; what was under way is taken up again")


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _bind(server: grpc.aio.Server, settings: Settings) -> int:
    address = settings.core_listen
    try:
        if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
            port = server.add_insecure_port(address)
        else:
            client_ca = settings.grpc_tls_client_ca
            credentials = grpc.ssl_server_credentials(
                [(settings.grpc_tls_key.read_bytes(), settings.grpc_tls_cert.read_bytes())],
                root_certificates=client_ca.read_bytes() if client_ca else None,
                require_client_auth=client_ca is not None,
            )
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if not port:
        raise PortTaken(f"CORE_LISTEN: {address} cannot be bound; is another core running there?")
    return port
