"""Outboxes and their flusher: what is written, when, and what a slow reader causes."""

import asyncio
from dataclasses import replace
from typing import Any

from bridge.browser.outbox import FEW, Flusher, Frames, Outbox
from bridge.limits import Limits


class Transport:
    """Takes writes until it is told to block, as a socket does whose buffer is full."""

    def __init__(self, order: list["Transport"] | None = None) -> None:
        self.writes: list[bytes] = []
        self.blocks_after: int | None = None
        self.outbox: Outbox | None = None
        self.is_gone = False
        self._order = order

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))
        if self._order is not None:
            self._order.append(self)
        if self.outbox is not None and len(self.writes) == self.blocks_after:
            self.outbox.block()

    def is_closing(self) -> bool:
        return self.is_gone


class Desk:
    """A flusher, and sockets that share it."""

    def __init__(self, **limits: Any) -> None:
        self.limits = replace(Limits(), **limits)
        self.flusher = Flusher(self.limits)
        self.overflows: list[Outbox] = []
        self.order: list[Transport] = []

    def socket(self) -> tuple[Outbox, Transport]:
        transport = Transport(self.order)
        outbox = Outbox(
            transport,  # type: ignore[arg-type]
            self.flusher,
            self.limits,
            lambda: self.overflows.append(outbox),
        )
        transport.outbox = outbox
        return outbox, transport


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_frames_of_one_turn_leave_in_order_and_in_one_write() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    for number in range(16):
        outbox.put(b"%02d" % number)
    assert transport.writes == []
    await turns(1)
    assert transport.writes == [b"".join(b"%02d" % number for number in range(16))]
    assert desk.flusher.frames_sent == 16


async def test_a_lone_frame_to_one_socket_leaves_in_the_next_turn() -> None:
    desk = Desk(gather_s=60.0)
    outbox, transport = desk.socket()
    outbox.put(b"pong")
    await turns(1)
    assert transport.writes == [b"pong"]


async def test_a_burst_to_many_sockets_is_gathered_into_one_write_for_each() -> None:
    desk = Desk(gather_s=60.0)
    sockets = [desk.socket() for _ in range(FEW + 1)]
    for number in range(4):
        parcel = Frames(b"%d" % number, 1)
        for outbox, _transport in sockets:
            outbox.add(parcel)
        await turns(1)
    await turns()
    assert [transport.writes for _outbox, transport in sockets] == [[b"0123"]] * len(sockets)


async def test_a_lone_event_to_many_sockets_waits_a_few_turns_and_no_time() -> None:
    desk = Desk(gather_s=60.0)
    parcel = Frames(b"event", 1)
    sockets = [desk.socket() for _ in range(FEW + 1)]
    for outbox, _transport in sockets:
        outbox.add(parcel)
    async with asyncio.timeout(5):
        await turns()
    assert all(transport.writes == [b"event"] for _outbox, transport in sockets)


async def test_a_burst_that_never_ends_is_written_when_the_time_to_gather_is_over() -> None:
    desk = Desk(gather_s=0.01)
    sockets = [desk.socket() for _ in range(FEW + 1)]
    async with asyncio.timeout(5):
        while not all(transport.writes for _outbox, transport in sockets):
            parcel = Frames(b"x", 1)
            for outbox, _transport in sockets:
                outbox.add(parcel)
            await turns(1)
    assert not desk.overflows


async def test_what_goes_to_few_does_not_wait_for_what_goes_to_many() -> None:
    desk = Desk(gather_s=0.0, slice_s=0.0005)
    many = [desk.socket() for _ in range(5_000)]
    lone, transport = desk.socket()
    parcel = Frames(b"event", 1)
    for outbox, _transport in many:
        outbox.add(parcel)
    lone.put(b"answer")
    while not transport.writes:
        await turns(1)
    assert desk.order.index(transport) < len(many) // 2
    await turns(2_000)
    assert sum(len(other.writes) for _outbox, other in many) == len(many)


async def test_a_slice_that_is_always_over_still_gets_on() -> None:
    desk = Desk(slice_s=0.0)
    sockets = [desk.socket() for _ in range(100)]
    for outbox, _transport in sockets:
        outbox.put(b"x")
    async with asyncio.timeout(5):
        while not all(transport.writes for _outbox, transport in sockets):
            await turns(1)


async def test_a_socket_that_takes_nothing_keeps_its_frames_until_it_does() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    transport.blocks_after = 1
    outbox.put(b"a")
    await turns()
    outbox.put(b"b")
    outbox.put(b"c")
    await turns()
    assert transport.writes == [b"a"]
    outbox.unblock()
    await turns()
    assert transport.writes == [b"a", b"bc"]


async def test_a_reader_who_is_too_slow_overflows_by_frames_and_by_bytes() -> None:
    for limits in ({"outbox_frames": 4}, {"outbox_bytes": 4}):
        desk = Desk(**limits)
        outbox, _transport = desk.socket()
        outbox.block()
        for _ in range(4):
            outbox.put(b"x")
        assert desk.overflows == []
        outbox.put(b"x")
        assert desk.overflows == [outbox]


async def test_a_burst_larger_than_the_outbox_is_no_overflow_for_who_reads() -> None:
    desk = Desk(outbox_frames=4)
    outbox, transport = desk.socket()
    for number in range(10):
        outbox.put(b"%d" % number)
    await turns()
    assert desk.overflows == []
    assert b"".join(transport.writes) == b"0123456789"
    assert desk.flusher.frames_sent == 10


async def test_a_write_is_no_larger_than_its_limit_and_frames_stay_whole() -> None:
    desk = Desk(write_bytes=5)
    outbox, transport = desk.socket()
    for frame in (b"aaa", b"bbb", b"cccccccc", b"d"):
        outbox.put(frame)
    await turns()
    assert transport.writes == [b"aaa", b"bbb", b"cccccccc", b"d"]


async def test_the_last_frame_comes_after_what_waits_and_nothing_follows_it() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    outbox.put(b"event ")
    outbox.finish(b"close")
    outbox.put(b"late")
    await turns()
    assert b"".join(transport.writes) == b"event close"


async def test_a_blocked_socket_still_gets_its_last_frame_and_drops_what_waits() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    outbox.block()
    outbox.put(b"event")
    outbox.finish(b"close")
    assert transport.writes == [b"close"]


async def test_whoever_waits_for_room_goes_on_when_half_is_free_or_the_outbox_closes() -> None:
    desk = Desk(outbox_frames=4)
    outbox, _transport = desk.socket()
    outbox.block()
    for _ in range(3):
        outbox.put(b"x")
    waiting = asyncio.create_task(outbox.room())
    await turns()
    assert not waiting.done()
    outbox.unblock()
    await asyncio.wait_for(waiting, 5)
    outbox.block()
    for _ in range(3):
        outbox.put(b"x")
    waiting = asyncio.create_task(outbox.room())
    await turns()
    assert not waiting.done()
    outbox.close()
    await asyncio.wait_for(waiting, 5)


async def test_what_is_sent_at_once_does_not_overtake_what_waits() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    outbox.put(b"a")
    outbox.send(Frames(b"b", 1))
    assert transport.writes == []
    await turns()
    outbox.send(Frames(b"c", 2))
    assert transport.writes == [b"ab", b"c"]
    assert desk.flusher.frames_sent == 4


async def test_what_is_sent_at_once_waits_for_a_socket_that_takes_nothing() -> None:
    desk = Desk(outbox_frames=2)
    outbox, transport = desk.socket()
    transport.blocks_after = 1
    for wire in (b"a", b"b", b"c"):
        outbox.send(Frames(wire, 1))
    await turns()
    assert transport.writes == [b"a"]
    assert desk.overflows == []
    outbox.send(Frames(b"d", 1))
    assert desk.overflows == [outbox]
    outbox.unblock()
    await turns()
    assert b"".join(transport.writes) == b"abc"


async def test_what_is_sent_at_once_to_a_transport_that_is_gone_is_dropped() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    transport.is_gone = True
    outbox.send(Frames(b"x", 1))
    await turns()
    assert transport.writes == []


async def test_a_transport_that_is_gone_is_not_written_to() -> None:
    desk = Desk()
    outbox, transport = desk.socket()
    outbox.put(b"x")
    transport.is_gone = True
    await turns()
    assert transport.writes == []
    outbox.put(b"y")
    await turns()
    assert transport.writes == []
