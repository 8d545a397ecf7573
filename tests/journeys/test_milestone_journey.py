"""An escrow with milestones: each one is confirmed, released, refunded and disputed separately."""

from typing import Any

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of
from tests.fakes.stack import Client

pytestmark = on_both("stack")

PARTS = [40_001, 40_000, AMOUNT_MINOR - 80_001]


def milestones() -> list[dict[str, Any]]:
    return [
        {"title": f"Part {i}", "amount": {"amount_minor": part, "currency": "INR"}}
        for i, part in enumerate(PARTS, 1)
    ]


async def all_on_hold(deal: Deal) -> None:
    await deal.register_payee()
    await deal.agree(milestones=milestones())
    await deal.pay()
    holds: set[str] = set()

    def is_last(event: Any) -> bool:
        if event.type == deal.event("FUNDS_HELD"):
            holds.add(event.milestone_id)
        return len(holds) == len(PARTS)

    await deal.until(is_last)


async def test_every_milestone_is_settled_separately(client: Client, deal: Deal) -> None:
    await all_on_hold(deal)
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id)
    assert (await deal.money()).on_hold == sum(part - fee_of(part) for part in PARTS)

    await deal.act(deal.buyer, "AddConfirmation", milestone_id="m1")
    await deal.act(deal.seller, "AddConfirmation", milestone_id="m1")
    await deal.act(deal.seller, "RefundEscrow", milestone_id="m2")
    await deal.act(deal.buyer, "RaiseDispute", milestone_id="m3", reason="half of it is missing")
    await deal.act(
        deal.arbiter,
        "ResolveDispute",
        milestone_id="m3",
        release_minor=20_000,
        refund_minor=PARTS[2] - 20_000,
        note="half of it is missing",
    )
    final = await deal.until_status("SPLIT")

    ends = [m.status for m in final.milestones]
    assert ends == [deal.status(name) for name in ("RELEASED", "REFUNDED", "SPLIT")]
    fee = fee_of(PARTS[0]) + fee_of(20_000)
    refunded = PARTS[1] + PARTS[2] - 20_000
    money = await deal.money()
    assert (money.refunded, money.on_hold) == (refunded, 0)
    assert money.released == AMOUNT_MINOR - refunded - fee
    assert (final.fee.amount_minor, final.held.amount_minor) == (fee, 0)
    await socket.saw_status(deal.escrow_id, "SPLIT")
    versions = socket.versions(deal.escrow_id)
    assert versions == list(range(versions[0], final.version + 1))


async def test_a_call_on_milestones_must_name_one_that_exists(deal: Deal) -> None:
    await all_on_hold(deal)
    unnamed = await deal.buyer.refusal("AddConfirmation", escrow_id=deal.escrow_id)
    assert (unnamed.reason, list(unnamed.fields)) == ("FIELD_INVALID", ["milestone_id"])
    unknown = await deal.buyer.refusal(
        "AddConfirmation", escrow_id=deal.escrow_id, milestone_id="m9"
    )
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "MILESTONE_NOT_FOUND")


async def test_a_release_without_a_milestone_takes_all_that_is_held(deal: Deal) -> None:
    await all_on_hold(deal)
    await deal.act(deal.buyer, "ReleaseEscrow")
    final = await deal.until_status("RELEASED")
    fee = sum(fee_of(part) for part in PARTS)
    assert (await deal.money()).released == AMOUNT_MINOR - fee
    assert final.released.amount_minor == AMOUNT_MINOR - fee


async def test_a_milestone_that_is_settled_cannot_be_settled_again(deal: Deal) -> None:
    await all_on_hold(deal)
    await deal.act(deal.buyer, "ReleaseEscrow", milestone_id="m1")
    refusal = await deal.seller.refusal("RefundEscrow", escrow_id=deal.escrow_id, milestone_id="m1")
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WRONG_STATUS")
    rest = await deal.get()
    assert [m.status for m in rest.milestones[1:]] == [deal.status("HELD")] * 2
