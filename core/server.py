"""Serves core: binds, opens its rooms, runs their loops, drains, closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass

import grpc
from escrow.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    attachment_service_pb2,
    attachment_service_pb2_grpc,
    escrow_service_pb2,
    escrow_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
    profile_service_pb2,
    profile_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core.config import Settings
from core.health import Health
from core.heartbeat import Heartbeat, keep, stop
from core.live.revoke import Revoker
from core.metrics import Metrics, Sources
from core.rooms import Loop, Rooms, loops, opened
from core.service import reflection
from core.service.admin import AdminService
from core.service.attachment import AttachmentService
from core.service.escrow import EscrowService
from core.service.feed import FeedService
from core.service.guard import Guard
from core.service.ids import NewIds
from core.service.ledger import LedgerService
from core.service.payee import Payees
from core.service.payment import PaymentService
from core.service.profile import ProfileService
from core.service.share import Pace, Shares
from core.service.watches import Watches
from core.service.webhook import WebhookService
from core.settlement.checkout import Checkout
from core.settlement.inspect import Inspector
from core.settlement.patience import Patience
from core.settlement.reconcile import Schedule
from core.settlement.retry import Retrier
from core.strain import Strain
from core.webhooks.pace import Pace as WebhookPace
from holdfast import descriptors
from holdfast.metrics import served
from holdfast.revocation import Revocations
from holdfast.tokens import Verifier

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
# How long calls under way may take when the server stops; watchers are told at once.
DRAIN_S = 5.0
# What is read for watchers when the server stops may end within this time, in seconds.
FEED_STOP_S = 2.0
# After the calls: a settlement's step that is under way, and commands on their way to the disk.
STOP_S = 9.5
# How long the room that watches the others may be silent itself.
HEALTH_LIMIT_S = 30.0
# How long the room that reads the revocations may be silent.
REVOKER_LIMIT_S = 60.0
# The longest request: a webhook of 1 MiB and its frame.
MAX_MESSAGE_BYTES = 2 << 20
# Streams that may open at once; by default gRPC cancels more than about 1,000.
MAX_PENDING_REQUESTS = 100_000

# How long a connection may take until it speaks HTTP/2: gRPC itself would wait for two minutes.
HANDSHAKE_S = 10.0
# How long a connection without a call or a stream is kept. Its client makes another with its next
# call.
IDLE_S = 60.0
# Files that may be open for everything but connections: the database's, the calls to Razorpay.
DESCRIPTORS_KEPT = 256

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.server.max_pending_requests", MAX_PENDING_REQUESTS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_REQUESTS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Less than what a client of ours sends, or it would be told to calm down.
    ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
    # A client that fell silent is noticed after the first two together: 13 s. The HTTP/2 layer's
    # own ping time-out (60 s by default) would rule over the second.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
    ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),
    # A second core on the same port must fail, not share it.
    ("grpc.so_reuseport", 0),
]

SERVICES = [
    escrow_service_pb2.DESCRIPTOR.services_by_name["EscrowService"].full_name,
    payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name,
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name,
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
    feed_service_pb2.DESCRIPTOR.services_by_name["FeedService"].full_name,
    webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"].full_name,
    attachment_service_pb2.DESCRIPTOR.services_by_name["AttachmentService"].full_name,
    profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"].full_name,
]


class PortTaken(Exception):
    """The address of CORE_LISTEN cannot be had."""


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
    schedule: Schedule | None = None,
    webhook_pace: WebhookPace | None = None,
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
        pace, strain = Pace(_shares(settings)), Strain()
        server = grpc.aio.server(
            interceptors=[Guard(verifier, pace, strain)],
            options=[*OPTIONS, ("grpc.max_allowed_incoming_connections", _connections())],
        )
        # Before the database is touched: a port that is taken must change nothing.
        port = _bind(server, settings)
        stack.push_async_callback(server.stop, None)
        rooms = await stack.enter_async_context(
            opened(
                settings,
                patience=patience,
                schedule=schedule,
                pace=webhook_pace,
                gateway_timeout_s=gateway_timeout_s,
                strain=strain,
                is_alone=True,
            )
        )
        running = loops(rooms, settings)
        revoker = Revoker(rooms.store, verifier.revocations)
        await revoker.start()
        running.append(Loop(Heartbeat("revocations", REVOKER_LIMIT_S), revoker.run()))
        healthy = Health(
            rooms.store,
            SERVICES,
            [loop.heartbeat for loop in running],
            clock_problem=lambda: rooms.timekeeper.problem,
            helpers=rooms.nats.problems if rooms.nats is not None else {},
        )
        watches = Watches(rooms.feed, verifier, pace)
        admin = _admin_service(rooms, revoker, verifier.revocations)
        _add_services(server, rooms, settings, healthy, admin, verifier.revocations, watches)
        metrics = _metrics(rooms, healthy, running, verifier)
        await stack.enter_async_context(served(settings.metrics_listen, metrics.render))
        broken = asyncio.Event()
        running.append(Loop(Heartbeat("health", HEALTH_LIMIT_S), healthy.run()))
        tasks = [_kept(loop, broken) for loop in running]
        stack.push_async_callback(stop, tasks)
        await healthy.look()
        await server.start()
        log.info("core serves %s:%d", settings.core_listen.rsplit(":", 1)[0], port)
        try:
            yield Core(port, rooms, broken)
        finally:
            await healthy.close()
            admin.close()
            await _within(FEED_STOP_S, asyncio.gather(rooms.tail.close(), rooms.feed.close()))
            await server.stop(DRAIN_S)
            closing = (rooms.settler.close(), rooms.executor.close(), rooms.dispatcher.close())
            await _within(STOP_S, asyncio.gather(*closing))


def _admin_service(rooms: Rooms, revoker: Revoker, revocations: Revocations) -> AdminService:
    retrier = Retrier(
        rooms.store,
        rooms.executor,
        rooms.reconciler,
        now_us=rooms.now_us,
        ring_settlement=rooms.settler.ring,
    )
    return AdminService(
        rooms.store,
        revoker,
        revocations,
        rooms.executor,
        Inspector(rooms.store, rooms.gateway),
        retrier,
        now_us=rooms.now_us,
    )


def _add_services(
    server: grpc.aio.Server,
    rooms: Rooms,
    settings: Settings,
    healthy: Health,
    admin: AdminService,
    revocations: Revocations,
    watches: Watches,
) -> None:
    store, executor = rooms.store, rooms.executor
    escrows = EscrowService(
        store,
        executor,
        rooms.feed,
        rooms.followers,
        new_id=NewIds(rooms.now_us),
        fee_bps=settings.platform_fee_bps,
        remind_before_us=settings.deadline_near_s * US_PER_S,
        overrider=rooms.overrider,
        watches=watches,
        shares=_shares(settings),
        revocations=revocations,
    )
    payments = PaymentService(
        store,
        executor,
        Checkout(rooms.gateway),
        rooms.inbox,
        now_us=rooms.now_us,
        payees=Payees(
            store,
            now_us=rooms.now_us,
            cooling_s=settings.payee_cooling_s,
            ring_settlement=rooms.settler.ring,
        ),
    )
    ledger = LedgerService(store, rooms.auditor, rooms.recon)
    escrow_service_pb2_grpc.add_EscrowServiceServicer_to_server(escrows, server)
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, server)
    ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    feed_service_pb2_grpc.add_FeedServiceServicer_to_server(
        FeedService(store.positions, rooms.tail, revocations), server
    )
    webhooks = WebhookService(store, rooms.guard, now_us=rooms.now_us, ring=rooms.dispatcher.ring)
    webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server(webhooks, server)
    attachment_service_pb2_grpc.add_AttachmentServiceServicer_to_server(
        AttachmentService(store, rooms.archive), server
    )
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(
        ProfileService(store, now_us=rooms.now_us), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    names = [*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
    reflection.enable(names, server)


def _metrics(rooms: Rooms, healthy: Health, running: Sequence[Loop], verifier: Verifier) -> Metrics:
    return Metrics(
        Sources(
            health=healthy,
            condition=rooms.store.condition,
            vitals=rooms.vitals,
            heartbeats=[loop.heartbeat for loop in running],
            auditor=rooms.auditor,
            recon=rooms.recon,
            positions=rooms.store.positions,
            keys=verifier.keys,
            commands=rooms.executor.outcomes,
            razorpay=rooms.gateway.outcomes,
            webhooks=rooms.inbox.outcomes,
            endpoints=rooms.store.webhooks,
            tries=rooms.dispatcher.outcomes,
            clock_problem=lambda: rooms.timekeeper.problem,
            nats=rooms.nats.vitals if rooms.nats is not None else None,
            now_us=rooms.now_us,
        )
    )


def _shares(settings: Settings) -> Shares:
    return Shares(
        calls_per_s=settings.limit_user_calls_per_s,
        unpaid=settings.limit_user_unpaid,
        unpaid_towards=settings.limit_user_unpaid_towards,
    )


def _kept(loop: Loop, broken: asyncio.Event) -> asyncio.Task[None]:
    """Run a loop, and say so when something that it did not expect ends it."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            text = "a loop of core has ended: %s"
            log.critical(text, loop.heartbeat.name, exc_info=task.exception())
            broken.set()

    task = keep(loop.heartbeat, loop.run)
    task.add_done_callback(ended)
    return task


async def _within(limit_s: float, closing: Awaitable[object]) -> None:
    """Wait for the end of something, but not for a database or a provider that is silent."""
    try:
        async with asyncio.timeout(limit_s):
            await closing
    except TimeoutError:
        log.warning("core stops without waiting any longer; what was under way is taken up again")


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


def _connections() -> int:
    """How many connections leave the files that core itself needs."""
    return max(1, descriptors.raised() - DESCRIPTORS_KEPT)
