"""`python -m core` serves until SIGTERM or SIGINT, then drains.

`python -m core reconcile --since 2026-11-01` asks Razorpay about everything that changed since.
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


async def _reconcile(settings: config.Settings, since: datetime) -> None:
    def progress(asked: int, changed: int) -> None:
        print(f"asked about {asked}, changed {changed}", flush=True)  # noqa: T201

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    since_us = round(since.timestamp() * US_PER_S)
    asked, changed = await server.reconcile(settings, since_us, progress)
    print(f"done: {asked} escrows asked about, {changed} changed")  # noqa: T201


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
    arguments = parser.parse_args()
    try:
        settings = config.read()
        set_up(settings.log_format, settings.log_level)
        if arguments.command == "reconcile":
            asyncio.run(_reconcile(settings, arguments.since))
        else:
            sys.exit(asyncio.run(_serve(settings)))
    except (config.ConfigError, server.PortTaken, GatewayError) as error:
        _give_up(str(error))
    except Refusal as refusal:
        is_storage = refusal.reason is Reason.STORAGE_UNAVAILABLE
        _give_up(f"DATABASE_URL: {explain(refusal)}" if is_storage else str(refusal))
    except asyncio.CancelledError:
        sys.exit(130)


if __name__ == "__main__":
    main()
