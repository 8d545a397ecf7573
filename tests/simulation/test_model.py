"""Random people, faults and deaths against forty lines of paper; every promise after every step."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.fakes.gateway import Fate
from tests.simulation.driver import Deal, Driver
from tests.simulation.model import LAW
from tests.simulation.world import World, migrate

Draw: TypeAlias = Any
Thing = TypeVar("Thing")

STEPS_PER_EXAMPLE = 50
MAX_DEALS = 3

AMOUNTS = st.lists(
    st.one_of(st.sampled_from([100, 101, 199, 200, 250, 333]), st.integers(100, 500_000)),
    min_size=1,
    max_size=3,
)
INDEX = st.integers(0, 1_000)
# How far an escrow has come when the adversary takes over.
BEGINNINGS = ["agreed", "paid", "held", "held", "on hold"]
# Who asks for what; now and then who may not, or too early, or too late.
ASKS = [
    ("cancel", "buyer"),
    ("confirm", "buyer"),
    ("confirm", "seller"),
    ("release", "buyer"),
    ("refund", "seller"),
    ("dispute", "buyer"),
    ("dispute", "seller"),
    ("withdraw", "buyer"),
    ("resolve", "arbiter"),
]
# What happens, by weight.
MOVES = (
    ["ask"] * 6
    + ["settle"] * 5
    + ["look"] * 4
    + ["deliver"] * 4
    + ["pass_time"] * 4
    + ["trouble"] * 3
    + ["die"] * 2
    + ["work"] * 3
    + ["pay"] * 2
    + ["authorize_late", "confirm_payment", "register_payee", "bank", "refund_by_hand"]
)


def pick(things: Sequence[Thing], index: int) -> Thing:
    """Choose by a number that was drawn before: what is drawn must not depend on the world."""
    return things[index % len(things)]


class Adversary(RuleBasedStateMachine):
    """Does what people, Razorpay, networks and power cuts do."""

    template: Path
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        database = self.template.with_name("world.db")
        for path in database.parent.glob("world.db*"):
            path.unlink()
        shutil.copy(self.template, database)
        self.runner = asyncio.Runner()
        self.world = World(database)
        self.driver = Driver(self.world)
        self.runner.run(self.world.open())

    @initialize(
        deals=st.lists(
            st.tuples(AMOUNTS, st.sampled_from(BEGINNINGS), st.booleans(), st.booleans()),
            min_size=1,
            max_size=MAX_DEALS,
        )
    )
    def begin(self, deals: list[tuple[list[int], str, bool, bool]]) -> None:
        async def begin() -> None:
            for amounts, beginning, has_payee, is_hasty in deals:
                await self.driver.agree(amounts, 30 if is_hasty else 9_000, 5 if is_hasty else 900)
                await self.driver.bring(self.driver.deals[-1], beginning, has_payee=has_payee)
            await self.driver.check()

        self.runner.run(begin())

    @rule(name=st.sampled_from(MOVES), data=st.data())
    def move(self, name: str, data: st.DataObject) -> None:
        async def move() -> None:
            await getattr(self, name)(data.draw)
            await self.driver.check()

        type(self).steps += 1
        self.runner.run(move())

    def deal(self, draw: Draw) -> Deal:
        return pick(self.driver.deals, draw(INDEX))

    async def ask(self, draw: Draw) -> None:
        deal = self.deal(draw)
        part_id = pick(list(deal.sheets), draw(INDEX))
        sheet = deal.sheets[part_id]
        fitting = [ask for ask in ASKS if LAW[ask[0]][0] == sheet.status]
        verb, by = pick(fitting * 3 + ASKS, draw(INDEX))
        least = min(100, sheet.amount)
        edge = pick([0, sheet.amount, least, sheet.amount - least, 1], draw(INDEX))
        within = draw(st.integers(0, 500_000)) % (sheet.amount + 1)
        release = edge if draw(st.booleans()) else within
        await self.driver.command(deal, part_id, verb, by, release)

    async def settle(self, draw: Draw) -> None:
        await self.driver.settle(*draw(st.sampled_from([(0,), (1,), (0, 1)])))

    async def look(self, draw: Draw) -> None:
        await self.driver.look()

    async def deliver(self, draw: Draw) -> None:
        told = self.world.gateway.told
        back, core = draw(st.integers(0, 12)), draw(st.integers(0, 1))
        if told:
            await self.world.run(self.world.deliver(len(told) - 1 - back, core))

    async def pass_time(self, draw: Draw) -> None:
        self.world.advance(draw(st.sampled_from([0.1, 1, 6, 21, 21, 70, 1_000, 4_000])))

    async def trouble(self, draw: Draw) -> None:
        fates = draw(st.lists(st.sampled_from(list(Fate)), min_size=1, max_size=12))
        self.world.fates[:] = fates

    async def die(self, draw: Draw) -> None:
        self.world.die_after(draw(st.integers(0, 25)))

    async def work(self, draw: Draw) -> None:
        self.world.gateway.work()

    async def pay(self, draw: Draw) -> None:
        deal = self.deal(draw)
        await self.driver.start_payment(deal)
        outcome = draw(st.sampled_from(["captured", "captured", "authorized", "failed"]))
        odd_minor = draw(st.sampled_from([0, 0, 0, 1, -100]))
        self.driver.pay(deal, outcome, odd_minor, force=draw(st.booleans()))

    async def authorize_late(self, draw: Draw) -> None:
        self.driver.authorize_late(self.deal(draw), draw(INDEX), draw(st.booleans()))

    async def confirm_payment(self, draw: Draw) -> None:
        await self.driver.confirm_payment(self.deal(draw), draw(INDEX))

    async def register_payee(self, draw: Draw) -> None:
        await self.driver.register_payee(self.deal(draw))

    async def bank(self, draw: Draw) -> None:
        events = ["created", "created", "under_review", "won", "closed"]
        self.driver.bank(self.deal(draw), draw(st.sampled_from(events)))

    async def refund_by_hand(self, draw: Draw) -> None:
        amount = draw(st.sampled_from([100, 150, 10**6]))
        if len(self.driver.deals) == MAX_DEALS:  # Of one only: its books differ from then on.
            self.driver.refund_by_hand(self.driver.deals[-1], amount)

    def teardown(self) -> None:
        try:
            self.runner.run(self.driver.finish())
        finally:
            self.runner.run(self.world.close())
            self.runner.close()


@pytest.mark.timeout(300)
def test_the_promises_hold_whatever_happens(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    steps = request.config.getoption("--simulation-steps", default=2_000)
    Adversary.template = tmp_path / "template.db"
    asyncio.run(migrate(Adversary.template))
    Adversary.steps = 0
    run_state_machine_as_test(
        Adversary,
        settings=settings(
            max_examples=steps * 3 // 2 // STEPS_PER_EXAMPLE + 1,
            stateful_step_count=STEPS_PER_EXAMPLE,
            deadline=None,
            derandomize=steps <= 2_000,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Adversary.steps >= steps
