"""The line is cut, and escrows go on: whoever comes back with a position gets just what was missed.

With real processes, on both databases.
"""

import asyncio
import itertools
from contextlib import aclosing
from typing import Any

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import Deal
from tests.fakes.rpc import Caller
from tests.fakes.stack import Client, token
from tests.fakes.viewer import Viewer

pytestmark = on_both("stack")

Event = tuple[str, int]


async def cut(viewer: Viewer) -> int:
    """Cut the line as a network does; answer the last position that the browser has."""
    connection = viewer.socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()
    await viewer.ends()
    return int([frame["position"] for frame in viewer.frames if "position" in frame][-1])


def told(viewer: Viewer) -> list[Event]:
    """The updates that came with a position, in the order in which they came."""
    frames = [frame for frame in viewer.find(type="escrow_update") if "position" in frame]
    positions = [frame["position"] for frame in frames]
    assert positions == sorted(set(positions))
    return [(frame["escrow_id"], frame["version"]) for frame in frames]


async def record(deals: list[Deal], after: dict[str, int]) -> set[Event]:
    """All events of some escrows after the versions that the browser had."""
    return {
        (deal.escrow_id, event.version)
        for deal in deals
        for event in await deal.events()
        if event.version > after.get(deal.escrow_id, 0)
    }


async def placed(client: Client, escrow_id: str) -> None:
    """Wait until the creation of an escrow has its position, and so has all before it."""
    crm = client.caller("crm", "service")
    async with aclosing(crm.stream("WatchEvents", types=["EVENT_TYPE_ESCROW_CREATED"])) as feed:
        async for message in feed:
            if message.event.escrow_id == escrow_id:
                return


def deal_of(client: Client, seller: Caller) -> Deal:
    """One more deal of this seller."""
    deal = Deal(client)
    deal.seller = seller
    return deal


@pytest.mark.parametrize("who", ["seller", "admin", "service"])
async def test_what_was_missed_comes_and_nothing_else(client: Client, who: str) -> None:
    first = Deal(client)
    seller = first.seller
    stays, refunded, cancelled, ended, new, short = [
        first,
        *(deal_of(client, seller) for _ in range(5)),
    ]
    await refunded.hold()
    for deal in (stays, cancelled, ended):
        await deal.agree()
    await ended.act(ended.buyer, "CancelEscrow")
    caller = seller if who == "seller" else client.caller(who, who)
    viewer = await client.viewer(caller)
    await viewer.subscribe("*")
    seen = await stays.act(stays.service, "PublishUpdate", event_type="seen")
    # By its version: the line may begin before the creation, which then comes as an update too.
    await viewer.sees(escrow_id=stays.escrow_id, type="escrow_update", version=seen.version)
    before = {deal.escrow_id: len(await deal.events()) for deal in (stays, refunded, cancelled)}
    before[ended.escrow_id] = len(await ended.events())
    after = await cut(viewer)

    await refunded.act(seller, "RefundEscrow", note="sold to someone else")
    await cancelled.act(cancelled.buyer, "CancelEscrow")
    await new.agree()
    await short.agree()
    await short.act(short.buyer, "CancelEscrow")
    await ended.act(ended.service, "PublishUpdate", event_type="late")
    await refunded.until_status("REFUNDED")
    others = Deal(client)
    await others.agree()
    await placed(client, others.escrow_id)

    back = await client.viewer(caller)
    answer = await back.subscribe("*", after=after)
    deals = [stays, refunded, cancelled, ended, new, short]
    assert answer["position"] > after
    missed = await record([*deals, *([] if who == "seller" else [others])], before)
    came = told(back)
    own = {event for event in came if event[0] in {deal.escrow_id for deal in deals}}
    assert own == {event for event in missed if event[0] != others.escrow_id}
    assert ((others.escrow_id, 1) in came) == (who != "seller")
    if who == "seller":
        assert set(came) == missed
    assert len(came) == len(set(came))
    for deal in deals:
        versions = [version for escrow_id, version in came if escrow_id == deal.escrow_id]
        assert versions == sorted(versions)
    data = {
        frame["escrow_id"]: frame["data"]["status"] for frame in back.find(type="escrow_update")
    }
    assert data[refunded.escrow_id] == "REFUNDED"
    assert data[cancelled.escrow_id] == data[short.escrow_id] == "CANCELLED"

    await new.act(new.service, "PublishUpdate", event_type="live")
    update = await back.sees(type="escrow_update", escrow_id=new.escrow_id, version=2)
    assert update["position"] > answer["position"]


async def test_two_sockets_with_different_positions_end_with_the_same(client: Client) -> None:
    deal = Deal(client)
    await deal.agree()
    seen: list[Viewer] = []
    for _ in range(3):
        viewer = await client.viewer(deal.seller)
        await viewer.subscribe("*", after=0)
        seen.append(viewer)
        await deal.act(deal.service, "PublishUpdate", event_type="told")
        await viewer.until(lambda: told(seen[-1])[-1:] == [(deal.escrow_id, 1 + len(seen))])
    for viewer in seen:
        await viewer.until(lambda: len(told(viewer)) == 4)  # noqa: B023 - it is used at once
        assert told(viewer) == [(deal.escrow_id, version) for version in (1, 2, 3, 4)]


async def test_a_core_that_restarts_is_resumed_by_position(client: Client) -> None:
    deal = Deal(client)
    await deal.agree()
    viewer = await client.viewer(deal.seller)
    await viewer.subscribe("*")
    for version in (2, 3, 4):
        client.stack.core.kill()
        await client.stack.start()
        await deal.service.insist("PublishUpdate", escrow_id=deal.escrow_id, event_type="told")
        await viewer.sees(limit_s=30, type="escrow_update", version=version)
    assert told(viewer) == [(deal.escrow_id, version) for version in (2, 3, 4)]


async def visits(client: Client, caller: Caller, after: int) -> list[Event]:
    """Come back with the last position until the last event; answer all that came."""
    came: list[Event] = []
    for number in itertools.count():
        viewer = await client.viewer(caller)
        is_last = await visit(viewer, after, number % 7 * 3)
        came += told(viewer)
        for frame in viewer.find(type="escrow_update"):
            assert frame["position"] > after
            after = frame["position"]
        if is_last:
            break
        await viewer.socket.close()
    return came


async def visit(viewer: Viewer, after: int, few: int) -> bool:
    """Stay for more than a few updates; answer whether the last of all was among them."""

    def is_last() -> bool:
        updates = viewer.find(type="escrow_update")
        return any(frame["data"]["event_type"] == "last" for frame in updates)

    def is_enough() -> bool:
        is_refused = bool(viewer.find(type="error", escrow_id="*"))
        return is_last() or is_refused or len(viewer.find(type="escrow_update")) > few

    await viewer.send("subscribe", escrow_id="*", after=after)
    await viewer.until(is_enough, limit_s=60)
    return is_last()


async def test_whoever_comes_back_again_and_again_while_core_is_killed_misses_nothing(
    client: Client,
) -> None:
    first = Deal(client)
    deals = [first, *(deal_of(client, first.seller) for _ in range(3))]
    for deal in deals:
        await deal.agree()
    viewer = await client.viewer(first.seller)
    await viewer.subscribe("*")
    # A position comes a moment after the commit: whoever has this one has what was before it.
    await first.act(first.service, "PublishUpdate", event_type="begun")
    begun = await viewer.sees(type="escrow_update", escrow_id=first.escrow_id, version=2)
    after = begun["position"]

    async def flood() -> None:
        for number in range(120):
            deal = deals[number % len(deals)]
            await deal.service.insist(
                "PublishUpdate", escrow_id=deal.escrow_id, event_type=f"update_{number}"
            )
            if number in (40, 80):
                client.stack.core.kill()
                client.stack.core.spawn()
        await first.service.insist("PublishUpdate", escrow_id=first.escrow_id, event_type="last")

    people = (first.seller, client.caller("admin", "admin"), client.caller("service", "service"))
    visiting = [asyncio.create_task(visits(client, one, after)) for one in people]
    await flood()
    of_seller, *of_keepers = await asyncio.gather(*visiting)
    before = {deal.escrow_id: 1 for deal in deals} | {first.escrow_id: 2}
    assert set(of_seller) == await record(deals, before)
    assert len(of_seller) == 121
    ours = {deal.escrow_id for deal in deals}
    for came in of_keepers:
        # In one order for everybody.
        assert [event for event in came if event[0] in ours] == of_seller


@pytest.mark.parametrize("after", [-1, "12", 1.5])
async def test_an_after_that_is_no_position_is_a_bad_frame(client: Client, after: Any) -> None:
    viewer = await client.viewer(client.caller("anyone"))
    answer = await viewer.ask("subscribe", escrow_id="*", after=after)
    assert (answer["type"], answer["code"]) == ("error", "BAD_FRAME")


async def test_a_position_beyond_the_newest_is_told_clearly(client: Client) -> None:
    viewer = await client.viewer(client.caller("anyone"))
    answer = await viewer.ask("subscribe", escrow_id="*", after=2**53 - 1)
    assert (answer["type"], answer["code"]) == ("error", "POSITION_UNKNOWN")
    assert (answer["retry"], answer["escrow_id"]) == (False, "*")
    assert (await viewer.subscribe("*"))["type"] == "subscribed"


async def test_a_user_who_is_called_like_everything_sees_nothing(client: Client) -> None:
    deal = Deal(client)
    await deal.agree()
    viewer = await client.viewer(client.with_token(token("*"), "*"))
    for fields in ({}, {"after": 0}):
        answer = await viewer.ask("subscribe", escrow_id="*", **fields)
        assert (answer["type"], answer["code"]) == ("error", "ESCROW_NOT_FOUND")
    assert not viewer.find(type="escrow_update")
