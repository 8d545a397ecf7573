"""What is kept, and how long, as the environment says: a core that was started forgets the rest."""

import asyncio
import os

import pytest
import sqlalchemy as sa

from core import config
from core.clock import wall_us
from core.law import command as c
from core.server import serving
from core.storage import tables as t
from core.storage.store import Store
from core.storage.trip import inbox
from scripts.sandbox import Sandbox
from tests.core.law.story import BUYER
from tests.core.room import Time, open_room

DAY_S = 86_400
# Longer ago than the setting keeps anything, and less long than the defaults do.
OLD_DAYS, YOUNG_DAYS = 8, 2
KEEP_S = str(7 * DAY_S)
# By setting, the old one first.
ALL = {
    "INBOX_KEEP_S": (f"evt_{OLD_DAYS}", f"evt_{YOUNG_DAYS}"),
    "CHECKS_KEEP_S": (f"order_{OLD_DAYS}", f"order_{YOUNG_DAYS}"),
}
# The first round comes a little after the start.
LIMIT_S = 30.0


@pytest.fixture
async def lived(database_url: str) -> str:
    """A database with what came and what ended long ago, and what did not."""
    time = Time()
    now_us = wall_us()
    async with open_room(database_url, time) as room:
        for days in (OLD_DAYS, YOUNG_DAYS):
            time.us = now_us - days * DAY_S * 1_000_000
            name = f"evt_{days}"
            await room.store.transact(inbox.keep(event_id=name, body=b"{}", now_us=time.us))
            await room.store.transact(inbox.finish(event_id=name, outcome="APPLIED"))
            escrow_id = await room.create()
            await room.tell(escrow_id, c.RecordOrder(f"order_{days}"))
            await room.tell(escrow_id, c.CancelEscrow(), BUYER)
    return database_url


async def kept(store: Store) -> dict[str, set[str]]:
    """Which webhooks are there, and the orders of which escrows are asked about, by setting."""
    asked = sa.select(t.orders.c.order_id).join(
        t.checks, t.checks.c.escrow_id == t.orders.c.escrow_id
    )
    reads = {"INBOX_KEEP_S": sa.select(t.inbox.c.event_id), "CHECKS_KEEP_S": asked}
    return {name: {row[0] for row in await store._rows(one)} for name, one in reads.items()}


@pytest.mark.parametrize("setting", ALL)
async def test_a_started_core_forgets_what_is_older_than_its_setting_says(
    lived: str, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    async with Sandbox(process_delay_s=0.01) as sandbox:
        environment = {
            "DATABASE_URL": lived,
            "CORE_LISTEN": "127.0.0.1:0",
            "JWT_SECRET": "a secret of at least thirty-two bytes",
            "RAZORPAY_KEY_ID": sandbox.key_id,
            "RAZORPAY_KEY_SECRET": sandbox.key_secret,
            "RAZORPAY_BASE_URL": sandbox.base_url,
            setting: KEEP_S,
        }
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        async with serving(config.read()) as core:
            store = core.rooms.store
            # What the other setting is about stays, for it has its default.
            wanted = {name: set(both) for name, both in ALL.items()}
            wanted[setting] = {ALL[setting][1]}
            async with asyncio.timeout(LIMIT_S):
                while await kept(store) != wanted:  # noqa: ASYNC110 - another's doing
                    await asyncio.sleep(0.05)
