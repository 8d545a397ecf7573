"""Several processes and several endpoints share the work, and none harms another."""

import asyncio

from aiohttp import web

from core.storage.outgoing import DELIVERED
from core.webhooks import dispatch
from core.webhooks.dispatch import Dispatcher
from core.webhooks.pace import Pace
from tests.core.room import Room
from tests.core.webhooks.hooks import Hooks, open_hooks
from tests.fakes.receiver import Receiver, hang, versions_of
from tests.fakes.wait import running, until

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


async def lose(dispatcher: Dispatcher) -> None:
    """End a process in the middle of its tries: what it knows of them is gone."""
    async with running(dispatcher.run()):
        await asyncio.sleep(0)


async def test_a_slow_endpoint_delays_nobody_else(room: Room) -> None:
    async with (
        # None of those that hang comes to its end while the test lasts.
        open_hooks(room, answer_s=600) as hooks,
        Receiver(answer=hang) as slow,
        Receiver() as quick,
    ):
        for _ in range(40):
            await hooks.endpoint(slow.url)
        await hooks.endpoint(quick.url)
        for _ in range(30):
            await hooks.tell(await room.create(), 0)
        async with running(hooks.dispatcher.run()):
            await quick.wait(30, 60)
        # The others have taken no more than their share.
        assert 40 < len(slow.tries) < dispatch.MAX_AT_ONCE


async def test_an_endpoint_that_fails_is_tried_with_one_delivery_at_a_time(
    hooks: Hooks, receiver: Receiver
) -> None:
    receiver.answer = 500
    await hooks.endpoint(receiver.url)
    await hooks.tell(await hooks.room.create(), 0)
    await hooks.send()
    under_way = most = 0

    async def count(_request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.Response(status=500)

    receiver.answer = count
    for _ in range(20):
        await hooks.tell(await hooks.room.create(), 0)
    await hooks.send()
    assert most == 1


async def test_two_processes_share_the_work_and_send_nothing_twice(
    two_rooms: tuple[Room, Room],
) -> None:
    one, other = two_rooms
    async with open_hooks(one) as first, open_hooks(other) as second, Receiver() as receiver:
        endpoint_id = await first.endpoint(receiver.url)
        escrow_ids = [await one.create() for _ in range(20)]
        for _ in range(9):
            for escrow_id in escrow_ids:
                await first.tell(escrow_id)
        tasks = [asyncio.create_task(hooks.dispatcher.run()) for hooks in (first, second)]
        taken = await receiver.wait(200, 60)
        await until(lambda: all(not h.dispatcher.is_busy for h in (first, second)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(receiver.tries) == 200
        for escrow_id in escrow_ids:
            assert versions_of(taken, escrow_id) == list(range(1, 11))
        assert (await first.read(endpoint_id)).pending == 0
        counts = [hooks.dispatcher.outcomes["delivered"] for hooks in (first, second)]
        assert sum(counts) == 200
        assert min(counts) > 20


async def test_a_process_that_dies_in_the_middle_costs_its_lease_and_no_event(
    two_rooms: tuple[Room, Room],
) -> None:
    one, other = two_rooms
    async with open_hooks(one) as first, open_hooks(other) as second, Receiver(hang) as receiver:
        endpoint_id = await first.endpoint(receiver.url)
        escrow_id = await one.create()
        await first.tell(escrow_id)
        await first.dispatcher.look()
        await until(lambda: receiver.tries)
        # It is gone, and nobody has written down what became of its try.
        await lose(first.dispatcher)
        receiver.answer = 200
        await second.send()
        assert len(receiver.tries) == 1
        one.time.pass_s(Pace().lease_s)
        await second.send()
        taken = await receiver.wait(2)
        assert versions_of(taken, escrow_id) == [1, 2]
        assert [one_.id for one_ in receiver.tries][:2] == [taken[0].id] * 2
        assert (await second.read(endpoint_id)).pending == 0


async def test_a_slow_success_counts_although_its_lease_is_over(
    hooks: Hooks, receiver: Receiver
) -> None:
    go = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        # The second try hangs: it has the lease, and the first one succeeds.
        await (go.wait() if len(receiver.tries) == 1 else hang(request))
        return web.Response()

    receiver.answer = slowly
    endpoint_id = await hooks.endpoint(receiver.url)
    escrow_id = await hooks.room.create()
    await hooks.tell(escrow_id, 0)
    await hooks.dispatcher.look()
    await until(lambda: receiver.tries)
    hooks.room.time.pass_s(Pace().lease_s)
    await hooks.dispatcher.look()
    await until(lambda: len(receiver.tries) == 2)
    go.set()
    async with running(hooks.dispatcher.run()):
        await until(lambda: hooks.dispatcher.outcomes["delivered"])
    (delivery,) = await hooks.deliveries(endpoint_id)
    assert (delivery.state, delivery.attempts) == (DELIVERED, 2)
    assert (await hooks.read(endpoint_id)).pending == 0
