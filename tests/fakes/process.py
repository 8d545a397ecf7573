"""One real process of the stack: started, killed and terminated, with its output kept.

Processes are forked from a server that has imported what all of them need, so that a start takes a
tenth of a second. The server must never use gRPC: gRPC may be imported before a fork, not used.
"""

import multiprocessing
import os
import resource
import runpy
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.run.bound import die_with_parent
from tests.fakes.wait import until

ROOT = Path(__file__).parents[2]
EXIT_LIMIT_S = 20.0
LAST_LINES = 40

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["core.server", "bridge.server", "scripts.sandbox.server"])


class Process:
    """`python -m …` with an environment of its own. It ends with this process at the latest.

    `is_executed` starts an interpreter of its own, as an operator would, and does not fork.
    `descriptors` is the hard limit of open files.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        env: Mapping[str, str],
        log: Path,
        *,
        is_executed: bool = False,
        descriptors: int | None = None,
    ) -> None:
        self.name = name
        self._arguments = (command, dict(env), log, is_executed, descriptors)
        self._log = log
        self._process: multiprocessing.context.ForkServerProcess | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def lines(self) -> str:
        """Everything that it and its predecessors have printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def last_lines(self) -> str:
        return "\n".join(self.lines.splitlines()[-LAST_LINES:])

    def spawn(self) -> None:
        """Start it."""
        assert not self.is_running, f"{self.name} runs already"
        self._process = _forks.Process(target=_become, args=self._arguments, daemon=True)
        self._process.start()

    def kill(self) -> None:
        """Send SIGKILL, and return when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.join(EXIT_LIMIT_S)

    def pause(self) -> None:
        """Send SIGSTOP: the process is alive and silent until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Send SIGTERM; `exit_code` waits for the end."""
        self._signal(signal.SIGTERM)

    def _signal(self, signal_number: int) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, signal_number)

    async def exit_code(self, limit_s: float = EXIT_LIMIT_S) -> int:
        process = self._process
        assert process is not None
        await until(lambda: not process.is_alive(), limit_s)
        assert process.exitcode is not None
        return process.exitcode

    def restart(self) -> None:
        """Kill it and start another, without waiting until that one is ready."""
        self.kill()
        self.spawn()


def _become(
    command: list[str], env: dict[str, str], log: Path, is_executed: bool, descriptors: int | None
) -> None:
    die_with_parent(os.getppid(), signal.SIGKILL)
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    if is_executed:
        os.execv(sys.executable, [sys.executable, "-m", *command])
    sys.argv = command.copy()
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
