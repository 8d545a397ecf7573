"""The main journey, from payment to release, as the buyer's and the seller's sockets see it."""

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.fee import fee_of
from tests.fakes.stack import Client
from tests.fakes.viewer import Frame, Viewer

pytestmark = on_both("stack")

HELD_FRAMES = [
    ("payment_status", "captured"),
    ("status_change", "INITIATED", "HELD"),
    ("escrow_update", "payment_captured"),
]


def told(frame: Frame) -> tuple[str, ...]:
    """The fields of a frame that a person would read, without ids."""
    if frame["type"] == "status_change":
        return (frame["type"], frame["old_status"], frame["new_status"])
    if frame["type"] == "payment_status":
        return (frame["type"], frame["status"])
    return (frame["type"], frame["data"]["event_type"])


def story(viewer: Viewer, escrow_id: str) -> list[tuple[str, ...]]:
    kinds = ("payment_status", "status_change", "escrow_update")
    frames = [f for f in viewer.frames if f["type"] in kinds and f["escrow_id"] == escrow_id]
    return [told(frame) for frame in frames]


async def test_buyer_and_seller_see_every_step_from_payment_to_release(
    client: Client, deal: Deal
) -> None:
    await deal.register_payee()
    await deal.agree()
    sockets = [await client.viewer(who) for who in (deal.buyer, deal.seller)]
    for socket in sockets:
        answer = await socket.subscribe(deal.escrow_id)
        assert (answer["version"], answer["data"]["status"]) == (1, "INITIATED")

    await deal.pay()
    for socket in sockets:
        await socket.sees(type="status_change", new_status="HELD")
    await deal.until(lambda event: event.type == deal.event("FUNDS_HELD"))
    await deal.act(deal.seller, "AddConfirmation")
    await deal.act(deal.buyer, "AddConfirmation")
    for socket in sockets:
        await socket.saw_status(deal.escrow_id, "RELEASED")

    for socket in sockets:
        lines = story(socket, deal.escrow_id)
        captured = lines.index(("payment_status", "captured"))
        assert lines[captured : captured + 3] == HELD_FRAMES
        settling = ("status_change", "HELD", "SETTLING")
        assert lines.index(settling) > captured
        assert lines[lines.index(settling) + 1] == ("escrow_update", "confirmation_added")
        assert lines[-2:] == [
            ("status_change", "SETTLING", "RELEASED"),
            ("escrow_update", "settlement_completed"),
        ]
        versions = socket.versions(deal.escrow_id)
        assert versions == list(range(2, len(versions) + 2))
    assert story(sockets[0], deal.escrow_id) == story(sockets[1], deal.escrow_id)


async def test_a_release_leaves_one_payment_and_one_transfer_less_the_fee_off_hold(
    deal: Deal,
) -> None:
    held = await deal.hold()
    assert held.held.amount_minor == AMOUNT_MINOR
    before = await deal.money()
    assert [t["on_hold"] for t in before.transfers] == [True]
    await deal.act(deal.buyer, "AddConfirmation")
    settling = await deal.act(deal.seller, "AddConfirmation")
    assert settling.status == deal.status("SETTLING")
    released = await deal.until_status("RELEASED")

    fee = fee_of(AMOUNT_MINOR)
    money = await deal.money()
    assert (len(money.payments), money.paid) == (1, AMOUNT_MINOR)
    assert (len(money.transfers), money.released) == (1, AMOUNT_MINOR - fee)
    assert (money.on_hold, money.refunds) == (0, [])
    assert released.released.amount_minor == AMOUNT_MINOR - fee
    assert (released.fee.amount_minor, released.held.amount_minor) == (fee, 0)


async def test_what_was_paid_is_accounted_for_at_every_version(deal: Deal) -> None:
    await deal.hold()
    await deal.act(deal.buyer, "ReleaseEscrow", note="it came")
    await deal.until_status("RELEASED")
    events = await deal.events()
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    captured = next(e.version for e in events if e.type == deal.event("PAYMENT_CAPTURED"))
    for event in events:
        after = event.escrow
        parts = (after.held, after.released, after.refunded, after.fee)
        paid = AMOUNT_MINOR if event.version >= captured else 0
        assert sum(part.amount_minor for part in parts) == paid, event
    assert [e.previous_hash for e in events[1:]] == [e.hash for e in events[:-1]]
    assert events[0].previous_hash == b""


async def test_a_seller_without_an_account_delays_the_transfer_and_not_held(deal: Deal) -> None:
    await deal.agree()
    await deal.pay()
    held = await deal.until_status("HELD")
    assert held.held.amount_minor == AMOUNT_MINOR
    assert (await deal.money()).transfers == []
    await deal.act(deal.buyer, "ReleaseEscrow")
    await deal.register_payee()
    await deal.until_status("RELEASED")
    money = await deal.money()
    assert (len(money.transfers), money.released) == (1, AMOUNT_MINOR - fee_of(AMOUNT_MINOR))
