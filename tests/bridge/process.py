"""`python -m bridge` as a process, for the tests of start, stop and workers."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.bridge import SECRET, token

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0

Start = Callable[..., Awaitable[Process]]


@asynccontextmanager
async def starting(core_address: str) -> AsyncIterator[Start]:
    """Give a function that starts a bridge with other settings; what still runs is killed."""
    started: list[Process] = []

    async def run(**changed: str) -> Process:
        environment = {
            "PATH": os.environ["PATH"],
            "PORT": "0",
            "CORE_ADDRESS": core_address,
            "JWT_SECRET": SECRET,
            "BRIDGE_TOKEN": token("bridge", roles=["service"]),
            "LOG_FORMAT": "json",
            **changed,
        }
        command = (sys.executable, "-m", "bridge")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stderr=PIPE, stdout=PIPE
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def address(process: Process) -> str:
    return str((await logged(process, "the bridge is ready"))["address"])


async def logged(process: Process, event: str) -> dict[str, Any]:
    """Read the log until an event comes; answer its line."""
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while line := await process.stderr.readline():
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
    raise AssertionError(f"the bridge ended before it said: {event}")
