"""Turns: a limit on calls at a time, users served in turn, and no turn lost."""

import asyncio

from bridge.upstream.turns import Turns


async def test_users_are_served_round_robin() -> None:
    turns, served = Turns(1), []
    goes_on = asyncio.Event()

    async def ask(user: str) -> None:
        async with turns.turn(user):
            served.append(user)
            await goes_on.wait()

    first = asyncio.create_task(ask("first"))
    await asyncio.sleep(0)
    much = [asyncio.create_task(ask("greedy")) for _ in range(100)]
    await asyncio.sleep(0)
    little = [asyncio.create_task(ask("modest")) for _ in range(2)]
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(first, *much, *little)
    assert served[:5] == ["first", "greedy", "modest", "greedy", "modest"]
    assert len(served) == 103


async def test_no_more_than_the_limit_are_served_at_once() -> None:
    turns = Turns(3)
    inside = most = 0

    async def ask(user: str) -> None:
        nonlocal inside, most
        async with turns.turn(user):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(ask(str(number % 7)) for number in range(100)))
    assert (most, inside) == (3, 0)


async def test_a_cancelled_wait_loses_no_turn() -> None:
    turns = Turns(2)

    async def ask(user: str) -> None:
        async with turns.turn(user):
            await asyncio.sleep(0)

    for _ in range(50):
        asked = [asyncio.create_task(ask(str(number % 3))) for number in range(20)]
        await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    async with asyncio.timeout(5), turns.turn("a"), turns.turn("b"):
        pass
