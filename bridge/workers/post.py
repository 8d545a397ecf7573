"""What a worker gets from its parent: who it is, and the sockets that it serves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# The first argument of a worker's command line; a person never types it.
ARGUMENT = "worker"


@dataclass(frozen=True, slots=True)
class Post:
    """A worker's place. The numbers of workers begin with 1; `folder` is theirs alone."""

    number: int
    folder: Path
    ports: tuple[socket.socket, ...]
    metrics: tuple[socket.socket, ...]
    life: socket.socket

    def arguments(self) -> list[str]:
        """Write it down for the worker's command line; its sockets keep their numbers there."""
        told = {
            "number": self.number,
            "folder": str(self.folder),
            "ports": [one.fileno() for one in self.ports],
            "metrics": [one.fileno() for one in self.metrics],
            "life": self.life.fileno(),
        }
        return [ARGUMENT, json.dumps(told)]

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Self | None:
        """Read it in the worker; None in a process that is no worker. Raises ValueError."""
        if not arguments or arguments[0] != ARGUMENT:
            return None
        try:
            told = json.loads(arguments[1])
            return cls(
                int(told["number"]),
                Path(told["folder"]),
                _opened(told["ports"]),
                _opened(told["metrics"]),
                _opened([told["life"]])[0],
            )
        except (IndexError, KeyError, TypeError, ValueError, OSError):
            raise ValueError(f"`{ARGUMENT}` is for the bridge itself: set BRIDGE_WORKERS") from None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the worker inherits."""
        return tuple(one.fileno() for one in (*self.ports, *self.metrics, self.life))

    def path(self, number: int | None = None) -> Path:
        """Where a worker, by default this one, tells its metrics to the others."""
        return self.folder / f"{self.number if number is None else number}.sock"

    def ready(self) -> None:
        """Tell the parent that this worker serves."""
        with contextlib.suppress(OSError):
            self.life.send(b"1")

    def watch(self, orphaned: Callable[[], None]) -> None:
        """Call `orphaned` when the parent is gone: nobody else would ever stop this worker."""
        loop = asyncio.get_running_loop()
        self.life.setblocking(False)

        def look() -> None:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                if not self.life.recv(1):
                    loop.remove_reader(self.life)
                    orphaned()

        loop.add_reader(self.life, look)


def _opened(numbers: Sequence[int]) -> tuple[socket.socket, ...]:
    for number in numbers:
        # Else what a worker starts would keep the port open after it.
        os.set_inheritable(number, False)
    return tuple(socket.socket(fileno=number) for number in numbers)
