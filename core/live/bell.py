"""The bell between processes on one PostgreSQL: one listening connection for each process.

A bell is a hint. While the connection is down nothing is lost: the feed's sweep looks by itself.
Bells are only listened for while somebody watches here, because each wakes the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import asyncpg

from core.heartbeat import beat
from core.live.need import Need
from core.storage.batch import NOTIFY_CHANNEL
from core.storage.link import dial, lost_on_goodbye
from core.storage.position import FEED_CHANNEL

log = logging.getLogger(__name__)

# The first pause before a lost connection is dialled again; it doubles.
RECONNECT_FIRST_S = 0.2
# The longest such pause.
RECONNECT_LAST_S = 1.0
# How often a silent connection is asked whether it still lives, in seconds.
PROBE_EVERY_S = 5.0
# How long it may take to answer.
ANSWER_S = 5.0
# How long bells are still listened for after the last watcher, who may come back.
LINGER_S = 30.0

# What is called with each notification of a channel.
Channels = Mapping[str, Callable[..., None]]


async def listen(
    dsn: str,
    *,
    need: Need,
    ring: Callable[[str, int], None],
    ring_feed: Callable[[], None],
    reconnected: Callable[[], None],
) -> None:
    """Ring for every escrow that another process says has a new version; for ever, until cancelled.

    `ring_feed` is called when another process says that there are new positions.
    `dsn` is a plain postgresql:// address. `reconnected` is called when bells may have been missed:
    each time that listening begins.
    """
    heard: Channels = {
        NOTIFY_CHANNEL: lambda *arguments: _heard(str(arguments[-1]), ring),
        FEED_CHANNEL: lambda *_: ring_feed(),
    }
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
            with lost_on_goodbye(connection):
                await _attend(connection, need, heard, reconnected)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the bell's connection is lost: %s", error)
        finally:
            # Not closed in peace: a peer that has gone silent would be waited for.
            connection.terminate()


async def _attend(
    connection: asyncpg.Connection,
    need: Need,
    heard: Channels,
    reconnected: Callable[[], None],
) -> None:
    """Listen while there is need; ask now and then, and as soon as the driver says so, whether the
    connection still lives. Ends by an error."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())

    loop = asyncio.get_running_loop()
    is_listening, needed_s = False, loop.time()
    while True:
        beat()
        if need.there.is_set():
            needed_s = loop.time()
        async with asyncio.timeout(ANSWER_S):
            if need.there.is_set() and not is_listening:
                for channel, hear in heard.items():
                    await connection.add_listener(channel, hear)
                is_listening = True
                reconnected()
            elif is_listening and loop.time() - needed_s > LINGER_S:
                is_listening = False
                for channel, hear in heard.items():
                    await connection.remove_listener(channel, hear)
            else:
                await connection.execute("SELECT 1")
        await _either(lost, None if is_listening else need.there)


async def _either(lost: asyncio.Event, needed: asyncio.Event | None) -> None:
    """Wait for one of them, at most until the connection is to be asked again."""
    events = [lost] if needed is None else [lost, needed]
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=PROBE_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _heard(payload: str, ring: Callable[[str, int], None]) -> None:
    for item in payload.split(","):
        escrow_id, _, version = item.partition(":")
        if version.isdigit():
            ring(escrow_id, int(version))
