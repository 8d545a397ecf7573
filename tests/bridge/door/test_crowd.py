"""Which connections are closed when there are too many, or when they are too slow."""

from dataclasses import dataclass, field

import pytest

from bridge.door.crowd import Crowd, network
from bridge.limits import Limits


@dataclass(eq=False)
class FakePeer:
    address: str = "10.0.0.1"
    is_cut: bool = False

    def drop(self) -> None:
        self.is_cut = True


@dataclass
class Room:
    """A crowd with a clock of its own, and why connections were cut."""

    limits: Limits
    now_s: float = 0.0
    why: list[str] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        self.crowd = Crowd(self.limits, lambda: self.now_s, self.why.append)

    def enter(self, address: str = "") -> FakePeer:
        """Add a connection, by default from an address of its own."""
        assert self.crowd.enter()
        self.seen += 1
        address = address or f"10.1.0.{self.seen}"
        someone = FakePeer(address)
        self.crowd.waits_for_head(someone)
        return someone


def test_when_there_are_too_many_the_one_silent_longest_is_closed() -> None:
    room = Room(Limits(connections=3))
    first, second, third = (room.enter() for _ in range(3))
    room.crowd.busy(first)
    room.enter()
    assert [one.is_cut for one in (first, second, third)] == [False, True, False]
    assert room.why == ["crowd"]


def test_connections_without_a_request_are_closed_before_slow_or_idle_ones() -> None:
    room = Room(Limits(connections=2))
    slow, silent = room.enter(), room.enter()
    room.crowd.waits_for(slow)
    room.enter()
    assert (slow.is_cut, silent.is_cut) == (False, True)
    room.crowd.leave(silent)
    (newest,) = room.crowd._heads
    room.crowd.busy(newest)
    assert room.crowd.enter()
    assert slow.is_cut


def test_a_connection_that_is_being_served_is_never_closed() -> None:
    room = Room(Limits(connections=2))
    served = [room.enter(), room.enter()]
    for one in served:
        room.crowd.busy(one)
    assert not room.crowd.enter()
    assert room.why == ["full"]
    assert room.crowd.count == 2
    room.crowd.leave(served[0])
    assert room.crowd.enter()
    assert not any(one.is_cut for one in served)


def test_the_time_of_a_head_counts_from_when_it_is_awaited() -> None:
    room = Room(Limits(head_s=10))
    early = room.enter()
    room.now_s = 6
    late = room.enter()
    room.now_s = 10.1
    room.crowd.sweep()
    assert (early.is_cut, late.is_cut) == (True, False)
    room.crowd.waits_for_head(late)
    room.now_s = 19
    room.crowd.sweep()
    assert not late.is_cut
    room.crowd.waits_for(late)
    room.now_s = 99
    room.crowd.sweep()
    assert not late.is_cut
    assert room.why == ["head"]


def test_one_address_has_a_share_of_the_connections_without_a_request() -> None:
    room = Room(Limits(connections=8, heads_per_address=3))
    asked = room.enter("10.0.0.1")
    room.crowd.busy(asked)
    mine = [room.enter("10.0.0.1") for _ in range(4)]
    others = [room.enter("10.0.0.2") for _ in range(3)]
    assert [one.is_cut for one in mine] == [True, False, False, False]
    assert not any(one.is_cut for one in [asked, *others])
    assert room.why == ["address"]


def test_nothing_is_kept_of_a_connection_that_is_gone() -> None:
    room = Room(Limits())
    here = [room.enter(f"10.0.0.{n}") for n in range(5)]
    for one in here:
        room.crowd.leave(one)
    room.crowd.enter()
    room.crowd.leave(None)
    assert room.crowd.count == 0
    assert not room.crowd._heads
    assert not room.crowd._heads_of
    assert not room.crowd._others


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same


def test_limits_shrink_with_the_available_descriptors() -> None:
    assert Limits().within(1 << 20) == Limits()
    small = Limits().within(1024)
    assert small.connections == 1024 - 256
    assert small.sockets == 640
    assert Limits().within(100).connections == 1
