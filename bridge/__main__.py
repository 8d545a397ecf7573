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
from bridge.server import HUB, bound_ports, create_app, listener, verifier_of
from bridge.upstream.standing import token_problem
from bridge.workers.crew import Crew
from bridge.workers.post import Post
from holdfast import descriptors, garbage, log, metrics
from holdfast.tokens import KeysUnavailable

EXIT_CONFIG = 2
EXIT_PORT = 1
# How long open requests may take after the drain; a webhook takes no longer.
SHUTDOWN_S = 5.0

logger = structlog.get_logger("bridge")


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
    try:
        post = Post.read(sys.argv[1:])
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CONFIG) from None
    if post is not None:
        structlog.contextvars.bind_contextvars(worker=post.number)
    elif settings.bridge_workers > 1:
        raise SystemExit(asyncio.run(_lead(settings)))
    raise SystemExit(asyncio.run(_serve(settings, post)))


async def _lead(settings: config.Settings) -> int:
    """Have BRIDGE_WORKERS processes serve the port, which is opened here."""
    stop = _stopped_by_signals()
    try:
        ports, told = await bound_ports(settings)
    except (OSError, metrics.PortTaken) as error:
        logger.error("the bridge cannot listen", why=str(error))
        return EXIT_PORT
    return await Crew(settings.bridge_workers, ports, told).run(stop)


def _stopped_by_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def _serve(settings: config.Settings, post: Post | None) -> int:
    stop = _stopped_by_signals()
    problem = await _token_problem(settings)
    if problem:
        print(f"The bridge cannot start:\n  - {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    app = create_app(settings, _limits(), post)
    door = listener(app, shutdown_s=SHUTDOWN_S)
    try:
        try:
            if post is None:
                await door.open(settings.bridge_host, settings.port)
            else:
                await door.adopt(post.ports)
        except (OSError, metrics.PortTaken) as error:
            logger.error("the bridge cannot listen", why=str(error))
            return EXIT_PORT
        garbage.leave_alone()
        host, port = door.addresses[0][:2]
        logger.info(
            "the bridge is ready" if post is None else "a worker is ready",
            address=f"http://{host}:{port}",
        )
        if post is not None:
            post.watch(stop.set)
            post.ready()
        await stop.wait()
        logger.info("the bridge is draining")
        await app[HUB].drain()
    finally:
        await door.close()
    logger.info("the bridge has stopped" if post is None else "a worker has stopped")
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


def _limits() -> Limits:
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
