"""Core's metrics as Prometheus reads them, made anew at each scrape from what the rooms know."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.books.audit import Auditor, AuditState
from core.books.recon import Recon, ReconState
from core.errors import Refusal
from core.health import Health
from core.heartbeat import Heartbeat
from core.nats.exchange import Vitals as NatsVitals
from core.storage.condition import Condition
from core.storage.position import Positions
from core.storage.vital import Vitals
from core.storage.webhook import Standing, Webhooks
from holdfast.keys import KeyServer

US_PER_S = 1_000_000
# What is counted in the database is asked no more often, however many scrape.
ASK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from."""

    health: Health
    condition: Condition
    vitals: Vitals
    heartbeats: Sequence[Heartbeat]
    auditor: Auditor
    recon: Recon
    positions: Positions
    keys: KeyServer | None
    commands: Counter[str]
    razorpay: Counter[str]
    webhooks: Counter[str]
    endpoints: Webhooks
    tries: Counter[str]
    clock_problem: Callable[[], str]
    # What there is to know of NATS; None where it is not used.
    nats: Callable[[], NatsVitals] | None
    now_us: Callable[[], int]


@dataclass(slots=True)
class _Counted:
    """What was last counted in the database."""

    at_s: float = -ASK_EVERY_S
    ages_s: Mapping[str, float] = field(default_factory=dict)
    attention: Mapping[str, int] = field(default_factory=dict)
    recon: ReconState | None = None
    audit: AuditState | None = None
    position: int = 0
    unplaced: int = 0
    unplaced_age_s: float = 0.0
    endpoints: Standing | None = None


class Metrics:
    """Renders all of it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._counted = _Counted()

    async def render(self) -> bytes:
        """Answer the text of a scrape; what the database cannot answer keeps its last figures."""
        if time.monotonic() - self._counted.at_s >= ASK_EVERY_S:
            await self._count()
        registry = CollectorRegistry()
        registry.register(_Scrape(self._sources, self._counted))
        return generate_latest(registry)

    async def _count(self) -> None:
        sources = self._sources
        try:
            since_us = await sources.vitals.oldest_work(sources.now_us())
            attention = await sources.vitals.attention()
            recon = await sources.recon.state()
            audit = await sources.auditor.state()
            position = await sources.positions.newest()
            unplaced, oldest_us = await sources.positions.waiting()
            endpoints = await sources.endpoints.standing(sources.now_us())
        except Refusal:
            return
        now_us = sources.now_us()
        ages_s = {kind: max(now_us - us, 0) / US_PER_S for kind, us in since_us.items()}
        age_s = max(now_us - (oldest_us or now_us), 0) / US_PER_S
        self._counted = _Counted(
            time.monotonic(), ages_s, attention, recon, audit, position, unplaced, age_s, endpoints
        )


class _Scrape(Collector):
    def __init__(self, sources: Sources, counted: _Counted) -> None:
        self._sources = sources
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        yield from self._health()
        yield from self._work()
        yield from self._feed()
        yield from self._out()
        yield from self._books()
        yield from self._keys()
        if self._sources.nats is not None:
            yield from self._nats(self._sources.nats())

    def _health(self) -> Iterator[Metric]:
        sources = self._sources
        able = "storage" not in sources.health.problems
        yield _gauge("able_to_commit", "1 while the database takes commits.", float(able))
        text = "Seconds since the last commit that succeeded."
        yield _gauge("last_commit_age_seconds", text, sources.condition.quiet_s)
        problem = _labelled("problem", "1 for each part that keeps core from its job.", "part")
        for name in sources.health.problems:
            problem.add_metric([name], 1)
        yield problem
        degraded = _labelled("degraded", "1 for each helper that core does without.", "part")
        for name in sources.health.degraded:
            degraded.add_metric([name], 1)
        yield degraded
        believed = float(not sources.clock_problem())
        yield _gauge("clock_believed", "0 while deadlines wait because of the clock.", believed)
        age = _labelled("loop_age_seconds", "Seconds since a loop last came round.", "loop")
        alive = _labelled("loop_alive", "0 when a loop has not come round in time.", "loop")
        for heartbeat in sources.heartbeats:
            age.add_metric([heartbeat.name], heartbeat.age_s)
            alive.add_metric([heartbeat.name], float(not heartbeat.is_stuck))
        yield age
        yield alive

    def _work(self) -> Iterator[Metric]:
        sources, counted = self._sources, self._counted
        oldest = _labelled(
            "oldest_work_age_seconds", "Seconds since the oldest due work is due.", "kind"
        )
        for kind in ("owed", "inbox", "checks"):
            oldest.add_metric([kind], counted.ages_s.get(kind, 0.0))
        yield oldest
        attention = _labelled("escrows_with_attention", "Escrows that need a person.", "code")
        for code, count in counted.attention.items():
            attention.add_metric([code], count)
        yield attention
        yield _counter("commands", "Commands by what became of them.", "outcome", sources.commands)
        text = "Calls to Razorpay by how they ended."
        yield _counter("razorpay_calls", text, "outcome", sources.razorpay)
        text = "Webhooks by what became of them; those not understood are counted beside."
        yield _counter("webhooks", text, "outcome", sources.webhooks)

    def _feed(self) -> Iterator[Metric]:
        counted = self._counted
        text = "The newest position of the feed."
        yield _gauge("feed_position", text, float(counted.position))
        text = "Events that are committed and have no position yet."
        yield _gauge("feed_waiting", text, float(counted.unplaced))
        text = "Seconds since the oldest of them was committed."
        yield _gauge("feed_waiting_age_seconds", text, counted.unplaced_age_s)

    def _out(self) -> Iterator[Metric]:
        text = "Tries to deliver a webhook to an endpoint by how they ended."
        yield _counter("webhook_tries", text, "outcome", self._sources.tries)
        standing = self._counted.endpoints
        if standing is None:
            return
        text = "Webhook endpoints by how they stand; a failing or disabled one needs a person."
        endpoints = _labelled("webhook_endpoints", text, "state")
        for state, count in standing.counts.items():
            endpoints.add_metric([state], count)
        yield endpoints
        text = "Deliveries of webhooks that are not ended."
        yield _gauge("webhook_deliveries_pending", text, float(standing.pending))
        age_s = 0.0
        if standing.due_us is not None:
            age_s = max(self._sources.now_us() - standing.due_us, 0) / US_PER_S
        text = "Seconds since the oldest due delivery of an enabled endpoint is due."
        yield _gauge("webhook_oldest_due_age_seconds", text, age_s)

    def _books(self) -> Iterator[Metric]:
        audit = self._counted.audit
        if audit is not None:
            yield from self._audit(audit)
        recon = self._counted.recon
        if recon is not None:
            age_s = max(self._sources.now_us() - recon.look_time_us, 0) / US_PER_S
            text = "Seconds since any core looked at a settlement report of Razorpay's."
            yield _gauge("recon_look_age_seconds", text, age_s)
            text = "Lines of the latest settlement reports that the books do not explain."
            yield _gauge("recon_findings", text, float(len(recon.findings)))

    def _audit(self, audit: AuditState) -> Iterator[Metric]:
        row, now_us = audit.progress, self._sources.now_us()
        if row.check_time_us is not None:
            age_s = max(now_us - row.check_time_us, 0) / US_PER_S
            yield _gauge("books_check_age_seconds", "Seconds since the last check.", age_s)
            text = "What the checks of the books have found and not seen mended."
            yield _gauge("books_findings", text, float(audit.findings_count))
        text = "Escrows that the walk over all of them has passed."
        yield _gauge("books_walk_checked", text, float(row.walk_checked))
        text = "Escrows that there were when the walk over all of them began."
        yield _gauge("books_walk_total", text, float(row.walk_total))
        since_us = row.whole_begin_us if row.whole_begin_us is not None else row.walk_begin_us
        if since_us is not None:
            text = "Seconds since the last whole walk began: no escrow was looked at longer ago."
            yield _gauge("books_walk_age_seconds", text, max(now_us - since_us, 0) / US_PER_S)

    def _nats(self, vitals: NatsVitals) -> Iterator[Metric]:
        yield _gauge("nats_up", "1 while core is connected to NATS.", float(vitals.is_up))
        text = "Bells by NATS by what became of them."
        yield _counter("nats_bells", text, "outcome", vitals.bells)
        text = "Events by what became of them on their way to JetStream."
        yield _counter("nats_events", text, "outcome", vitals.events)
        if vitals.position is not None:
            text = "Position up to which JetStream has all events; only of the core that publishes."
            yield _gauge("nats_stream_position", text, float(vitals.position))

    def _keys(self) -> Iterator[Metric]:
        keys = self._sources.keys
        if keys is not None:
            up = float(not keys.problem)
            yield _gauge("key_server_up", "0 while the last fetch of the keys failed.", up)
            if keys.age_s is not None:
                yield _gauge("keys_age_seconds", "Seconds since keys were fetched.", keys.age_s)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_core_{name}", text, value=value)


def _labelled(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"holdfast_core_{name}", text, labels=[label])


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"holdfast_core_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
