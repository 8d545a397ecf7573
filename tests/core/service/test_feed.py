"""The feed over gRPC: by position, in pages and live, for services, and for users their own."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import feed_service_pb2 as feed

from core.law import command as c
from core.law.command import SETTLEMENT
from core.service import feed as service
from tests.core.counter import LIMIT_S, Counter, Failed, new_escrow, open_counter, token


async def stream(counter: Counter, request: Any, bearer: str) -> AsyncGenerator[Any]:
    """Call WatchEvents or WatchEscrow."""
    file = feed if isinstance(request, feed.WatchEventsRequest) else escrows
    name = type(request).__name__.removesuffix("Request")
    of = "FeedService" if file is feed else "EscrowService"
    call = counter.channel.unary_stream(
        f"/escrow.v1.{of}/{name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=getattr(file, f"{name}Response").FromString,
    )(request, metadata=[("authorization", f"Bearer {bearer}")], timeout=LIMIT_S)
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise Failed(error) from None
    finally:
        call.cancel()


SERVICE = token("crm", "service")


async def take(counter: Counter, request: Any, until: int, bearer: str = SERVICE) -> list[Any]:
    """All messages up to the one that says that a position has been reached."""
    taken: list[Any] = []
    async with aclosing(stream(counter, request, bearer)) as messages:
        async for message in messages:
            taken.append(message)
            if message.position >= until and message.WhichOneof("message") == "heartbeat":
                return taken
    raise AssertionError("the stream has ended")


def kinds(messages: list[Any]) -> list[str]:
    return [str(message.WhichOneof("message")) for message in messages]


def told(messages: list[Any]) -> list[tuple[int, str, int]]:
    """Position, escrow and version of the events."""
    return [
        (one.position, one.event.escrow_id, one.event.version)
        for one in messages
        if one.WhichOneof("message") == "event"
    ]


async def placed(counter: Counter, position: int) -> None:
    """Wait until a position has been given."""
    async with aclosing(stream(counter, feed.WatchEventsRequest(), SERVICE)) as messages:
        async for message in messages:
            if message.position >= position:
                return


async def create(counter: Counter, buyer_id: str, seller_id: str) -> pb.Escrow:
    """Create an escrow of others."""
    made = await counter.call(new_escrow(buyer_id=buyer_id, seller_id=seller_id), buyer_id)
    escrow: pb.Escrow = made.escrow
    return escrow


async def cancel(counter: Counter, escrow_id: str, user_id: str = "buyer-1") -> None:
    await counter.call(escrows.CancelEscrowRequest(escrow_id=escrow_id), user_id)


async def test_a_service_follows_everything_from_the_beginning_and_from_where_it_was(
    counter: Counter,
) -> None:
    one, other = await counter.create(), await counter.create()
    await cancel(counter, one.escrow_id)
    await placed(counter, 3)
    messages = await take(counter, feed.WatchEventsRequest(), 3)
    found = [(1, one.escrow_id, 1), (2, other.escrow_id, 1), (3, one.escrow_id, 2)]
    assert told(messages) == found
    assert messages[-1].heartbeat.position == messages[-1].position == 3
    assert messages[2].event.escrow.status == pb.ESCROW_STATUS_CANCELLED
    again = feed.WatchEventsRequest(after_position=2)
    async with aclosing(stream(counter, again, SERVICE)) as live:
        assert told([await anext(live)]) == found[2:]
        assert kinds([await anext(live)]) == ["heartbeat"]
        await cancel(counter, other.escrow_id)
        assert told([await anext(live)]) == [(4, other.escrow_id, 2)]


async def test_pages_and_the_stream_tell_the_same(counter: Counter) -> None:
    one = await counter.create()
    await create(counter, "ann", "buyer-1")
    await cancel(counter, one.escrow_id)
    await placed(counter, 3)
    for fields in (
        {},
        {"user_id": "seller-1"},
        {"types": ["EVENT_TYPE_ESCROW_CREATED"]},
        {"status": "ESCROW_STATUS_CANCELLED"},
        {"user_id": "buyer-1", "types": [1, 2], "status": 1},
        {"user_id": "nobody"},
    ):
        live: Any = feed.WatchEventsRequest(**fields)
        streamed = told(await take(counter, live, 3))
        listed, after = list[tuple[int, str, int]](), 0
        while True:
            request = feed.FeedServiceListEventsRequest(after_position=after, page_size=1, **fields)
            page = await counter.call(request, "admin-1", "admin")
            listed += [(e.position, e.event.escrow_id, e.event.version) for e in page.events]
            after = page.next_position
            assert page.newest_position == 3
            if not page.has_more:
                break
        assert (listed, after) == (streamed, 3)
    assert (
        len(
            told(await take(counter, feed.WatchEventsRequest(status=pb.ESCROW_STATUS_CANCELLED), 3))
        )
        == 1
    )


async def test_a_page_is_cut_where_its_events_are_large(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAGE_BYTES", 1)
    for _ in range(2):
        await lite.create()
    page = await lite.call(feed.FeedServiceListEventsRequest(), "crm", "service")
    assert [one.position for one in page.events] == [1]
    assert (page.next_position, page.has_more) == (1, True)


async def test_only_services_and_admins_read_the_feed(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(feed.FeedServiceListEventsRequest(), "buyer-1")
    assert failed.value.reason == "ROLE_MISSING"
    with pytest.raises(Failed) as failed:
        await take(lite, feed.WatchEventsRequest(), 0, token("buyer-1"))
    assert failed.value.reason == "ROLE_MISSING"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"after_position": -1}, "after_position"),
        ({"types": [99]}, "types"),
        ({"types": [1] * 101}, "types"),
        ({"status": 99}, "status"),
        ({"user_id": "a b"}, "user_id"),
    ],
)
async def test_what_is_wrong_is_named(lite: Counter, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(feed.FeedServiceListEventsRequest(**fields), "crm", "service")
    assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", [wrong])
    with pytest.raises(Failed) as failed:
        await take(lite, feed.WatchEventsRequest(**fields), 0)
    assert list(failed.value.fields) == [wrong]


async def test_a_position_of_another_database_is_refused(lite: Counter) -> None:
    await lite.create()
    for request in (
        feed.WatchEventsRequest(after_position=2),
        escrows.WatchEscrowRequest(after_position=2),
        escrows.WatchEscrowRequest(user_id="crm", after_position=2),
    ):
        with pytest.raises(Failed) as failed:
            await take(lite, request, 2)
        assert (failed.value.code, failed.value.reason) == ("OUT_OF_RANGE", "POSITION_UNKNOWN")
        assert list(failed.value.fields) == ["after_position"]
    with pytest.raises(Failed) as failed:
        await lite.call(feed.FeedServiceListEventsRequest(after_position=2), "crm", "service")
    assert failed.value.reason == "POSITION_UNKNOWN"


async def test_a_user_resumes_by_position_and_hears_of_what_has_ended(counter: Counter) -> None:
    ended = await counter.create()
    await create(counter, "ann", "bob")
    await placed(counter, 2)
    mine = token("buyer-1")
    first = await take(counter, escrows.WatchEscrowRequest(user_id="buyer-1"), 2, mine)
    assert kinds(first) == ["snapshot", "heartbeat"]
    assert [one.position for one in first] == [2, 2]
    await cancel(counter, ended.escrow_id)
    sold = await create(counter, "ann", "buyer-1")
    await placed(counter, 4)
    request = escrows.WatchEscrowRequest(user_id="buyer-1", after_position=2)
    missed = await take(counter, request, 4, mine)
    assert told(missed) == [(3, ended.escrow_id, 2), (4, sold.escrow_id, 1)]
    assert kinds(missed) == ["event", "event", "heartbeat"]
    # From the beginning, with nobody else's.
    request = escrows.WatchEscrowRequest(user_id="buyer-1", after_position=0)
    assert [one[0] for one in told(await take(counter, request, 4, mine))] == [1, 3, 4]


@pytest.mark.parametrize("user_id", ["", "*"])
@pytest.mark.parametrize("role", ["service", "admin"])
async def test_a_service_and_an_admin_follow_everything(
    lite: Counter, user_id: str, role: str
) -> None:
    quiet, stuck = await lite.create(), await create(lite, "ann", "bob")
    await lite.core.rooms.executor.execute(
        c.FailSettlement("Razorpay refuses.", ""),
        escrow_id=stuck.escrow_id,
        caller=SETTLEMENT,
        cause="settle:test",
    )
    bearer = token("somebody", role)
    request = escrows.WatchEscrowRequest(user_id=user_id)
    async with aclosing(stream(lite, request, bearer)) as messages:
        snapshot, end = await anext(messages), await anext(messages)
        assert (snapshot.snapshot.escrow_id, snapshot.position) == (stuck.escrow_id, 3)
        assert kinds([end]) == ["heartbeat"]
        await cancel(lite, quiet.escrow_id)
        assert told([await anext(messages)]) == [(4, quiet.escrow_id, 2)]
    request.after_position = 0
    found = told(await take(lite, request, 4, bearer))
    assert [position for position, _, _ in found] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "escrow_id"),
        ({"after_position": 0}, "after_position"),
        ({"user_id": "buyer-1", "after_version": 1}, "after_version"),
        ({"user_id": "buyer-1", "after_position": -1}, "after_position"),
        ({"escrow_id": "x", "user_id": "buyer-1"}, "user_id"),
        ({"escrow_id": "x", "after_position": 1}, "after_position"),
    ],
)
async def test_a_user_names_what_to_watch(
    lite: Counter, fields: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(Failed) as failed:
        await take(lite, escrows.WatchEscrowRequest(**fields), 0, token("buyer-1"))
    assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", [wrong])


async def test_nobody_follows_everything_by_the_name_of_everybody(lite: Counter) -> None:
    await lite.create()
    with pytest.raises(Failed) as failed:
        await take(lite, escrows.WatchEscrowRequest(user_id="*"), 0, token("buyer-1"))
    assert failed.value.reason == "NOT_A_PARTY"
    # Who is called so follows what is theirs, which is nothing.
    named = await take(lite, escrows.WatchEscrowRequest(user_id="*"), 0, token("*"))
    assert kinds(named) == ["heartbeat"]


@pytest.mark.postgres
async def test_a_reader_goes_on_at_another_core_and_misses_nothing(postgres_url: str) -> None:
    async with open_counter(postgres_url) as one, open_counter(postgres_url) as other:
        position, seen = 0, list[int]()
        for number in range(10):
            here, there = (one, other) if number % 2 else (other, one)
            await here.create()
            request = feed.WatchEventsRequest(after_position=position)
            messages = await take(there, request, number + 1) if number > 4 else []
            seen += [at for at, _, _ in told(messages)]
            position = seen[-1] if seen else 0
        assert seen == list(range(1, 11))
