"""Who gives way when connections are too many or too slow."""

from dataclasses import dataclass, field

import pytest

from bridge.door.crowd import Crowd, network
from bridge.limits import Limits


@dataclass(eq=False)
class Someone:
    address: str = "10.0.0.1"
    is_cut: bool = False

    def drop(self) -> None:
        self.is_cut = True


@dataclass
class Street:
    """A crowd with a clock of its own, and why connections were cut."""

    limits: Limits
    now_s: float = 0.0
    why: list[str] = field(default_factory=list)
    seen: int = 0

    def __post_init__(self) -> None:
        self.crowd = Crowd(self.limits, lambda: self.now_s, self.why.append)

    def enter(self, address: str = "") -> Someone:
        """Someone new, by default from an address of their own."""
        assert self.crowd.enter()
        self.seen += 1
        address = address or f"10.1.0.{self.seen}"
        someone = Someone(address)
        self.crowd.waits_for_head(someone)
        return someone


def test_when_all_are_taken_the_one_silent_longest_gives_way() -> None:
    street = Street(Limits(connections=3))
    first, second, third = (street.enter() for _ in range(3))
    street.crowd.busy(first)
    street.enter()
    assert [one.is_cut for one in (first, second, third)] == [False, True, False]
    assert street.why == ["crowd"]


def test_who_has_asked_for_nothing_gives_way_before_who_is_slow_or_idle() -> None:
    street = Street(Limits(connections=2))
    slow, silent = street.enter(), street.enter()
    street.crowd.waits_for(slow)
    street.enter()
    assert (slow.is_cut, silent.is_cut) == (False, True)
    street.crowd.leave(silent)
    (newest,) = street.crowd._heads
    street.crowd.busy(newest)
    assert street.crowd.enter()
    assert slow.is_cut


def test_who_is_being_served_never_gives_way() -> None:
    street = Street(Limits(connections=2))
    served = [street.enter(), street.enter()]
    for one in served:
        street.crowd.busy(one)
    assert not street.crowd.enter()
    assert street.why == ["full"]
    assert street.crowd.count == 2
    street.crowd.leave(served[0])
    assert street.crowd.enter()
    assert not any(one.is_cut for one in served)


def test_a_head_has_its_time_from_when_it_was_awaited() -> None:
    street = Street(Limits(head_s=10))
    early = street.enter()
    street.now_s = 6
    late = street.enter()
    street.now_s = 10.1
    street.crowd.sweep()
    assert (early.is_cut, late.is_cut) == (True, False)
    street.crowd.waits_for_head(late)
    street.now_s = 19
    street.crowd.sweep()
    assert not late.is_cut
    street.crowd.waits_for(late)
    street.now_s = 99
    street.crowd.sweep()
    assert not late.is_cut
    assert street.why == ["head"]


def test_one_address_has_a_share_of_those_who_have_not_asked_yet() -> None:
    street = Street(Limits(connections=8, heads_per_address=3))
    asked = street.enter("10.0.0.1")
    street.crowd.busy(asked)
    mine = [street.enter("10.0.0.1") for _ in range(4)]
    others = [street.enter("10.0.0.2") for _ in range(3)]
    assert [one.is_cut for one in mine] == [True, False, False, False]
    assert not any(one.is_cut for one in [asked, *others])
    assert street.why == ["address"]


def test_nothing_is_left_of_who_has_gone() -> None:
    street = Street(Limits())
    here = [street.enter(f"10.0.0.{n}") for n in range(5)]
    for one in here:
        street.crowd.leave(one)
    street.crowd.enter()
    street.crowd.leave(None)
    assert street.crowd.count == 0
    assert not street.crowd._heads
    assert not street.crowd._heads_of
    assert not street.crowd._others


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


def test_limits_shrink_with_the_descriptors_that_there_are() -> None:
    assert Limits().within(1 << 20) == Limits()
    small = Limits().within(1024)
    assert small.connections == 1024 - 256
    assert small.sockets == 640
    assert Limits().within(100).connections == 1
