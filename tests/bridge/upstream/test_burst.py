"""One escrow with very many subscribers: what comes at once is one burst for each of them."""

import asyncio
from dataclasses import replace
from typing import Any

from escrow.v1 import escrow_pb2 as pb

from bridge.browser.outbox import Flusher, Outbox
from bridge.browser.subscription import EscrowSubscription
from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.protocol import frames
from bridge.upstream.stream import Encoder, Source
from bridge.upstream.watched import BURST, Watched

MANY = 4


class Seen:
    """A subscriber, and the versions of each burst that it was handed."""

    def __init__(self) -> None:
        self.bursts: list[list[int]] = []

    def deliver_burst(self, burst: frames.Burst) -> None:
        versions = [event.version for event in burst.events]
        assert (burst.first, burst.last) == (versions[0], versions[-1])
        assert burst.wire == b"".join(event.wire for event in burst.events)
        assert burst.count == sum(event.count for event in burst.events)
        self.bursts.append(versions)


def watched(**limits: Any) -> tuple[Watched, list[Seen]]:
    """An escrow with a few subscribers, which are very many here."""
    wanted = replace(Limits(), inline_subscribers=MANY - 1, **limits)
    nothing: Any = None
    one = Watched("e1", Source(nothing, wanted, Metrics(), Encoder(100)))
    seen = [Seen() for _ in range(MANY)]
    everybody: Any = seen
    one.subscribers.update(everybody)
    return one, seen


class Wires:
    """What a socket was written."""

    def __init__(self) -> None:
        self.wires: list[bytes] = []

    def write(self, wire: bytes) -> None:
        self.wires.append(wire)

    def is_closing(self) -> bool:
        return False


async def take(one: Watched, *versions: int, title: str = "A bicycle") -> None:
    for version in versions:
        escrow = pb.Escrow(escrow_id="e1", version=version, title=title)
        await one.take(pb.EscrowEvent(escrow_id="e1", version=version, escrow=escrow))


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_what_comes_within_a_few_turns_is_one_burst_for_everybody() -> None:
    one, seen = watched(gather_s=60.0)
    await take(one, 1, 2)
    await asyncio.sleep(0)
    await take(one, 3)
    await settled()
    await take(one, 4)
    await settled()
    assert [each.bursts for each in seen] == [[[1, 2, 3], [4]]] * MANY


async def test_a_burst_has_so_many_events_and_bytes_at_most() -> None:
    one, seen = watched(gather_s=60.0)
    await take(one, *range(1, BURST + 3))
    await settled()
    assert seen[0].bursts == [list(range(1, BURST + 1)), [BURST + 1, BURST + 2]]
    one, seen = watched(gather_s=60.0, write_bytes=3_000)
    await take(one, *range(1, 6), title="x" * 400)
    await settled()
    assert seen[0].bursts == [[1, 2], [3, 4], [5]]


async def test_events_that_never_stop_are_handed_on_when_the_time_to_gather_is_over() -> None:
    one, seen = watched(gather_s=0.01)
    async with asyncio.timeout(10):
        version = 0
        while not seen[0].bursts:
            version += 1
            await take(one, version)
            await asyncio.sleep(0)


async def test_who_has_the_beginning_of_a_burst_gets_the_rest_of_it() -> None:
    one, seen = watched(gather_s=60.0)
    wires, limits, nothing = Wires(), Limits(), None

    class Watching:
        source = one._source

        async def join(self, subscriber: Any, _escrow_id: str, _after: int | None) -> Watched:
            one.subscribers.add(subscriber)
            return one

    stubs: Any = (wires, Watching(), nothing)
    transport, watches, unused = stubs
    outbox = Outbox(transport, Flusher(limits), limits, lambda: None)
    subscription = EscrowSubscription(unused, "e1", None, outbox, watches, None, unused)
    await take(one, 1)
    await settled()
    await subscription.join(unused, 1)
    await settled()
    # The subscription to "*" of the same socket has sent it.
    subscription.offer(2, is_live=True)
    await take(one, 2, 3, 4)
    await settled()
    await take(one, 5, 6)
    await settled()
    assert seen[0].bursts == [[1], [2, 3, 4], [5, 6]]
    assert subscription.version == 6
    events = [event.wire for event in one.since(2)]
    assert wires.wires[1:] == [b"".join(events[:2]), b"".join(events[2:])]
