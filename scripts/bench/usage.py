"""What the operating system counts for a process: its CPU time and its memory. Linux only."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path


def family(pid: int) -> list[int]:
    """A process and all that it has started, as far as they live."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """The CPU time of processes with all their threads, in user and kernel mode.

    It is the process's own clock (clock_getcpuclockid(3)): the same count as in /proc/<pid>/stat,
    in nanoseconds and not in hundredths of a second.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def memory_kb(pids: Iterable[int]) -> int:
    """The memory of processes; what several share counts in part for each (Pss)."""
    return sum(_pss_kb(pid) for pid in pids)


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise OSError(f"the kernel tells no Pss of {pid}")


class Meter:
    """CPU and wall time between two moments, of processes that live through both."""

    def __init__(self, *pids: int) -> None:
        self._pids = [one for pid in pids for one in family(pid)]
        self._cpu_s, self._time_s = cpu_s(self._pids), time.monotonic()

    def cpu_s(self) -> float:
        return cpu_s(self._pids) - self._cpu_s

    def share(self) -> float:
        """The part of one core that was used, in percent."""
        return 100 * self.cpu_s() / (time.monotonic() - self._time_s)
