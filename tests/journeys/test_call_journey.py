"""What all calls have in common: repeats, races, pages, events and their watchers."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.rpc import Caller, Refused
from tests.fakes.stack import Client

pytestmark = on_both("stack")


async def test_a_repeated_request_id_gives_the_first_answer_and_changes_nothing(
    deal: Deal,
) -> None:
    first = await deal.agree(request_id="r-1")
    await deal.act(deal.service, "PublishUpdate", event_type="in_between")
    again = await deal.agree(request_id="r-1")
    assert (again.escrow_id, again.version) == (first.escrow_id, first.version)
    listed = await deal.buyer.call("ListEscrows")
    assert len(listed.escrows) == 1


async def test_a_request_id_with_another_body_is_refused(deal: Deal) -> None:
    await deal.agree(request_id="r-1")
    refusal = await deal.buyer.refusal(
        "CreateEscrow", **deal.terms(title="Another bicycle", request_id="r-1")
    )
    assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    other_call = await deal.buyer.refusal(
        "CancelEscrow", escrow_id=deal.escrow_id, request_id="r-1"
    )
    assert other_call.reason == "REQUEST_ID_REUSED"
    assert await deal.types() == ["ESCROW_CREATED"]


async def test_two_callers_may_use_the_same_request_id(deal: Deal) -> None:
    await deal.agree(request_id="r-1")
    await deal.act(deal.service, "PublishUpdate", event_type="one", request_id="r-1")
    await deal.act(deal.seller, "CancelEscrow", request_id="r-1")
    assert await deal.types() == ["ESCROW_CREATED", "UPDATE_PUBLISHED", "ESCROW_CANCELLED"]


@pytest.mark.parametrize(
    ("who", "rpc", "fields"),
    [
        ("buyer", "AddConfirmation", {}),
        ("buyer", "ReleaseEscrow", {"note": "fine"}),
        ("seller", "RefundEscrow", {"note": "sorry"}),
        ("buyer", "RaiseDispute", {"reason": "broken"}),
    ],
)
async def test_a_call_repeated_concurrently_counts_once(
    deal: Deal, who: str, rpc: str, fields: dict[str, Any]
) -> None:
    await deal.hold()
    caller: Caller = getattr(deal, who)
    before = len(await deal.events())
    answers = await asyncio.gather(
        *(deal.act(caller, rpc, request_id="twin", **fields) for _ in range(10))
    )
    assert {answer.version for answer in answers} == {before + 1}
    mine = [e for e in await deal.events() if e.actor_id == caller.user_id and e.version > before]
    assert len(mine) == 1


async def test_the_same_order_is_returned_however_often_payment_is_started(deal: Deal) -> None:
    await deal.agree()
    orders = await asyncio.gather(*(deal.order() for _ in range(8)))
    assert len(set(orders)) == 1
    assert (await deal.types()).count("PAYMENT_STARTED") == 1
    state = await deal.client.state()
    assert len([o for o in state["orders"] if o["receipt"] == deal.escrow_id]) == 1


async def test_release_and_refund_never_both_win(deal: Deal) -> None:
    await deal.hold()

    async def attempt(caller: Caller, rpc: str) -> str:
        try:
            await deal.act(caller, rpc)
        except Refused as refusal:
            return refusal.reason
        return rpc

    won = await asyncio.gather(
        *(attempt(deal.buyer, "ReleaseEscrow") for _ in range(5)),
        *(attempt(deal.seller, "RefundEscrow") for _ in range(5)),
    )
    winner = set(won) - {"WRONG_STATUS"}
    assert (len(winner), won.count("WRONG_STATUS")) == (1, 9)
    await deal.until_status("RELEASED" if winner == {"ReleaseEscrow"} else "REFUNDED")
    money = await deal.money()
    assert (money.released == 0) != (money.refunded == 0)


async def test_a_command_in_the_wrong_status_writes_nothing(deal: Deal) -> None:
    await deal.agree()
    refused: list[tuple[Caller, str, dict[str, Any]]] = [
        (deal.buyer, "AddConfirmation", {}),
        (deal.buyer, "ReleaseEscrow", {}),
        (deal.seller, "RefundEscrow", {}),
        (deal.buyer, "RaiseDispute", {"reason": "too early"}),
        (deal.arbiter, "ResolveDispute", {"release_minor": AMOUNT_MINOR, "refund_minor": 0}),
    ]
    for caller, rpc, fields in refused:
        refusal = await caller.refusal(rpc, escrow_id=deal.escrow_id, **fields)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WRONG_STATUS"), rpc
    assert await deal.types() == ["ESCROW_CREATED"]


async def test_pages_of_escrows_hold_each_once_and_newest_first(client: Client) -> None:
    deal = Deal(client)
    made = [(await deal.agree(title=f"No {i}")).escrow_id for i in range(7)]
    await deal.act(deal.buyer, "CancelEscrow")
    seen: list[str] = []
    page_token = ""
    while True:
        page = await deal.seller.call("ListEscrows", page_size=3, page_token=page_token)
        assert len(page.escrows) <= 3
        seen += [escrow.escrow_id for escrow in page.escrows]
        page_token = page.next_page_token
        if not page_token:
            break
    assert seen == made[::-1]

    status = "ESCROW_STATUS_CANCELLED"
    cancelled = await deal.seller.call("ListEscrows", status=status)
    assert [escrow.escrow_id for escrow in cancelled.escrows] == made[-1:]
    by_party = await deal.service.call("ListEscrows", party=deal.arbiter.user_id)
    assert len(by_party.escrows) == len(made)
    assert not (await deal.seller.call("ListEscrows", party="someone-else")).escrows
    assert not (await client.caller("stranger").call("ListEscrows")).escrows


async def test_a_page_token_is_valid_only_for_its_own_filter(client: Client) -> None:
    deal = Deal(client)
    for _ in range(2):
        await deal.agree()
    page = await deal.buyer.call("ListEscrows", page_size=1)
    for fields in (
        {"page_token": page.next_page_token, "party": deal.buyer.user_id},
        {"page_token": "rubbish"},
        {"page_token": "ä" * 10},
        {"page_token": page.next_page_token[:-4]},
    ):
        refusal = await deal.buyer.refusal("ListEscrows", **fields)
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_pages_of_events_have_no_gaps(deal: Deal) -> None:
    await deal.agree()
    for i in range(6):
        await deal.act(deal.service, "PublishUpdate", event_type="step", data={"i": i})
    versions: list[int] = []
    has_more = True
    while has_more:
        page = await deal.seller.call(
            "ListEvents",
            escrow_id=deal.escrow_id,
            page_size=3,
            after_version=versions[-1] if versions else 0,
        )
        versions += [event.version for event in page.events]
        has_more = page.has_more
    assert versions == list(range(1, 8))
    beyond = await deal.seller.call("ListEvents", escrow_id=deal.escrow_id, after_version=7)
    assert (list(beyond.events), beyond.has_more) == ([], False)


async def test_a_watch_begins_with_a_snapshot_or_after_the_version_that_it_names(
    deal: Deal,
) -> None:
    await deal.agree()
    for _ in range(3):
        await deal.act(deal.service, "PublishUpdate", event_type="step")

    async with (
        aclosing(deal.seller.watch(deal.escrow_id)) as watching,
        aclosing(deal.seller.watch(deal.escrow_id, 0)) as anew,
        aclosing(deal.seller.watch(deal.escrow_id, 2)) as resumed,
    ):
        first = await anext(watching)
        assert first.HasField("snapshot")
        assert first.snapshot.version == 4
        assert [(await anext(anew)).event.version for _ in range(4)] == [1, 2, 3, 4]
        assert [(await anext(resumed)).event.version for _ in range(2)] == [3, 4]
        await deal.act(deal.service, "PublishUpdate", event_type="live")
        assert [(await anext(one)).event.version for one in (watching, anew, resumed)] == [5, 5, 5]


async def test_a_socket_that_names_a_version_gets_what_it_missed_before_subscribed(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    for _ in range(4):
        await deal.act(deal.service, "PublishUpdate", event_type="step")
    socket = await client.viewer(deal.buyer)
    await socket.subscribe(deal.escrow_id, after=2)
    kinds = [(f["type"], f["version"]) for f in socket.frames if "version" in f]
    assert kinds == [
        ("escrow_update", 3),
        ("escrow_update", 4),
        ("escrow_update", 5),
        ("subscribed", 5),
    ]
    await socket.subscribe(deal.escrow_id)
    await deal.act(deal.service, "PublishUpdate", event_type="live")
    await socket.sees(type="escrow_update", version=6)
    assert socket.versions(deal.escrow_id) == [3, 4, 5, 6]
    gone = await socket.ask("unsubscribe", escrow_id=deal.escrow_id)
    assert (gone["type"], gone["escrow_id"]) == ("unsubscribed", deal.escrow_id)
    await deal.act(deal.service, "PublishUpdate", event_type="unseen")
    await socket.ask("ping")
    assert socket.versions(deal.escrow_id) == [3, 4, 5, 6]
