"""A clock that lies decides nothing and makes no event older; it is mended by saying so."""

import logging

import pytest

from core.clock import MARK_EVERY_S, MAX_PAUSE_S, SteadyClock, Timekeeper
from core.law import command as c
from core.law.command import CLOCK
from core.law.status import Status
from core.settlement.deadline import Clock
from core.storage.vital import Vitals
from tests.core.law.story import START_US, WINDOW_US
from tests.core.room import Room

US = 1_000_000
HOUR_S, WEEK_S = 3_600.0, 7 * 86_400.0


class Machine:
    """A wall clock and a monotonic one; time passes on both, and the wall clock can be set."""

    def __init__(self, wall_us: int = START_US) -> None:
        self.wall_us = wall_us
        self.monotonic_s = 1_000.0

    def pass_s(self, span_s: float) -> None:
        self.wall_us += round(span_s * US)
        self.monotonic_s += span_s

    def set_wall(self, by_s: float) -> None:
        self.wall_us += round(by_s * US)

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall_us, lambda: self.monotonic_s)


class Keeping:
    """A machine with a timekeeper and deadlines on one database."""

    def __init__(self, room: Room, machine: Machine) -> None:
        self.machine = machine
        self.clock = machine.clock()
        vitals = Vitals(room.store._engine)
        # The test's database lives in the test's own time.
        vitals.is_postgres = False
        self.keeper = Timekeeper(room.store, vitals, self.clock, lambda: machine.wall_us)
        self.deadlines = Clock(
            room.store,
            room.executor,
            now_us=self.clock,
            is_believed=lambda: not self.keeper.problem,
        )
        self._room = room

    async def look(self) -> None:
        """Look at the deadlines; the law hears this machine's time, as in one process."""
        self._room.time.us = max(self._room.time.us, self.clock())
        await self.deadlines.look()


def test_time_passes_as_it_does() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(3):
        machine.pass_s(HOUR_S)
        assert clock() == machine.wall_us
    assert clock.jump_s == 0


@pytest.mark.parametrize("by_s", [0.5, -0.5, 4.0, -4.0])
def test_a_small_correction_is_followed_and_never_backwards(by_s: float) -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock()
    machine.set_wall(by_s)
    assert clock() == max(before, machine.wall_us)
    machine.pass_s(60)
    assert clock() == machine.wall_us
    assert clock.jump_s == 0


@pytest.mark.parametrize("by_s", [6.0, WEEK_S, -6.0, -WEEK_S])
def test_a_jump_is_not_followed(by_s: float) -> None:
    machine = Machine()
    clock = machine.clock()
    clock()
    machine.set_wall(by_s)
    machine.pass_s(60)
    assert clock() == START_US + 60 * US
    assert clock.jump_s == pytest.approx(by_s)
    machine.set_wall(-by_s)
    assert clock.jump_s == 0
    machine.set_wall(by_s)
    clock.trust_the_wall()
    assert clock.jump_s == 0
    assert clock() == max(machine.wall_us, START_US + 60 * US)


async def overdue(room: Room) -> str:
    """An escrow whose payment window is over in an hour of the room's time."""
    return await room.create(payment_window_us=round(HOUR_S * US))


@pytest.mark.parametrize("by_s", [WEEK_S, -WEEK_S])
async def test_a_clock_that_jumps_passes_no_deadline_until_it_is_right_again(
    room: Room, by_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    escrow_id = await overdue(room)
    keeping = Keeping(room, Machine(room.time.us))
    await keeping.keeper.start()
    assert not keeping.keeper.problem
    keeping.machine.set_wall(by_s)
    # At once, before anybody compares: the time itself has not jumped.
    await keeping.look()
    await keeping.keeper.check()
    assert "by the monotonic clock" in keeping.keeper.problem
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.INITIATED
    keeping.machine.set_wall(-by_s)
    keeping.machine.pass_s(HOUR_S + 60)
    await keeping.keeper.check()
    assert not keeping.keeper.problem
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.CANCELLED
    told = [r.getMessage() for r in caplog.records if r.name == "core.clock"]
    assert len(told) == 2 + 1, "once when it began, once when it ended, and at the start"


async def test_an_operator_can_confirm_the_time_after_a_long_pause(room: Room) -> None:
    """As after a night in which the machine slept: its monotonic clock did not go on."""
    escrow_id = await overdue(room)
    keeping = Keeping(room, Machine(room.time.us))
    await keeping.keeper.start()
    keeping.machine.set_wall(12 * HOUR_S)
    await keeping.keeper.check()
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.INITIATED
    async with room.store.write() as transaction:
        await transaction.confirm_time(keeping.machine.wall_us)
    await keeping.keeper.check()
    assert not keeping.keeper.problem
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.CANCELLED


async def test_a_confirmation_of_another_time_confirms_nothing(room: Room) -> None:
    keeping = Keeping(room, Machine(room.time.us))
    await keeping.keeper.start()
    keeping.machine.set_wall(WEEK_S)
    async with room.store.write() as transaction:
        await transaction.confirm_time(room.time.us)
    await keeping.keeper.check()
    assert keeping.keeper.problem


async def test_a_start_with_a_clock_behind_the_newest_event_goes_on_from_that(room: Room) -> None:
    escrow_id = await overdue(room)
    newest_us = (await room.escrow(escrow_id)).update_time_us
    keeping = Keeping(room, Machine(newest_us - round(HOUR_S * US)))
    await keeping.keeper.start()
    assert "behind what has passed" in keeping.keeper.problem
    # No lease, sweep or watcher waits for the hour.
    assert keeping.clock() >= newest_us
    keeping.machine.pass_s(60)
    assert keeping.clock() >= newest_us + 60 * US


async def test_after_a_long_silence_the_time_is_asked_for(room: Room) -> None:
    escrow_id = await overdue(room)
    keeping = Keeping(room, Machine(room.time.us + round((MAX_PAUSE_S + HOUR_S) * US)))
    await keeping.keeper.start()
    assert "core was away for long, or the clock is ahead" in keeping.keeper.problem
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.INITIATED
    async with room.store.write() as transaction:
        await transaction.confirm_time(keeping.machine.wall_us)
    await keeping.keeper.check()
    await keeping.look()
    assert (await room.escrow(escrow_id)).status is Status.CANCELLED


async def test_a_quiet_core_that_ran_until_now_needs_no_confirmation(room: Room) -> None:
    """What it wrote down of the time counts, though nothing happened."""
    await overdue(room)
    keeping = Keeping(room, Machine(room.time.us))
    await keeping.keeper.start()
    for _ in range(10):
        keeping.machine.pass_s(86_400)
        keeping.keeper._marked_s -= MARK_EVERY_S
        await keeping.keeper.check()
    again = Keeping(room, Machine(keeping.machine.wall_us + round(HOUR_S * US)))
    await again.keeper.start()
    assert not again.keeper.problem


@pytest.mark.postgres
async def test_the_databases_clock_is_asked_where_it_has_one(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    from core.clock import wall_us
    from tests.core.room import Time, open_room

    time = Time()
    time.us = wall_us()
    async with open_room(postgres_url, time) as room:
        machine = Machine(wall_us())
        clock = machine.clock()
        keeper = Timekeeper(room.store, Vitals(room.store._engine), clock, lambda: machine.wall_us)
        await keeper.start()
        assert not keeper.problem
        machine.pass_s(60)
        await keeper.check()
        assert "ahead of the database's" in keeper.problem
        machine.pass_s(-120)
        clock.trust_the_wall()


async def test_no_event_is_older_than_the_one_before_it(room: Room) -> None:
    escrow_id = await room.create()
    first_us = (await room.escrow(escrow_id)).update_time_us
    room.time.us -= round(WEEK_S * US)
    answer = await room.tell(escrow_id, c.CancelEscrow("A mistake."))
    assert answer.escrow.update_time.ToMicroseconds() == first_us
    assert (await room.escrow(escrow_id)).update_time_us == first_us


async def test_a_deadline_is_the_clocks_alone(room: Room) -> None:
    escrow_id = await room.create()
    room.time.us += WINDOW_US + US
    answer = await room.tell(escrow_id, c.PassDeadline(), CLOCK)
    assert answer.has_changed
