"""Tells a pooler in transaction mode, behind which core cannot work, before anything is done.

In transaction mode (pgbouncer's `pool_mode = transaction`) each transaction may run on another
server connection: bells are not heard, and prepared statements are not found.
"""

from __future__ import annotations

import asyncio

import asyncpg

from core.storage.link import DIAL_S, dial
from core.storage.trouble import Unfit

# Raises an exception where the session's own setting is gone. One simple statement: prepared ones
# are what may fail behind a pooler.
_MARK = "SET holdfast.session = 'mine'"
_ASK = """DO $$ BEGIN
  IF current_setting('holdfast.session', true) IS DISTINCT FROM 'mine' THEN
    RAISE EXCEPTION 'not my session';
  END IF;
END $$"""


async def require_sessions(url: str) -> None:
    """Raise Unfit where a PostgreSQL address does not lead to sessions of one's own.

    A pooler in transaction mode gives its server connection to the second client, which keeps it
    in a transaction, so that the first finds itself on another. Raises what `dial` raises.
    """
    if not url.startswith("postgresql+asyncpg://"):
        return
    dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    first = await dial(dsn)
    try:
        second = await dial(dsn)
        try:
            await first.execute(_MARK)
            await second.execute("BEGIN; SELECT 1")
            await _ask(first)
        finally:
            second.terminate()
    finally:
        first.terminate()


async def _ask(connection: asyncpg.Connection) -> None:
    try:
        async with asyncio.timeout(DIAL_S):
            await connection.execute(_ASK)
    except (asyncpg.RaiseError, TimeoutError):
        raise Unfit(
            "the pooler in front of PostgreSQL works in transaction mode: set pool_mode = session,"
            " or name the server itself"
        ) from None
