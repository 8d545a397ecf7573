"""The metrics of all workers as one answer, whoever of them is asked.

Each sample has the label `worker`: what counts sums up, and a worker that stands out is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bridge.workers.post import Post

# How long a worker may take to tell its metrics; one that is slower is left out.
ASK_S = 1.0
# What a worker that does not read its answer may hold up a stop.
SHUTDOWN_S = 1.0
_URL = "http://worker/"


@asynccontextmanager
async def told(post: Post | None, render: Callable[[], bytes]) -> AsyncIterator[None]:
    """Tell the other workers what `render` writes while the block runs; nothing without a post."""
    if post is None:
        yield
        return

    async def tell(_request: web.Request) -> web.Response:
        return web.Response(body=render())

    app = web.Application(client_max_size=1)
    app.router.add_get("/", tell)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(post.path())).start()
        yield
    finally:
        await runner.cleanup()


async def merged(post: Post) -> bytes:
    """Ask all workers and write what they tell, in Prometheus' text format."""
    texts = await asyncio.gather(*(_ask(path) for path in sorted(post.folder.glob("*.sock"))))
    registry = CollectorRegistry()
    registry.register(_Crew([one for one in texts if one is not None]))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True)
class _Told:
    worker: str
    families: list[Metric]


async def _ask(path: Path) -> _Told | None:
    limit = aiohttp.ClientTimeout(total=ASK_S)
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        connector = aiohttp.UnixConnector(path=str(path))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit) as http,
            http.get(_URL) as response,
        ):
            text = await response.text()
            return _Told(path.stem, list(text_string_to_metric_families(text)))
    return None


class _Crew(Collector):
    def __init__(self, told: list[_Told]) -> None:
        self._told = told

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "holdfast_bridge_workers",
            "Workers that have told their metrics, of BRIDGE_WORKERS",
            value=len(self._told),
        )
        yield from self._families()

    def _families(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for one in self._told:
            for family in one.families:
                mine = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "worker": one.worker}
                    mine.add_sample(sample.name, labels, sample.value)
        yield from families.values()
