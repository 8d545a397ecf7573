"""Serves metrics for Prometheus at an address of their own (METRICS_LISTEN)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

# What a client that does not read its answer may hold up a stop.
SHUTDOWN_S = 1.0


class PortTaken(Exception):
    """The address of METRICS_LISTEN cannot be had."""


@asynccontextmanager
async def served(
    at: str | socket.socket | None, render: Callable[[], Awaitable[bytes]]
) -> AsyncIterator[int]:
    """Serve what `render` writes at `/metrics` while the block runs; yields the port.

    `at` is host:port, or a bound socket. Without it nothing is served, and the port is 0.
    Raises PortTaken.
    """
    if at is None:
        yield 0
        return

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await _site(runner, at).start()
    except OSError as error:
        await runner.cleanup()
        raise taken(at, error) from None
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def taken(at: object, error: OSError) -> PortTaken:
    """Make the error of an address that cannot be bound."""
    why = error.strerror or type(error).__name__
    return PortTaken(f"METRICS_LISTEN: {at} cannot be bound: {why}")


def split(address: str) -> tuple[str, int]:
    """Take host:port apart; the brackets of an IPv6 address fall off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _site(runner: web.AppRunner, at: str | socket.socket) -> web.BaseSite:
    if isinstance(at, socket.socket):
        return web.SockSite(runner, at)
    return web.TCPSite(runner, *split(at))
