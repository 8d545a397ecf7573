"""Ties a process to its parent's life: the kernel kills it when the parent is gone.

`python -I -S bound.py PARENT_PID COMMAND …` becomes COMMAND.

Linux only (prctl(2), PR_SET_PDEATHSIG, which survives execve); elsewhere the command simply runs.
Must import nothing but the standard library: it runs before everything else, once for each child.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int, signal_number: int) -> None:
    """Get `signal_number` when `parent_pid` ends, or now if it has ended already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal_number)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    os.execvp(sys.argv[2], sys.argv[2:])
