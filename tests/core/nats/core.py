"""One core's rooms on a real database and a real NATS, with the loops that these tests need."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Collection
from typing import Any

from pydantic import SecretStr

from core.config import Settings
from core.law import command as c
from core.nats.exchange import Exchange
from core.rooms import Rooms, loops, opened
from tests.core.counter import SECRET, WEBHOOK_SECRET
from tests.core.law.story import BUYER, SERVICE, create

END_LIMIT_S = 10.0
# Loops by name; nothing here speaks to Razorpay. On SQLite there is no sequencer.
BELLS = ("executor", "watchers", "followers", "sequencer", "nats", "bell")
STREAM = ("executor", "nats", "bell", "sequencer", "publisher")


class Core:
    """One core."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        assert rooms.nats is not None
        self.nats: Exchange = rooms.nats

    @property
    def outcomes(self) -> dict[str, int]:
        """Bells by what became of them."""
        return dict(self.nats.bells.outcomes)

    async def create(self, escrow_id: str) -> None:
        await self._tell(escrow_id, create(escrow_id=escrow_id))

    async def update(self, escrow_id: str) -> None:
        """Give an escrow one more event."""
        await self._tell(escrow_id, c.PublishUpdate("hello"))

    async def updates(self, escrow_ids: Collection[str], each: int) -> None:
        """Give each of these escrows so many events, as fast as they can be committed."""
        await asyncio.gather(*(self.update(one) for one in escrow_ids for _ in range(each)))

    async def _tell(self, escrow_id: str, command: Any) -> None:
        await self.rooms.executor.execute(
            command,
            escrow_id=escrow_id,
            caller=SERVICE if isinstance(command, c.PublishUpdate) else BUYER,
            cause=f"once:{uuid.uuid4()}",
        )


@contextlib.asynccontextmanager
async def open_core(
    database_url: str, nats_url: str, names: Collection[str] = BELLS
) -> AsyncIterator[Core]:
    """Open one core with these of its loops running; none of them may end by itself."""
    settings = Settings(
        database_url=database_url,
        core_listen="127.0.0.1:0",
        jwt_secret=SecretStr(SECRET),
        razorpay_key_id="rzp_test_1",
        razorpay_key_secret=SecretStr("secret"),
        razorpay_webhook_secret=SecretStr(WEBHOOK_SECRET),
        razorpay_base_url="http://127.0.0.1:9",
        nats_url=SecretStr(nats_url),
    )
    async with opened(settings) as rooms:
        made = {loop.heartbeat.name: loop.run for loop in loops(rooms, settings)}
        tasks = [asyncio.create_task(made.pop(name)) for name in names if name in made]
        for left_out in made.values():
            left_out.close()
        try:
            yield Core(rooms)
            assert [task for task in tasks if task.done()] == []
        finally:
            for task in tasks:
                task.cancel()
            async with asyncio.timeout(END_LIMIT_S):
                await asyncio.gather(*tasks, return_exceptions=True)
