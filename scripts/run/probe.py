"""Checks whether a process answers yet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ASK_LIMIT_S = 2.0
ASK_AGAIN_S = 0.1


async def until(answers: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes. Has no limit of its own: the caller sets one for all."""
    while not await answers():  # noqa: ASYNC110 (another process sets no Event here)
        await asyncio.sleep(ASK_AGAIN_S)


async def http_answers(url: str) -> bool:
    """Whether a GET of `url` answers 200."""
    limit = aiohttp.ClientTimeout(total=ASK_LIMIT_S)
    try:
        async with aiohttp.ClientSession(timeout=limit) as client, client.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def core_serves(address: str) -> bool:
    """Whether the health service at `address` (plain text) says SERVING."""
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=ASK_LIMIT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def port_opens(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now; False for a name that does not resolve."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            # As servers do, so that connections in TIME_WAIT do not count.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError:
        return False
    return True
