"""ListEscrows through a real channel: what is looked for is found, and nothing of others."""

import datetime
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as payments
from google.protobuf.timestamp_pb2 import Timestamp

from core.storage import listing
from tests.core.counter import Counter, Failed, pay, token
from tests.fakes.visitor import Visitor

BUYER, SELLER, ARBITER = "buyer-1", "seller-1", "arbiter-1"


async def ask(counter: Counter, user_id: str, *roles: str, **asked: Any) -> list[str]:
    """List all pages, and answer the titles."""
    titles: list[str] = []
    token = ""
    while True:
        request = escrows.ListEscrowsRequest(page_token=token, **asked)
        page = await counter.call(request, user_id, *roles)
        titles += [escrow.title for escrow in page.escrows]
        token = page.next_page_token
        if not token:
            return titles


async def made(counter: Counter, *titles: str, **more: Any) -> Sequence[pb.Escrow]:
    return [await counter.create(title=title, **more) for title in titles]


async def paid(counter: Counter, escrow: pb.Escrow) -> pb.Escrow:
    answer = await counter.call(await pay(counter, escrow.escrow_id))
    found: pb.Escrow = answer.escrow
    return found


async def reached(counter: Counter, escrow_id: str, kind: int) -> None:
    """Wait for an event."""
    request = escrows.WatchEscrowRequest(escrow_id=escrow_id, after_version=0)
    stream: Any = counter.watch(request, token(BUYER))
    async with aclosing(stream) as told:
        async for one in told:
            if one.event.type == kind:
                return


async def sandbox_state(counter: Counter) -> Any:
    async with Visitor(counter.sandbox) as visitor:
        _, state = await visitor.door("GET", "/state")
    return state


def at(escrow: pb.Escrow) -> Timestamp:
    return escrow.create_time


async def test_words_are_found_in_titles_parties_and_own_ids(counter: Counter) -> None:
    await made(counter, "A red Bicycle", "Straße 100% _new_", "एक साइकिल")
    await made(counter, "A lamp", seller_id="Shop-7", external_id="INV-2026-7")
    for query, wanted in {
        "bicycle": ["A red Bicycle"],
        "BICYCLE red": ["A red Bicycle"],
        "red lamp": [],
        "strasse": ["Straße 100% _new_"],
        "0% _n": ["Straße 100% _new_"],
        "%": ["Straße 100% _new_"],
        "साइकिल": ["एक साइकिल"],
        "shop-7": ["A lamp"],
        "inv-2026": ["A lamp"],
        "INV-2026-7": ["A lamp"],
        "nothing like it": [],
    }.items():
        assert await ask(counter, BUYER, query=query) == wanted, query
    assert await ask(counter, "somebody", query="bicycle") == []
    assert await ask(counter, "admin-1", "admin", query="bicycle") == ["A red Bicycle"]


@pytest.mark.parametrize("query", ["1250", "1,250", "₹1,250.00", "Rs. 1250.0", "₹ 1,250"])
async def test_an_amount_of_rupees_is_found(lite: Counter, query: str) -> None:
    await made(lite, "dear", amount=pb.Money(amount_minor=125_000, currency="INR"))
    await made(lite, "cheap", amount=pb.Money(amount_minor=12_500, currency="INR"))
    assert await ask(lite, BUYER, query=query) == ["dear"]


async def test_every_id_of_ours_and_of_razorpay_finds_its_escrow(counter: Counter) -> None:
    account = payments.RegisterPayeeRequest(user_id=SELLER, account_id="acc_12345678901234")
    await counter.call(account, SELLER)
    await made(counter, "another")
    (escrow,) = await made(counter, "paid")
    escrow = await paid(counter, escrow)
    await reached(counter, escrow.escrow_id, pb.EVENT_TYPE_FUNDS_HELD)
    state = await sandbox_state(counter)
    (transfer,) = state["transfers"]
    refund = escrows.RefundEscrowRequest(escrow_id=escrow.escrow_id)
    await counter.call(refund, SELLER)
    await reached(counter, escrow.escrow_id, pb.EVENT_TYPE_SETTLEMENT_COMPLETED)
    (refunded,) = (await sandbox_state(counter))["refunds"]
    payment = escrow.payment
    for found_by in (
        escrow.escrow_id,
        escrow.escrow_id.upper(),
        payment.order_id,
        payment.payment_id,
        transfer["id"],
        refunded["id"],
    ):
        assert await ask(counter, BUYER, query=f" {found_by} ") == ["paid"], found_by
        assert await ask(counter, "somebody", query=found_by) == [], found_by
    assert await ask(counter, BUYER, query="0a1b2c3d-0000-4000-8000-00000000000a") == []


async def test_what_waits_for_the_caller_is_told_and_comes_first(counter: Counter) -> None:
    first, _, last = await made(counter, "to pay", "also to pay", "done")
    await counter.call(escrows.CancelEscrowRequest(escrow_id=last.escrow_id), BUYER)
    await counter.call(escrows.AcceptEscrowRequest(escrow_id=first.escrow_id), SELLER)
    by_turn = {"order_by": escrows.ESCROW_ORDER_NEEDS_ME}
    assert await ask(counter, BUYER, needs_me=True) == ["also to pay", "to pay"]
    assert await ask(counter, SELLER, needs_me=True) == ["also to pay"]
    assert await ask(counter, ARBITER, needs_me=True) == []
    assert await ask(counter, ARBITER, **by_turn) == ["done", "also to pay", "to pay"]
    for size in (1, 2, 3, 50):
        listed = await ask(counter, SELLER, page_size=size, **by_turn)
        assert listed == ["also to pay", "done", "to pay"], size
    assert await ask(counter, "admin-1", "admin", **by_turn) == ["done", "also to pay", "to pay"]
    await paid(counter, first)
    raised = escrows.RaiseDisputeRequest(escrow_id=first.escrow_id, reason="Broken")
    await counter.call(raised, BUYER)
    assert await ask(counter, ARBITER, needs_me=True, party=SELLER) == ["to pay"]
    assert await ask(counter, ARBITER, needs_me=True, party="somebody") == []


async def test_orders_and_times_bound_a_list(counter: Counter) -> None:
    one, two, three = await made(counter, "one", "two", "three")
    oldest = {"order_by": escrows.ESCROW_ORDER_OLDEST}
    assert await ask(counter, BUYER) == ["three", "two", "one"]
    assert await ask(counter, BUYER, page_size=1, **oldest) == ["one", "two", "three"]
    assert await ask(counter, BUYER, create_time_from=at(two)) == ["three", "two"]
    assert await ask(counter, BUYER, create_time_to=at(two), **oldest) == ["one"]
    between = {"create_time_from": at(two), "create_time_to": at(three)}
    assert await ask(counter, "admin-1", "admin", **between) == ["two"]
    accept = escrows.AcceptEscrowRequest(escrow_id=one.escrow_id)
    changed = (await counter.call(accept, SELLER)).escrow.update_time
    assert await ask(counter, BUYER, update_time_from=changed) == ["one"]
    assert await ask(counter, BUYER, update_time_to=changed) == ["three", "two"]


async def test_a_part_in_an_escrow_is_the_callers_or_a_partys(counter: Counter) -> None:
    await made(counter, "bought")
    await counter.call(
        escrows.CreateEscrowRequest(
            buyer_id="else",
            seller_id=BUYER,
            title="sold",
            amount=pb.Money(amount_minor=100_000, currency="INR"),
        )
    )
    buys, sells = escrows.ESCROW_ROLE_BUYER, escrows.ESCROW_ROLE_SELLER
    assert await ask(counter, BUYER, role=buys) == ["bought"]
    assert await ask(counter, BUYER, role=sells) == ["sold"]
    assert await ask(counter, BUYER, role=sells, party="else") == ["sold"]
    assert await ask(counter, BUYER, role=buys, party="else") == []
    assert await ask(counter, "admin-1", "admin", role=sells, party=BUYER) == ["sold"]
    assert await ask(counter, "admin-1", "admin", role=sells) == []


async def test_what_a_person_has_to_look_at_is_listed_by_its_code(counter: Counter) -> None:
    escrow, _ = await made(counter, "stuck", "well")
    await paid(counter, escrow)
    await counter.call(escrows.ReleaseEscrowRequest(escrow_id=escrow.escrow_id), BUYER)
    await reached(counter, escrow.escrow_id, pb.EVENT_TYPE_SETTLEMENT_FAILED)
    missing, refused = pb.ATTENTION_CODE_PAYEE_MISSING, pb.ATTENTION_CODE_GATEWAY_REFUSED
    for user_id, *roles in (("admin-1", "admin"), (BUYER,), (SELLER,)):
        assert await ask(counter, user_id, *roles, attention=True) == ["stuck"]
        assert await ask(counter, user_id, *roles, attention_code=missing) == ["stuck"]
        assert await ask(counter, user_id, *roles, attention_code=refused) == []
    assert await ask(counter, "somebody", attention=True) == []
    assert await ask(counter, SELLER, needs_me=True, attention=True) == ["stuck"]
    assert await ask(counter, BUYER, needs_me=True, attention=True) == []


async def test_totals_are_of_all_escrows_of_the_caller(counter: Counter) -> None:
    (first, *_) = await made(counter, "one", "two", "three")
    await paid(counter, first)
    request = escrows.ListEscrowsRequest(page_size=1, query="two", with_totals=True)

    async def totals(user_id: str, *roles: str, party: str = "") -> tuple[int, int]:
        request.party = party
        sums = (await counter.call(request, user_id, *roles)).totals
        assert not sums.is_partial
        (held,) = sums.held
        return held.amount_minor, sums.needs_me

    assert await totals(BUYER) == (100_000, 3)
    assert await totals(ARBITER) == (100_000, 0)
    assert await totals("somebody") == (0, 0)
    assert await totals("admin-1", "admin", party=SELLER) == (100_000, 3)
    assert await totals("somebody", party=SELLER) == (0, 0)


async def test_a_search_goes_on_where_a_page_has_looked_at_enough(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCAN_ROWS", 3)
    wanted = ["lamp 1", "lamp 2"]
    await made(lite, wanted[0], *(f"bicycle {n}" for n in range(8)), wanted[1])
    request = escrows.ListEscrowsRequest(query="lamp", page_size=2)
    first = await lite.call(request)
    assert [escrow.title for escrow in first.escrows] == ["lamp 2"]
    assert first.next_page_token
    # It has looked at the three newest.
    everything = await lite.call(escrows.ListEscrowsRequest(page_size=3))
    assert first.reached_time == everything.escrows[-1].create_time
    assert not (await lite.call(escrows.ListEscrowsRequest())).HasField("reached_time")
    assert await ask(lite, BUYER, query="lamp", page_size=1) == wanted[::-1]


@pytest.mark.parametrize("walk_s", [-1.0, 60.0])
async def test_a_list_is_whole_however_slowly_it_is_walked(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, walk_s: float
) -> None:
    """A call that is slow stops after one slice, and the tokens lead on to all there is."""
    monkeypatch.setattr(listing, "SLICE_ROWS", 2)
    monkeypatch.setattr(listing, "WALK_S", walk_s)
    titles = [f"{'lamp' if n % 4 == 0 else 'bicycle'} {n}" for n in range(12)]
    await made(counter, *titles)
    lamps = ["lamp 8", "lamp 4", "lamp 0"]
    assert await ask(counter, BUYER, query="lamp", page_size=1) == lamps
    assert (
        await ask(counter, BUYER, query="lamp", page_size=1, order_by=escrows.ESCROW_ORDER_OLDEST)
        == lamps[::-1]
    )
    status = pb.ESCROW_STATUS_INITIATED
    newest = titles[::-1]
    assert await ask(counter, BUYER, party=SELLER, status=status, page_size=1) == newest
    for user in (BUYER, SELLER):
        asked = {"order_by": escrows.ESCROW_ORDER_NEEDS_ME, "status": status, "page_size": 3}
        assert await ask(counter, user, **asked) == newest


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("query", {"query": "x" * 201}),
        ("query", {"query": "a b c d e f g h i"}),
        ("query", {"query": "a\x00b"}),
        ("role", {"role": 9}),
        ("order_by", {"order_by": 9}),
        ("attention_code", {"attention_code": 99}),
        ("create_time_from", {"create_time_from": Timestamp(seconds=-5)}),
        ("update_time_to", {"update_time_to": Timestamp(nanos=-5)}),
    ],
)
async def test_a_filter_that_cannot_be_is_named(
    lite: Counter, field: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(escrows.ListEscrowsRequest(**asked))
    assert failed.value.reason == "FIELD_INVALID"
    assert field in failed.value.fields


async def test_a_token_belongs_to_the_whole_filter(lite: Counter) -> None:
    await made(lite, "one", "two", "three")
    answer = await lite.call(escrows.ListEscrowsRequest(page_size=1, query="o"))
    others: list[dict[str, Any]] = [
        {"query": "x"},
        {"query": "o", "needs_me": True},
        {"query": "o", "order_by": escrows.ESCROW_ORDER_OLDEST},
        {"query": "o", "create_time_to": datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)},
    ]
    for other in others:
        with pytest.raises(Failed) as failed:
            await lite.call(escrows.ListEscrowsRequest(page_token=answer.next_page_token, **other))
        assert failed.value.reason == "PAGE_TOKEN_INVALID"
    same = escrows.ListEscrowsRequest(page_token=answer.next_page_token, query="o", page_size=5)
    assert (await lite.call(same)).escrows
