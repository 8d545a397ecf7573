"""Whether this core can do its job, and why not: for gRPC's health service, the log and metrics.

Health follows the ability to commit. Where nothing was committed for a while it tries, so that an
idle core notices too. It says each problem once when it begins and once when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from core.errors import Refusal, shutting_down
from core.heartbeat import Heartbeat, beat, stop
from core.storage.store import Store

log = logging.getLogger(__name__)

_Status = health_pb2.HealthCheckResponse
# A service of health alone: NOT_SERVING while deadlines wait because of the clock.
CLOCK = "holdfast.clock"
# Before the name of a helper: a service of health alone, NOT_SERVING while core is without it.
HELPER = "holdfast."
# How often problems are looked for.
CHECK_EVERY_S = 1.0
# After so long without a commit one is tried.
PROBE_AFTER_S = 4.0
# After so long without one that succeeded, the database counts as one that takes none.
FAILING_AFTER_S = 9.0


class Health(health.HealthServicer):  # type: ignore[misc]
    """Answers grpc.health.v1.Health for each of our services, and for all (the empty name)."""

    def __init__(
        self,
        store: Store,
        services: Sequence[str],
        heartbeats: Sequence[Heartbeat],
        *,
        clock_problem: Callable[[], str],
        helpers: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        """`helpers` say what is wrong with what core can do its job without, by their names."""
        super().__init__()
        self._store = store
        self._services = ["", *services]
        self._heartbeats = heartbeats
        self._clock_problem = clock_problem
        self._helpers = helpers or {}
        self._probing: asyncio.Task[None] | None = None
        self._probed_s = 0.0
        self._told: dict[str, int] = {}
        # Set when a status changes, and replaced by a new one.
        self._news = asyncio.Event()
        self._is_closed = False
        # Why this core cannot do its job, by the part that is at fault.
        self.problems: dict[str, str] = {}
        # What it does its job without, and why, by the helper's name.
        self.degraded: dict[str, str] = {}

    async def List(self, _request: health_pb2.HealthListRequest, _context: Any) -> Any:  # noqa: N802
        """Answer every service and its status."""
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=status)
                for name, status in self._server_status.items()
            }
        )

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Write a service's status now and at each change, until `close`.

        The library's own would keep a core that stops waiting for it. Raises Refusal SHUTTING_DOWN.
        """
        told = None
        while True:
            news = self._news
            status = self._server_status.get(request.service, _Status.SERVICE_UNKNOWN)
            if status != told:
                await context.write(_Status(status=status))
                told = status
                continue
            if self._is_closed:
                raise shutting_down()
            await news.wait()

    async def close(self) -> None:
        """Say NOT_SERVING of every service from now on, and end those who watch."""
        await self.enter_graceful_shutdown()
        self._is_closed = True
        self._ring()

    async def run(self) -> None:
        """Look for problems until cancelled."""
        try:
            while True:
                beat()
                await self.look()
                await asyncio.sleep(CHECK_EVERY_S)
        finally:
            if self._probing is not None:
                await stop([self._probing])

    async def look(self) -> None:
        """Find the problems of this moment, and tell who asks for them."""
        self._probe_when_quiet()
        found = {}
        if storage := self._storage_problem():
            found["storage"] = storage
        for heartbeat in self._heartbeats:
            if heartbeat.is_stuck:
                found[heartbeat.name] = f"it has not come round for {heartbeat.age_s:.0f} s"
        for name in found.keys() - self.problems.keys():
            log.error("core cannot do its job: %s: %s", name, found[name])
        for name in self.problems.keys() - found.keys():
            log.warning("core can do its job again: %s", name)
        self.problems = found
        await self._look_at_helpers()
        for name in self._services:
            await self._tell(name, _Status.NOT_SERVING if found else _Status.SERVING)
        await self._tell(CLOCK, _Status.NOT_SERVING if self._clock_problem() else _Status.SERVING)

    async def _look_at_helpers(self) -> None:
        found = {name: text for name, ask in self._helpers.items() if (text := ask())}
        for name in found.keys() - self.degraded.keys():
            log.warning("core is degraded, and does its job without %s: %s", name, found[name])
        for name in self.degraded.keys() - found.keys():
            log.warning("core is no longer without %s", name)
        self.degraded = found
        for name in self._helpers:
            status = _Status.NOT_SERVING if name in found else _Status.SERVING
            await self._tell(f"{HELPER}{name}", status)

    async def _tell(self, service: str, status: int) -> None:
        if self._told.get(service) != status:
            self._told[service] = status
            await self.set(service, status)
            self._ring()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _storage_problem(self) -> str:
        condition = self._store.condition
        if condition.quiet_s < FAILING_AFTER_S:
            return ""
        if condition.problem:
            return condition.problem
        # Not by the silence alone: the whole process may have been paused.
        hangs_s = time.monotonic() - self._probed_s if self._is_probing else 0.0
        if hangs_s < FAILING_AFTER_S - PROBE_AFTER_S:
            return ""
        return f"a try to commit has not ended for {hangs_s:.0f} s"

    @property
    def _is_probing(self) -> bool:
        return self._probing is not None and not self._probing.done()

    def _probe_when_quiet(self) -> None:
        if not self._is_probing and self._store.condition.quiet_s >= PROBE_AFTER_S:
            self._probed_s = time.monotonic()
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        try:
            await self._store.probe()
        except Refusal:
            pass  # The store's condition knows.
        except Exception:
            log.exception("the database could not be tried")
