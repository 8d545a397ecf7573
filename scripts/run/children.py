"""The processes of a stack: started in order, their output prefixed, stopped in reverse.

Must never leave a process behind: `stop` kills what does not end in time, and the kernel kills each
child when this process is gone (bound.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

STOP_LIMIT_S = 15.0
"""How long a child may drain; the bridge spreads its clients over 5 s, core lets its calls end."""
LAST_LINES_LIMIT_S = 2.0
"""How long to wait for the last output of a child that has ended."""
LINE_LIMIT_BYTES = 64 * 1024
BOUND = Path(__file__).with_name("bound.py")


@dataclass(frozen=True)
class Program:
    """A command to start. `environment` is its whole environment: nothing is inherited."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Death:
    """A child that ended by itself."""

    name: str
    exit_code: int

    def __str__(self) -> str:
        if self.exit_code < 0:
            return f"{self.name} was killed by {signal.Signals(-self.exit_code).name}"
        return f"{self.name} ended with exit code {self.exit_code}"


@dataclass(frozen=True)
class _Child:
    name: str
    process: asyncio.subprocess.Process
    printing: asyncio.Task[None]
    ending: asyncio.Task[int]


class Children:
    """Child processes in the order in which they were started.

    `say` gets each line of their output, prefixed with the name and without the line break.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[_Child] = []

    async def start(self, program: Program) -> None:
        """Start one more, in a process group of its own, so that Ctrl-C does not reach it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(BOUND), str(os.getpid()), *program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(program.environment),
            process_group=0,
        )
        assert process.stdout is not None
        printing = asyncio.create_task(self._print(program.name, process.stdout))
        ending = asyncio.create_task(process.wait())
        self._children.append(_Child(program.name, process, printing, ending))

    async def first_death(self) -> Death:
        """Wait until one of them ends."""
        ending = {child.ending: child.name for child in self._children}
        done, _ = await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        first = done.pop()
        return Death(ending[first], first.result())

    async def stop(self) -> None:
        """Stop all, the last started first. Each has STOP_LIMIT_S to drain before it is killed."""
        while self._children:
            child = self._children.pop()
            await self._stop(child)

    async def _stop(self, child: _Child) -> None:
        _signal(child.process, signal.SIGTERM)
        done, _ = await asyncio.wait({child.ending}, timeout=STOP_LIMIT_S)
        if not done:
            self._say(f"[run] {child.name} did not end within {STOP_LIMIT_S:g} s and is killed")
            _signal(child.process, signal.SIGKILL)
            await child.ending
        await asyncio.wait({child.printing}, timeout=LAST_LINES_LIMIT_S)
        child.printing.cancel()

    async def _print(self, name: str, output: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await output.read(LINE_LIMIT_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_LIMIT_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(f"[{name}] {line.decode(errors='replace')}")
        if rest:
            self._say(f"[{name}] {rest.decode(errors='replace')}")


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)
