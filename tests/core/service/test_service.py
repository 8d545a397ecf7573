"""The services through a real channel: repeats, pages, watching, and what is for others."""

import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as payments
from google.protobuf.message import Message

from tests.core.counter import Counter, Failed, new_escrow, pay, token

ACCOUNT = "acc_12345678901234"


async def held(counter: Counter) -> str:
    escrow = await counter.create()
    await counter.call(await pay(counter, escrow.escrow_id))
    return str(escrow.escrow_id)


async def disputed(counter: Counter) -> str:
    escrow_id = await held(counter)
    await counter.call(escrows.RaiseDisputeRequest(escrow_id=escrow_id, reason="Broken"))
    return escrow_id


async def initiated(counter: Counter) -> str:
    return str((await counter.create()).escrow_id)


async def test_the_defaults_are_what_an_escrow_gets_that_names_no_terms(lite: Counter) -> None:
    defaults = await lite.call(escrows.GetDefaultsRequest())
    escrow = await lite.create()
    assert defaults.fee_bps == escrow.fee_bps > 0
    assert defaults.terms == escrow.terms


Prepare = Callable[[Counter], Any]
# Every call that changes something: how the escrow is prepared, the call, and by whom.
CHANGES: list[tuple[Prepare, Message, str, str]] = [
    (initiated, new_escrow(), "buyer-1", "user"),
    (initiated, escrows.CancelEscrowRequest(note="Changed my mind"), "buyer-1", "user"),
    (initiated, payments.StartPaymentRequest(), "buyer-1", "user"),
    (held, escrows.AddConfirmationRequest(), "buyer-1", "user"),
    (held, escrows.ReleaseEscrowRequest(), "buyer-1", "user"),
    (held, escrows.RefundEscrowRequest(), "seller-1", "user"),
    (held, escrows.RaiseDisputeRequest(reason="Broken"), "seller-1", "user"),
    (disputed, escrows.WithdrawDisputeRequest(), "buyer-1", "user"),
    (
        disputed,
        escrows.ResolveDisputeRequest(release_minor=60_000, refund_minor=40_000, note="half"),
        "arbiter-1",
        "user",
    ),
    (held, escrows.PublishUpdateRequest(event_type="parcel_sent"), "service-1", "service"),
    (
        initiated,
        payments.RegisterPayeeRequest(user_id="seller-1", account_id=ACCOUNT),
        "seller-1",
        "user",
    ),
]


@pytest.mark.parametrize(
    ("prepare", "template", "user_id", "role"), CHANGES, ids=lambda value: type(value).__name__
)
async def test_a_repeated_request_id_answers_alike_and_changes_nothing(
    counter: Counter, prepare: Prepare, template: Message, user_id: str, role: str
) -> None:
    request: Any = type(template)()
    request.CopyFrom(template)
    escrow_id = await prepare(counter)
    if "escrow_id" in request.DESCRIPTOR.fields_by_name:
        request.escrow_id = escrow_id
    request.request_id = "the same: id"
    with pytest.raises(Failed) as failed:
        await counter.call(request, user_id, role)
    assert list(failed.value.fields) == ["request_id"]
    request.request_id = "the-same:id"
    first = await counter.call(request, user_id, role)
    count = await counter.count()
    # The world goes on; the answer stays.
    update = escrows.PublishUpdateRequest(escrow_id=escrow_id, event_type="in_between")
    await counter.call(update, "service-1", "service")
    assert await counter.call(request, user_id, role) == first
    assert await counter.count() == count
    other = _with_another_body(request)
    with pytest.raises(Failed) as failed:
        await counter.call(other, user_id, role)
    assert failed.value.reason == "REQUEST_ID_REUSED"


def _with_another_body(request: Any) -> Any:
    other = type(request)()
    other.CopyFrom(request)
    for field, value in (
        ("title", "Another"),
        ("note", "another"),
        ("reason", "Another"),
        ("event_type", "another"),
        ("account_id", "acc_99999999999999"),
        ("milestone_id", "m1"),
    ):
        if field in other.DESCRIPTOR.fields_by_name:
            setattr(other, field, value)
            return other
    # What has nothing but an id beside it: the same id for another kind of call.
    return escrows.CancelEscrowRequest(
        escrow_id=request.escrow_id, request_id=request.request_id, note="another"
    )


async def test_a_payment_that_has_gone_on_still_answers_its_first_start(lite: Counter) -> None:
    escrow = await lite.create()
    request = payments.StartPaymentRequest(escrow_id=escrow.escrow_id, request_id="start")
    first = await lite.call(request)
    await lite.call(await pay(lite, escrow.escrow_id))
    assert await lite.call(request) == first
    with pytest.raises(Failed) as failed:
        await lite.call(payments.StartPaymentRequest(escrow_id=escrow.escrow_id))
    assert failed.value.reason == "WRONG_STATUS"


async def test_a_request_id_belongs_to_one_caller(lite: Counter) -> None:
    mine = await lite.call(new_escrow(buyer_id="a", request_id="b:c"), "a")
    theirs = await lite.call(new_escrow(buyer_id="a", request_id="c"), "a:b", "service")
    assert mine.escrow.escrow_id != theirs.escrow.escrow_id


async def test_a_list_comes_in_pages_without_gaps_or_repeats(counter: Counter) -> None:
    made = [(await counter.create()).escrow_id for _ in range(7)]
    found: list[str] = []
    page_token = ""
    while True:
        answer = await counter.call(
            escrows.ListEscrowsRequest(page_size=3, page_token=page_token, party="seller-1")
        )
        found += [escrow.escrow_id for escrow in answer.escrows]
        page_token = answer.next_page_token
        if not page_token:
            break
    assert found == made[::-1]


async def test_a_page_token_belongs_to_its_filter(lite: Counter) -> None:
    for _ in range(3):
        await lite.create()
    answer = await lite.call(escrows.ListEscrowsRequest(page_size=1))
    for other in ({"party": "buyer-1"}, {"status": pb.ESCROW_STATUS_HELD}):
        with pytest.raises(Failed) as failed:
            await lite.call(escrows.ListEscrowsRequest(page_token=answer.next_page_token, **other))
        assert failed.value.reason == "PAGE_TOKEN_INVALID"


async def test_everybody_lists_only_what_concerns_them(counter: Counter) -> None:
    await counter.create()
    await counter.create(arbiter_id="")

    async def seen(user_id: str, *roles: str, party: str = "") -> int:
        request = escrows.ListEscrowsRequest(party=party)
        return len((await counter.call(request, user_id, *roles)).escrows)

    assert [await seen(u) for u in ("buyer-1", "seller-1", "arbiter-1", "x")] == [2, 2, 1, 0]
    assert await seen("admin-1", "admin") == 2
    assert await seen("x", party="buyer-1") == 0
    assert await seen("buyer-1", party="arbiter-1") == 1


async def test_events_come_in_pages_oldest_first(lite: Counter) -> None:
    escrow = await lite.create()
    for _ in range(5):
        await lite.call(
            escrows.PublishUpdateRequest(escrow_id=escrow.escrow_id, event_type="news"),
            "service-1",
            "service",
        )
    request = escrows.ListEventsRequest(escrow_id=escrow.escrow_id, after_version=1, page_size=3)
    first = await lite.call(request)
    assert ([e.version for e in first.events], first.has_more) == ([2, 3, 4], True)
    request.after_version = 4
    last = await lite.call(request)
    assert ([e.version for e in last.events], last.has_more) == ([5, 6], False)


async def test_a_watch_begins_with_a_snapshot_or_after_a_version(lite: Counter) -> None:
    escrow_id = await initiated(lite)
    request = escrows.WatchEscrowRequest(escrow_id=escrow_id)
    async with aclosing(lite.watch(request, token("buyer-1"))) as watching:  # type: ignore[type-var]
        snapshot = await anext(watching)
        assert snapshot.snapshot.version == 1
        await lite.call(escrows.CancelEscrowRequest(escrow_id=escrow_id))
        assert (await anext(watching)).event.version == 2
    request.after_version = 0
    async with aclosing(lite.watch(request, token("buyer-1"))) as watching:  # type: ignore[type-var]
        assert [(await anext(watching)).event.version for _ in range(2)] == [1, 2]


async def test_a_watch_ends_when_its_token_does(lite: Counter) -> None:
    escrow_id = await initiated(lite)
    request = escrows.WatchEscrowRequest(escrow_id=escrow_id, after_version=1)
    short = token("buyer-1", exp=time.time() + 1.2)
    with pytest.raises(Failed) as failed:
        async for _ in lite.watch(request, short):
            pass
    assert (failed.value.code, failed.value.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (payments.GetPayeeRequest(user_id="seller-1"), "NOT_A_PARTY"),
        (
            payments.RegisterPayeeRequest(user_id="seller-1", account_id=ACCOUNT),
            "NOT_A_PARTY",
        ),
        (payments.GetPayeeRequest(user_id="buyer-1"), "PAYEE_NOT_FOUND"),
        (payments.IngestWebhookRequest(), "ROLE_MISSING"),
        (escrows.PublishUpdateRequest(event_type="news"), "ROLE_MISSING"),
        (new_escrow(buyer_id="somebody", seller_id="else"), "NOT_A_PARTY"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_is_for_others_is_refused(lite: Counter, request_: Message, reason: str) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(request_, "buyer-1")
    assert failed.value.reason == reason
