"""Core as it is, but for its patience: it waits seconds where the real one waits half a minute.

The order of the waits stays: a lease outlives a call, and a listing is believed only when a call
that is still on its way cannot exist any more.

A watchman has all of it imported and forks each life, so that a death costs a tenth of a second.
Nothing of gRPC runs in the watchman: it may be imported before a fork, not used.
"""

import asyncio
import os
import signal
import sys

from core import config
from core.log import set_up
from core.server import serving
from core.settle import Patience
from scripts.run.bound import die_with_parent

GATEWAY_TIMEOUT_S = 1.5
PATIENCE = Patience(
    lease_s=2.0,
    call_s=1.6,
    listing_s=3.0,
    pending_first_s=0.1,
    pending_last_s=0.5,
    error_first_s=0.05,
    error_last_s=0.5,
)


async def live() -> None:
    """Serve until killed."""
    settings = config.read()
    set_up(settings.log_format, settings.log_level)
    async with serving(settings, patience=PATIENCE, gateway_timeout_s=GATEWAY_TIMEOUT_S) as core:
        await core.broken.wait()


def watch() -> None:
    """Give core a new life whenever SIGKILL has ended one, for which SIGUSR1 asks."""
    lives = pid = 0

    def kill(*_: object) -> None:
        if pid:  # 0 would be the whole process group.
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, kill)
    while True:
        lives += 1
        print(f"life {lives}.", flush=True)
        watchman = os.getpid()
        pid = os.fork()
        if pid == 0:
            die_with_parent(watchman, signal.SIGKILL)
            asyncio.run(live())
            return
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit("core has ended by itself")


if __name__ == "__main__":
    watch()
