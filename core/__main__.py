"""`python -m core` serves until SIGTERM or SIGINT, then drains.

`python -m core reconcile --since 2026-11-01` asks Razorpay about everything that changed since;
it ends with 1 and a line for each escrow that could not be asked about. `python -m core
confirm-time` says that this machine's clock is right, so that deadlines pass again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from datetime import UTC, datetime
from typing import NoReturn

from core import config, server
from core.errors import Reason, Refusal
from core.law.record import US_PER_S
from core.razorpay import GatewayError
from core.storage.trouble import explain
from holdfast import metrics
from holdfast.log import set_up

log = logging.getLogger("core")


async def _serve(settings: config.Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with server.serving(settings) as core:
        waiting = [asyncio.create_task(event.wait()) for event in (stop, core.broken)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        log.info("core drains")
    log.info("core has stopped")
    return 1 if core.broken.is_set() else 0


async def _reconcile(settings: config.Settings, since: datetime) -> int:
    def progress(asked: int, changed: int) -> None:
        print(f"asked about {asked}, changed {changed}", flush=True)  # noqa: T201

    _cancel_on_sigterm()
    since_us = round(since.timestamp() * US_PER_S)
    done = await server.reconcile(settings, since_us, progress)
    for name, why in done.failed.items():
        print(f"failed: {name}: {why}")  # noqa: T201
    rest = f", {len(done.failed)} failed" if done.failed else ""
    print(f"done: {done.asked} escrows asked about, {done.changed} changed{rest}")  # noqa: T201
    return 1 if done.failed else 0


async def _confirm_time(settings: config.Settings) -> int:
    _cancel_on_sigterm()
    await server.confirm_time(settings)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"confirmed: it is {now}; cores whose clocks agree believe it within seconds")  # noqa: T201
    return 0


def _cancel_on_sigterm() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _give_up(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)  # noqa: T201
    sys.exit(2)


def main() -> None:
    """Run core. Exits with 2 and one message when it cannot start, with 1 when a loop ended."""
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    again = commands.add_parser("reconcile", help="ask Razorpay what the webhooks did not tell")
    again.add_argument(
        "--since", type=_time, required=True, help="ISO 8601; UTC where it does not say"
    )
    commands.add_parser("confirm-time", help="say that this machine's clock is right")
    arguments = parser.parse_args()
    try:
        settings = config.read()
        set_up(settings.log_format, settings.log_level)
        if arguments.command == "reconcile":
            sys.exit(asyncio.run(_reconcile(settings, arguments.since)))
        if arguments.command == "confirm-time":
            sys.exit(asyncio.run(_confirm_time(settings)))
        sys.exit(asyncio.run(_serve(settings)))
    except (config.ConfigError, server.PortTaken, metrics.PortTaken, GatewayError) as error:
        _give_up(str(error))
    except Refusal as refusal:
        is_storage = refusal.reason is Reason.STORAGE_UNAVAILABLE
        _give_up(f"DATABASE_URL: {explain(refusal)}" if is_storage else str(refusal))
    except asyncio.CancelledError:
        sys.exit(130)


if __name__ == "__main__":
    main()
