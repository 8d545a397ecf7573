"""The bridge's metrics, in a registry of their own, so that two apps in a process do not clash."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from escrow.v1.ledger_service_pb2 import GetLastCheckResponse
from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class Metrics:
    """The families: the bridge's own, `holdfast_bridge_…`, and what core says of its books."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self.sockets = self._gauge("sockets", "Open WebSocket connections")
        self.subscriptions = self._gauge("subscriptions", "Subscriptions of all connections")
        self.watches = self._gauge("watches", "Watched escrows, all on one upstream stream")
        self.follows = self._gauge("follows", "Upstream streams, one for each followed user")
        self.core_connected = self._gauge("core_connected", "1 while core is connected")
        self.ready = self._gauge("ready", "1 while events can be delivered and webhooks taken")
        self.token_left_s = self._gauge(
            "token_left_seconds", "Seconds until BRIDGE_TOKEN expires; NaN while unknown"
        )
        self.connections = self._gauge("connections", "Open connections of all kinds")
        self.connections_dropped = Counter(
            "holdfast_bridge_connections_dropped",
            "Connections cut or not accepted, by reason",
            ["why"],
            registry=self.registry,
        )
        self.closes = Counter(
            "holdfast_bridge_closes",
            "Connections ended by the bridge, by close code",
            ["code"],
            registry=self.registry,
        )
        self.errors = Counter(
            "holdfast_bridge_error_frames", "Error frames", ["code"], registry=self.registry
        )
        self.webhooks = Counter(
            "holdfast_bridge_webhooks",
            "Webhook deliveries by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self.latency_s = Histogram(
            "holdfast_bridge_event_to_frame_seconds",
            "From an event's create_time until its frames are queued for every socket",
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def count_frames(self, read: Callable[[], int]) -> None:
        """Publish the flusher's own count of frames, which costs less than a Counter's lock."""
        self.registry.register(_Frames(read))

    def render_own(self) -> bytes:
        """Write the metrics of this process in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"holdfast_bridge_{name}", text, registry=self.registry)


def books(check: GetLastCheckResponse | None) -> bytes:
    """Write what core says of its books in the same format; nothing before its first check."""
    registry = CollectorRegistry()
    if check is not None and check.HasField("check_time"):
        registry.register(_Books(check))
    return generate_latest(registry)


class _Frames(Collector):
    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "holdfast_bridge_frames_sent", "Frames written to sockets", value=self._read()
        )


class _Books(Collector):
    def __init__(self, check: GetLastCheckResponse) -> None:
        self._check = check

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "holdfast_books_findings",
            "What core's last check of the books has found wrong",
            value=len(self._check.findings),
        )
        yield GaugeMetricFamily(
            "holdfast_books_escrows_checked",
            "Escrows in core's last check of the books",
            value=self._check.escrows_checked,
        )
        yield GaugeMetricFamily(
            "holdfast_books_check_time_seconds",
            "When core has last checked the books, seconds since the epoch",
            value=self._check.check_time.ToMilliseconds() / 1000,
        )
