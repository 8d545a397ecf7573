"""Processes that the benchmark starts: bound to its life, and their output kept in files.

Must never leave one behind, whatever ends the benchmark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from scripts.bench.usage import family

ROOT = Path(__file__).resolve().parents[2]
BOUND = ROOT / "scripts/run/bound.py"
READY_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
LOOK_EVERY_S = 0.05
LAST_CHARACTERS = 2_000
_INHERITED = ("PATH", "HOME", "PYTHONPATH", "TMPDIR", "LANG")


class Broken(Exception):
    """Something that should run does not; the message has its last words."""


def inherited() -> dict[str, str]:
    """The part of our own environment that a child may see: no setting of Holdfast's."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


class Port:
    """A free port of this machine, bound so that the kernel gives it to nobody else.

    A server that sets SO_REUSEADDR, as all of these do, can listen there all the same.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.number}"

    def close(self) -> None:
        self._socket.close()

    def is_served(self) -> bool:
        """Whether somebody accepts connections there."""
        try:
            socket.create_connection(("127.0.0.1", self.number), timeout=1).close()
        except OSError:
            return False
        return True


class Process:
    """A child process. `command` is what bound.py executes: it ends when we do."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        talks: bool = False,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        whole = [sys.executable, "-I", "-S", str(BOUND), str(os.getpid()), *command]
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                whole,
                cwd=ROOT,
                env={**inherited(), **environment},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def input(self) -> IO[bytes]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def output(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def until(self, answers: Callable[[], bool], limit_s: float = READY_LIMIT_S) -> None:
        """Wait until it answers. Raises Broken if it ends before that, or takes too long."""
        end = time.monotonic() + limit_s
        while not answers():
            if self._popen.poll() is not None:
                raise Broken(f"{self.name} ended with {self._popen.returncode}: {self.last_words}")
            if time.monotonic() > end:
                raise Broken(f"{self.name} does not answer: {self.last_words}")
            time.sleep(LOOK_EVERY_S)

    @property
    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-LAST_CHARACTERS:]

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, as `make run` does, and wait. Raises Broken if it does not."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} does not end: {self.last_words}") from None

    def kill(self) -> None:
        """End it and what it has started, now."""
        if self._popen.poll() is None:
            for pid in reversed(family(self.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream:
                stream.close()
