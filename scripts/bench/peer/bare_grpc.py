"""A bare grpc.aio server, whose one method answers nothing.

`python -m scripts.bench.peer.bare_grpc PORT`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc

# The generator calls the same method of core.
SERVICE, METHOD = "grpc.health.v1.Health", "Check"


async def _answer(_request: bytes, _context: Any) -> bytes:
    return b""


async def _serve(port: int) -> None:
    server = grpc.aio.server()
    method: Any = grpc.unary_unary_rpc_method_handler(_answer)
    handler = grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
