"""Serves metrics for Prometheus at an address of their own (METRICS_LISTEN)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

# What a client that does not read its answer may hold up a stop.
SHUTDOWN_S = 1.0


class PortTaken(Exception):
    """The address of METRICS_LISTEN cannot be had."""


@asynccontextmanager
async def served(address: str | None, render: Callable[[], Awaitable[bytes]]) -> AsyncIterator[int]:
    """Serve what `render` writes at `/metrics` while the block runs; yields the port.

    Without an address nothing is served, and the port is 0. Raises PortTaken.
    """
    if address is None:
        yield 0
        return

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    host, _, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        await runner.cleanup()
        why = error.strerror or type(error).__name__
        raise PortTaken(f"METRICS_LISTEN: {address} cannot be bound: {why}") from None
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
