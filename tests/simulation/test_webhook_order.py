"""The webhooks of one payment in every order, once or twice, through the real inbox."""

import itertools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from core.law.record import dump_row
from scripts.sandbox import dispute, payment, refund
from tests.fakes.size import Size
from tests.simulation.deal import Deal
from tests.simulation.driver import Driver

Ending = Callable[[Driver, Deal], Awaitable[None]]

AMOUNT_MINOR = 123_457
NEWS = ["payment.failed", "payment.authorized", "payment.captured", "order.paid"]
# Besides all permutations of five: so many sequences in which some come twice.
REPEATED = 20
# Looks of settlement until it has nothing left to do, a second apart.
MAX_LOOKS = 5


async def agreed(driver: Driver) -> Deal:
    await driver.agree([AMOUNT_MINOR], window_s=30 * 86_400, inspection_s=86_400)
    deal = driver.deals[-1]
    await driver.register_payee(deal)
    await driver.start_payment(deal)
    return deal


def paid_late(driver: Driver, deal: Deal) -> str:
    """Make a payment that fails and is authorized and captured late; answer it."""
    paid = payment.pay(driver.books, deal.orders[0], "failed")
    payment.authorize_late(driver.books, paid["id"], then_capture=True)
    payment_id: str = paid["id"]
    return payment_id


async def disputed(driver: Driver, deal: Deal) -> None:
    """Make a payment that the bank disputes at once."""
    dispute.advance(driver.books, paid_late(driver, deal), "created")


async def returned(driver: Driver, deal: Deal) -> None:
    """Make a payment of a cancelled escrow, which settlement refunds."""
    await driver.command(deal, "", "cancel", "buyer", 0)
    payment_id = paid_late(driver, deal)
    notes = {"escrow_id": deal.escrow_id, "part": "whole"}
    body = {"amount": AMOUNT_MINOR, "notes": notes}
    refund.create(driver.books, payment_id, body, f"{deal.escrow_id}-0")
    driver.world.gateway.work()


def sequences(events: Sequence[str], rng: random.Random) -> list[tuple[str, ...]]:
    """Yield all orders of the events, and some in which a few or all of them come twice."""
    once = list(itertools.permutations(events))
    twice = []
    for _ in range(REPEATED):
        again = rng.sample(events, rng.randint(1, len(events)))
        twice.append(tuple(rng.sample([*events, *again], len(events) + len(again))))
    return once + twice


async def deliver(driver: Driver, sequence: Sequence[str], first: int) -> None:
    """Deliver these events of the payment whose webhooks begin at `first`."""
    told = driver.world.gateway.told[first:]
    index_of = {json.loads(body)["event"]: first + i for i, (_, body) in enumerate(told)}
    for place, event in enumerate(sequence):
        # Half of what comes again does so under another id.
        again = f"-{place}" if event in sequence[:place] and place % 2 else ""
        await driver.world.deliver(index_of[event], again=again)


async def end(driver: Driver, deal: Deal) -> tuple[Any, dict[str, int]]:
    """The row without version and times, and the balances, with names in place of ids."""
    for _ in range(MAX_LOOKS):
        if not await driver.world.core.settler.look():
            break
        driver.world.gateway.work()
        driver.world.advance(1)
    escrow = await driver.judge.escrow(deal)
    names = {deal.escrow_id: "ESCROW", deal.mark: "MARK", deal.orders[0]: "ORDER"}
    for paid in deal.payments():
        names[paid["id"]] = "PAYMENT"
        for kind in ("dispute", "refund", "transfer"):
            names |= {one["id"]: kind for one in driver.books.of(kind, paid["id"])}
    row = dump_row(escrow)
    for one, name in names.items():
        row = row.replace(one, name)
    facts = json.loads(row)
    for changing in ("version", "create_time_us", "update_time_us"):
        del facts[changing]
    lists = (facts.get(name, ()) for name in ("attentions", "acceptances"))
    for item in (*itertools.chain(*lists), *facts["payment"].get("refunds", ())):
        for changing in ("since_us", "time_us", "bank_reference"):
            item.pop(changing, None)
    totals = await driver.judge.balances(deal)
    return facts, {name.replace(deal.escrow_id, "ESCROW"): n for name, n in totals.items()}


@pytest.mark.parametrize(
    ("ending", "fifth", "wanted"),
    [
        pytest.param(disputed, "payment.dispute.created", ("CAPTURED", 0), id="disputed"),
        pytest.param(returned, "refund.processed", ("REFUNDED", AMOUNT_MINOR), id="returned"),
    ],
)
async def test_the_webhooks_of_one_payment_end_alike_in_every_order(
    driver: Driver, ending: Ending, fifth: str, wanted: tuple[str, int], size: Size
) -> None:
    first_end = None
    every = size.postgres_every if driver.world.core.store.is_postgres else 1
    for sequence in sequences([*NEWS, fifth], random.Random(1))[::every]:
        deal = await agreed(driver)
        first = len(driver.world.gateway.told)
        await ending(driver, deal)
        await deliver(driver, sequence, first)
        row, balances = await end(driver, deal)
        assert (row["payment"]["status"], row["payment"].get("refunded_minor", 0)) == wanted
        first_end = first_end or (row, balances)
        assert (row, balances) == first_end, sequence
