"""Work that one core at a time does: nobody takes it while its lease lasts."""

import asyncio

from core.storage.trip import duty
from tests.core.room import Room

US_PER_S = 1_000_000


async def take(room: Room, holder: str, at_s: int, name: str = "work") -> bool:
    now_us = at_s * US_PER_S
    return await room.store.transact(
        duty.take(name, holder, now_us=now_us, until_us=now_us + 10 * US_PER_S)
    )


async def test_one_core_has_the_work_until_its_lease_is_over(room: Room) -> None:
    assert await take(room, "one", 0)
    assert not await take(room, "other", 9)
    assert await take(room, "one", 9), "the holder may keep it"
    assert not await take(room, "other", 18)
    assert await take(room, "other", 20)
    assert not await take(room, "one", 21)


async def test_work_that_is_given_back_is_free_at_once(room: Room) -> None:
    assert await take(room, "one", 0)
    await room.store.transact(duty.give_back("work", "other"))
    assert not await take(room, "other", 1)
    await room.store.transact(duty.give_back("work", "one"))
    assert await take(room, "other", 1)


async def test_of_many_who_ask_at_once_one_has_it(room: Room) -> None:
    asked = [take(room, f"core-{number}", 0) for number in range(8)]
    assert sum(await asyncio.gather(*asked)) == 1
    assert await take(room, "somebody", 0, "other work")
