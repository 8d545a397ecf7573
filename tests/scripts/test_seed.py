"""The examples of `make run`, made against a real core, bridge and sandbox."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from scripts.run.probe import until
from scripts.run.secret import Refusal, Secrets
from scripts.run.seed import ARBITER, BUYER, EXAMPLES, NAMES, SELLER, Seeder, seed
from scripts.run.stack import plan
from tests.fakes.stack import Stack, started

SETTLED_S = 60.0
KEPT = Secrets("kept jwt secret " * 3, "rzp_test_sandboxAbc", "key secret", "webhook secret")
STATUSES = {
    "INITIATED": 3,
    "HELD": 3,
    "DISPUTED": 1,
    "RELEASED": 1,
    "REFUNDED": 1,
    "SPLIT": 1,
}


async def statuses(seeder: Seeder, who: str) -> Counter[str]:
    told = await seeder._as(who, "GET", "/api/v1/escrows")
    names = [one["status"].removeprefix("ESCROW_STATUS_") for one in told["escrows"]]
    return Counter("settling" if name == "SETTLING" else name for name in names)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with started(Stack(tmp_path)) as running:
        yield running


async def settled(seeder: Seeder) -> None:
    """Wait until all that was decided is done at Razorpay."""

    async def is_settled() -> bool:
        return (await statuses(seeder, "admin"))["settling"] == 0

    async with asyncio.timeout(SETTLED_S):
        await until(is_settled)


async def test_an_empty_database_gets_examples_once_and_one_with_escrows_none(
    stack: Stack,
) -> None:
    said: list[str] = []
    await seed(stack.bridge_url, stack.sandbox_url, said.append)
    assert len(said) == 2, said
    assert "are there" in said[1]
    async with aiohttp.ClientSession() as http:
        seeder = Seeder(http, stack.bridge_url, stack.sandbox_url)
        await settled(seeder)
        for who in (BUYER, SELLER, ARBITER, "admin"):
            assert await statuses(seeder, who) == STATUSES
            # Each of them has dealt with all others.
            asked = "&".join(f"user_ids={one}" for one in NAMES)
            told = await seeder._as(who, "GET", f"/api/v1/profiles?{asked}")
            assert {one["user_id"]: one["display_name"] for one in told["profiles"]} == NAMES
        said.clear()
        await seed(stack.bridge_url, stack.sandbox_url, said.append)
        assert said == []
        assert sum((await statuses(seeder, "admin")).values()) == len(EXAMPLES)


async def test_what_fails_is_said_in_a_line_and_nothing_else_stops(stack: Stack) -> None:
    said: list[str] = []
    await seed(stack.bridge_url, "http://127.0.0.1:9", said.append)
    assert "could be added" in said[-1]


@pytest.mark.parametrize(
    ("settings", "has_examples"),
    [
        ({}, True),
        ({"DEMO_DATA": "1"}, True),
        ({"DEMO_DATA": "0"}, False),
        ({"DEMO_LOGIN": "0"}, False),
        ({"RAZORPAY_KEY_ID": "rzp_test_1", "RAZORPAY_KEY_SECRET": "s"}, False),
    ],
)
def test_examples_are_for_the_sandbox_and_can_be_turned_off(
    settings: dict[str, str], has_examples: bool
) -> None:
    planned = plan(settings, KEPT)
    assert planned.has_examples is has_examples
    assert all("DEMO_DATA" not in program.environment for program in planned.programs)


def test_a_word_that_is_no_choice_is_refused() -> None:
    with pytest.raises(Refusal, match="DEMO_DATA must be 0 or 1"):
        plan({"DEMO_DATA": "perhaps"}, KEPT)
