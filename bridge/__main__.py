"""`python -m bridge`: serves until SIGTERM or SIGINT, then drains.

`python -m bridge check https://host` tries a public address instead.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

from bridge import config
from bridge.check import command
from bridge.limits import Limits
from bridge.server import HUB, create_app, listener, verifier_of
from bridge.upstream.standing import token_problem
from holdfast import descriptors, log, metrics
from holdfast.tokens import KeysUnavailable

EXIT_CONFIG = 2
EXIT_PORT = 1
# How long open requests may take after the drain; a webhook takes no longer.
SHUTDOWN_S = 5.0


def main() -> None:
    """Exit with 2 if a setting is wrong, with 1 if the port is in use.

    `check` has exit codes of its own.
    """
    if sys.argv[1:2] == ["check"]:
        raise SystemExit(command.main(sys.argv[2:]))
    try:
        settings = config.read()
    except config.ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CONFIG) from None
    log.set_up(settings.log_format, settings.log_level)
    raise SystemExit(asyncio.run(_serve(settings)))


async def _serve(settings: config.Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    logger = structlog.get_logger("bridge")
    problem = await _token_problem(settings)
    if problem:
        print(f"The bridge cannot start:\n  - {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    app = create_app(settings, _limits(logger))
    door = listener(app, shutdown_s=SHUTDOWN_S)
    try:
        try:
            await door.open(settings.bridge_host, settings.port)
        except (OSError, metrics.PortTaken) as error:
            logger.error("the bridge cannot listen", why=str(error))
            return EXIT_PORT
        host, port = door.addresses[0][:2]
        logger.info("the bridge is ready", address=f"http://{host}:{port}")
        await stop.wait()
        logger.info("the bridge is draining")
        await app[HUB].drain()
    finally:
        await door.close()
    logger.info("the bridge has stopped")
    return 0


async def _token_problem(settings: config.Settings) -> str:
    """Answer what is wrong with BRIDGE_TOKEN; empty also if its key server does not answer."""
    verifier = verifier_of(settings)
    try:
        return await token_problem(verifier, settings.bridge_token.get_secret_value())
    except KeysUnavailable:
        return ""
    finally:
        await verifier.close()


def _limits(logger: structlog.stdlib.BoundLogger) -> Limits:
    promised, limit = Limits(), descriptors.raised()
    kept = promised.within(limit)
    if kept is not promised:
        logger.warning(
            "the limit of open files is too low for the promised sockets: raise it with"
            " `ulimit -n` or LimitNOFILE",
            limit=limit,
            needed=promised.connections + promised.descriptors_kept,
            sockets=kept.sockets,
            promised=promised.sockets,
        )
    return kept


if __name__ == "__main__":
    main()
