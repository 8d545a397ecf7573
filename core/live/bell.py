"""The bell between processes on one PostgreSQL: one listening connection for each process.

A bell is a hint. While the connection is down nothing is lost: the feed's sweep looks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import asyncpg

from core.heartbeat import beat
from core.storage.link import dial
from core.storage.transaction import NOTIFY_CHANNEL

log = logging.getLogger(__name__)

# The first pause before a lost connection is dialled again; it doubles.
RECONNECT_FIRST_S = 0.2
# The longest such pause.
RECONNECT_LAST_S = 1.0
# How often a silent connection is asked whether it still lives, in seconds.
PROBE_EVERY_S = 5.0
# How long it may take to answer.
ANSWER_S = 5.0


async def listen(
    dsn: str, *, ring: Callable[[str, int], None], reconnected: Callable[[], None]
) -> None:
    """Ring for every escrow that another process says has a new version; for ever, until cancelled.

    `dsn` is a plain postgresql:// address. `reconnected` is called when bells may have been missed.
    """
    wait_s = RECONNECT_FIRST_S
    while True:
        beat()
        try:
            connection = await dial(dsn, server_settings={"application_name": "holdfast bell"})
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the bell's connection failed: %s", error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RECONNECT_LAST_S)
            continue
        wait_s = RECONNECT_FIRST_S
        try:
            async with asyncio.timeout(ANSWER_S):
                await connection.add_listener(
                    NOTIFY_CHANNEL, lambda *args: _heard(str(args[-1]), ring)
                )
            reconnected()
            await _probe(connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the bell's connection is lost: %s", error)
        finally:
            # Not closed in peace: a peer that has gone silent would be waited for.
            connection.terminate()


async def _probe(connection: asyncpg.Connection) -> None:
    """Ask now and then, and as soon as the driver says so, until the connection is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while True:
        beat()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), PROBE_EVERY_S)
        async with asyncio.timeout(ANSWER_S):
            await connection.execute("SELECT 1")


def _heard(payload: str, ring: Callable[[str, int], None]) -> None:
    for item in payload.split(","):
        escrow_id, _, version = item.partition(":")
        if version.isdigit():
            ring(escrow_id, int(version))
