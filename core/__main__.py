"""`python -m core`: serves until SIGTERM or SIGINT, then drains."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from core import config
from core.errors import Refusal
from core.log import set_up
from core.server import PortTaken, serving

log = logging.getLogger("core")


async def _serve(settings: config.Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with serving(settings):
        await stop.wait()
        log.info("core drains")
    log.info("core has stopped")


def main() -> None:
    """Run core. Exits with 2 and one message when it cannot start."""
    try:
        settings = config.read()
        set_up(settings.log_format, settings.log_level)
        asyncio.run(_serve(settings))
    except (config.ConfigError, PortTaken, Refusal) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
