"""Runs the stack for `make run`: starts it, prints its addresses, and stops it.

Exit code 0 after Ctrl-C, SIGTERM or SIGHUP; 1 if it could not start or a process ended by itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from scripts.run import postgres
from scripts.run.bound import die_with_parent
from scripts.run.children import Children
from scripts.run.secret import Refusal, keep
from scripts.run.seed import seed
from scripts.run.stack import Stack, Stopped, plan, running

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(line: str) -> None:
    print(line, flush=True)


def introduce(stack: Stack) -> None:
    """Print what a newcomer needs, with the ready line last."""
    if stack.sandbox:
        say(f"[run] No real money moves: a sandbox stands in for Razorpay, {stack.sandbox.url()}")
        say("[run] The sandbox forgets its payments when it stops; the database does not.")
    if stack.database:
        say(f"[run] PostgreSQL keeps everything in {postgres.DATA}, also after the end.")
    cores = " and ".join(core.address() for core in stack.cores)
    say(f"[run] gRPC is at {cores}. To get a token for gRPC or a WebSocket:")
    say("[run]     .venv/bin/python scripts/token.py --user alice")
    say("[run] To see a whole escrow, run in another terminal: make demo")
    say("[run] Ctrl-C stops everything.")
    for bridge in stack.bridges[1:]:
        say(f"[run] One more bridge is at {bridge.url()}")
    say(f"Holdfast is ready: {stack.bridge.url()}")


async def serve(stack: Stack) -> None:
    """Run the stack. Returns after a signal. Raises Stopped if a process ends by itself."""
    asked = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    living = asyncio.create_task(_live(stack))
    asking = asyncio.create_task(asked.wait())
    await asyncio.wait({living, asking}, return_when=asyncio.FIRST_COMPLETED)
    if not living.done():
        say("[run] stopping")
        living.cancel()
    asking.cancel()
    try:
        await living
    except asyncio.CancelledError:
        say("[run] everything is stopped")


async def _live(stack: Stack) -> None:
    async with running(stack, say) as children:
        introduce(stack)
        seeding = asyncio.create_task(_seed(stack))
        try:
            await _first_death(children)
        finally:
            seeding.cancel()
            await asyncio.gather(seeding, return_exceptions=True)


async def _seed(stack: Stack) -> None:
    if stack.has_examples and stack.sandbox:
        await seed(stack.bridge.url(), stack.sandbox.url(), say)


async def _first_death(children: Children) -> None:
    raise Stopped(str(await children.first_death()))


def main() -> int:
    if "MAKELEVEL" in os.environ:
        # make forwards SIGTERM, but it cannot when it is killed with SIGKILL.
        die_with_parent(os.getppid(), signal.SIGTERM)
    try:
        asyncio.run(serve(plan(os.environ, keep())))
    except (Refusal, Stopped) as why:
        print(f"[run] Holdfast is not running: {why}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
