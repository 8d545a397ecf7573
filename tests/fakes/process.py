"""One real process of the stack: started, killed, terminated, and its lines kept."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.fakes.wait import until

ROOT = Path(__file__).parents[2]
BOUND = ROOT / "scripts" / "run" / "bound.py"
EXIT_LIMIT_S = 20.0
LAST_LINES = 40


class Process:
    """`python -m …` with an environment of its own; ends with this process at the latest."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def lines(self) -> str:
        """All that it and its predecessors have printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def last_lines(self) -> str:
        return "\n".join(self.lines.splitlines()[-LAST_LINES:])

    def spawn(self) -> None:
        """Start it. Must be called on the main thread: the kernel ends it with that thread."""
        assert not self.is_running, f"{self.name} runs already"
        bound = [sys.executable, "-I", "-S", str(BOUND), str(os.getpid())]
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*bound, sys.executable, "-m", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._env),
                cwd=ROOT,
            )

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait(EXIT_LIMIT_S)

    def pause(self) -> None:
        """SIGSTOP: alive and silent until `resume`."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._popen is not None
        self._popen.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; `exit_code` waits for what becomes of it."""
        assert self._popen is not None
        self._popen.terminate()

    async def exit_code(self, limit_s: float = EXIT_LIMIT_S) -> int:
        popen = self._popen
        assert popen is not None
        await until(lambda: popen.poll() is not None, limit_s)
        assert popen.returncode is not None
        return popen.returncode

    async def says(self, words: str, limit_s: float = EXIT_LIMIT_S) -> None:
        """Wait until it has printed these words."""
        await until(lambda: words in self.lines, limit_s)

    def restart(self) -> None:
        """Kill it and start another; whoever needs it ready waits for that."""
        self.kill()
        self.spawn()
