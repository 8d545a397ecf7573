"""Random users, faults and deaths against a model of forty lines; all promises after each step."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import LazyPostgres
from tests.fakes.gateway import Fate
from tests.fakes.size import Size
from tests.simulation.deal import Deal
from tests.simulation.driver import Driver
from tests.simulation.model import LAW
from tests.simulation.world import World

STEPS_PER_EXAMPLE = 50
DEALS = 3
AMOUNTS_MINOR = [100, 101, 199, 200, 250, 333, 10_000, 123_457, 499_999]
# How far an escrow has come when the adversary takes over.
BEGINNINGS = ["agreed", "paid", "held", "held", "on hold", "on hold"]
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
    ("say", "seller"),
    ("say", "arbiter"),
    ("resolve", "arbiter"),
    ("resolve", "arbiter"),
    ("override", "admin"),
    ("override", "admin"),
    ("override", "seller"),
]
# What happens, and how often.
MOVES = {
    "ask": 6,
    "struggle": 9,
    "die": 3,
    "settle": 3,
    "look": 3,
    "deliver": 3,
    "pass_time": 3,
    "work": 3,
    "trouble": 2,
    "pay": 2,
    "authorize_late": 1,
    "confirm_payment": 1,
    "register_payee": 1,
    "bank": 2,
    "judge_account": 1,
    "refund_by_hand": 1,
}
# Seconds: less and more than each of the waits of settlement, and than the clocks of a deal.
TIMES_S = [0.1, 1, 6, 21, 70, 1_000, 4_000]
CORES = [(0,), (1,), (0, 1)]
# How a payment may differ from its order: not at all, by hand, by a fee on top, by an offer.
ODD: list[dict[str, int]] = [
    {},
    {},
    {},
    {"customer_fee": 5},
    {"customer_fee": 3_000},
    {"discount": 1},
    {"odd_minor": 1},
    {"odd_minor": -100},
]
# What becomes of calls in trouble, and how often.
FATES = {Fate.WELL: 3, Fate.BUSY: 1, Fate.FAILED: 1, Fate.LOST: 2, Fate.LATE: 4}


class Adversary:
    """Does at random what users, Razorpay, networks and power cuts may do."""

    def __init__(self, runner: asyncio.Runner, url: str, chance: random.Random) -> None:
        self.runner = runner
        self.world = World(url)
        self.driver = Driver(self.world)
        self.chance = chance

    def play(self) -> None:
        """Open the world, take all steps of one example, and let everybody finish."""
        self.runner.run(self.world.open())
        try:
            self.runner.run(self._begin())
            for _ in range(STEPS_PER_EXAMPLE):
                (name,) = self.chance.choices(list(MOVES), list(MOVES.values()))
                self.runner.run(self._move(name))
            self.runner.run(self.driver.finish())
        finally:
            self.runner.run(self.world.close())

    async def _begin(self) -> None:
        for _ in range(DEALS):
            amounts = self.chance.choices(AMOUNTS_MINOR, k=self.chance.randint(1, 3))
            window_s, inspection_s = self.chance.choice([(30, 5), (9_000, 900)])
            await self.driver.agree(amounts, window_s, inspection_s)
            beginning = self.chance.choice(BEGINNINGS)
            has_payee = self.chance.random() < 0.8
            await self.driver.bring(self.driver.deals[-1], beginning, has_payee=has_payee)
        await self.driver.judge.check(self.driver.deals)

    async def _move(self, name: str) -> None:
        await getattr(self, name)(self.chance.choice(self.driver.deals))
        await self.driver.judge.check(self.driver.deals)

    async def ask(self, deal: Deal) -> None:
        part_id = self.chance.choice(list(deal.sheets))
        sheet = deal.sheets[part_id]
        fitting = [ask for ask in ASKS if LAW[ask[0]][0] == sheet.status]
        verb, by = self.chance.choice(fitting * 3 + ASKS)
        edges = [0, sheet.held, 100, sheet.held - 100, 1]
        release = self.chance.choice([*edges, self.chance.randint(0, sheet.held)])
        release = min(max(release, 0), sheet.held)
        await self.driver.command(deal, part_id, verb, by, release)

    async def settle(self, deal: Deal) -> None:
        await self.driver.settle(*self.chance.choice(CORES))

    async def look(self, deal: Deal) -> None:
        await self.driver.look()

    async def deliver(self, deal: Deal) -> None:
        """Deliver one of the latest webhooks: late, twice, out of order. Others never come."""
        told = len(self.world.gateway.told)
        if told:
            index = max(told - self.chance.randint(1, 12), 0)
            await self.world.run(self.world.deliver(index, self.chance.randint(0, 1)))

    async def pass_time(self, deal: Deal) -> None:
        self.world.advance(self.chance.choice(TIMES_S))

    async def trouble(self, deal: Deal) -> None:
        self.world.fates[:] = self._fates()
        self.world.blind = self.chance.randint(0, 6)

    async def struggle(self, deal: Deal) -> None:
        """Let settlement fail at what was just decided, and try again soon."""
        if self.chance.random() < 0.5:
            await self.ask(deal)
        self.world.fates[:] = self._fates()
        for _ in range(3):
            await self.driver.settle(*self.chance.choice(CORES))
            self.world.advance(self.chance.choice([0.6, 1.2, 4]))
            if self.chance.random() < 0.5:
                self.world.gateway.work()

    def _fates(self) -> list[Fate]:
        return self.chance.choices(list(FATES), list(FATES.values()), k=self.chance.randint(1, 4))

    async def die(self, deal: Deal) -> None:
        """Kill core in the middle of something, or soon."""
        self.world.die_after(self.chance.randint(0, 25))
        await self.driver.settle(*self.chance.choice(CORES))
        self.world.advance(self.chance.choice([0.1, 6, 16]))

    async def work(self, deal: Deal) -> None:
        self.world.gateway.work()

    async def pay(self, deal: Deal) -> None:
        await self.driver.start_payment(deal)
        outcome = self.chance.choice(["captured", "captured", "authorized", "failed"])
        odd = self.chance.choice(ODD)
        self.driver.pay(deal, outcome, odd, force=self.chance.random() < 0.5)

    async def authorize_late(self, deal: Deal) -> None:
        index = self.chance.randint(0, 9)
        self.driver.authorize_late(deal, index, self.chance.random() < 0.5)

    async def confirm_payment(self, deal: Deal) -> None:
        await self.driver.confirm_payment(deal, self.chance.randint(0, 9))

    async def register_payee(self, deal: Deal) -> None:
        await self.driver.register_payee(deal)

    async def bank(self, deal: Deal) -> None:
        """Let the bank open a dispute of all or a part, and end it in any way."""
        events = ["created", "created", "under_review", "won", "lost", "lost", "closed"]
        amount = self.chance.choice([None, None, 100, deal.amount - 1, deal.amount // 2])
        self.driver.bank(
            deal,
            self.chance.choice(events),
            max(amount, 100) if amount else None,
            at_onset=self.chance.random() < 0.3,
        )

    async def judge_account(self, deal: Deal) -> None:
        """Let the seller's account fail its KYC, now and then for good."""
        self.driver.judge_account(deal, self.chance.choice(["rejected", "activated"]))

    async def refund_by_hand(self, deal: Deal) -> None:
        """Of one escrow only: the books of such a one differ from then on."""
        if self.chance.random() < 0.3:
            self.driver.refund_by_hand(self.driver.deals[0], self.chance.choice([100, 150, 10**6]))


def play(fresh_url: Callable[[asyncio.Runner], str], steps: int, first: int) -> None:
    """Play examples of so many steps in all, each of which follows from the next seed alone."""
    for number in range(first, first - (-steps // STEPS_PER_EXAMPLE)):
        random.seed(number)  # Core spreads its waits by it.
        with asyncio.Runner() as runner:
            try:
                Adversary(runner, fresh_url(runner), random.Random(number)).play()
            except BaseException as error:
                error.add_note(f"To take these steps first: pytest {__file__} --seed {number}")
                raise


@pytest.fixture
def first(request: pytest.FixtureRequest) -> int:
    """The seed of the first example."""
    chosen: int | None = request.config.getoption("--seed")
    if request.config.getoption("--anew"):
        return random.SystemRandom().getrandbits(64)
    return chosen or 0


@pytest.mark.timeout(900)
def test_the_promises_hold_whatever_happens(
    tmp_path: Path, sqlite_template: Path, size: Size, first: int
) -> None:
    def fresh_url(_: asyncio.Runner) -> str:
        for path in tmp_path.glob("world.db*"):
            path.unlink()
        return f"sqlite+aiosqlite:///{shutil.copy(sqlite_template, tmp_path / 'world.db')}"

    play(fresh_url, size.steps, first)


@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_the_promises_hold_on_postgres_too(
    lazy_postgres: LazyPostgres, size: Size, first: int
) -> None:
    server = lazy_postgres.server()
    name = asyncio.run(lazy_postgres.fresh())

    def fresh_url(runner: asyncio.Runner) -> str:
        runner.run(server.empty(name))
        return server.url(name)

    play(fresh_url, size.postgres_steps, first)
