"""WatchMany: each watch with its own token, and each version once and in order, whatever waits."""

import asyncio
import time
from typing import Any

import grpc
import pytest
from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import escrow_service_pb2 as rpc

from core.errors import Reason, Refusal
from core.service import watches
from tests.core.bundle import Bundle, open_bundle
from tests.core.counter import Counter, token
from tests.fakes.wait import until

New = rpc.NewWatch
STRANGER = token("stranger")


async def publish(counter: Counter, escrow_id: str, count: int = 1) -> None:
    for _ in range(count):
        request = rpc.PublishUpdateRequest(escrow_id=escrow_id, event_type="note")
        await counter.call(request, "svc", "service")


async def test_a_watch_begins_with_a_snapshot_and_every_event_after_it_follows(
    counter: Counter,
) -> None:
    escrow_id = (await counter.create()).escrow_id
    async with open_bundle(counter) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id))
        opened = await bundle.opened(1)
        assert (opened.version, opened.snapshot.escrow_id) == (1, escrow_id)
        assert opened.snapshot.buyer_id == "buyer-1"
        await publish(counter, escrow_id, 5)
        await bundle.told(1, 6)
        assert bundle.versions(1) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("after", "known", "versions", "has_snapshot"),
    [
        (0, False, [1, 2, 3, 4], False),
        (2, False, [3, 4], False),
        # Nothing is missing, or the caller is ahead of the record: the snapshot tells the state.
        (4, False, [], True),
        (9, False, [], True),
        (2, True, [3, 4], False),
        (4, True, [], False),
        (9, True, [], False),
    ],
)
async def test_with_a_version_the_missed_events_come_first(
    counter: Counter, after: int, known: bool, versions: list[int], has_snapshot: bool
) -> None:
    escrow_id = (await counter.create()).escrow_id
    await publish(counter, escrow_id, 3)
    async with open_bundle(counter) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id, after_version=after, known=known))
        opened = await bundle.opened(1)
        assert (opened.version, opened.HasField("snapshot")) == (4, has_snapshot)
        await until(lambda: bundle.versions(1) == versions)
        await publish(counter, escrow_id)
        live = [] if known and after == 9 else [5]
        await until(lambda: bundle.versions(1) == versions + live)


async def test_a_snapshot_stands_for_too_many_missed_events_unless_the_caller_knows_the_escrow(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "MAX_MISSED", 3)
    escrow_id = (await lite.create()).escrow_id
    await publish(lite, escrow_id, 5)
    async with open_bundle(lite) as bundle:
        await bundle.open(
            New(watch_id=1, escrow_id=escrow_id, after_version=2),
            New(watch_id=2, escrow_id=escrow_id, after_version=3),
            New(watch_id=3, escrow_id=escrow_id, after_version=2, known=True),
        )
        assert (await bundle.opened(1)).HasField("snapshot")
        assert not (await bundle.opened(2)).HasField("snapshot")
        await publish(lite, escrow_id)
        await bundle.told(3, 6)
        await until(lambda: bundle.versions(1) == [7] and bundle.versions(2) == [4, 5, 6, 7])
        assert bundle.versions(3) == [3, 4, 5, 6, 7]


async def test_many_watches_are_one_stream_and_each_is_told_of_its_own_escrow(
    counter: Counter,
) -> None:
    ids = [(await counter.create()).escrow_id for _ in range(30)]
    async with open_bundle(counter) as bundle:
        await bundle.open(*(New(watch_id=at, escrow_id=one) for at, one in enumerate(ids, 1)))
        await asyncio.gather(*(bundle.told(at) for at in range(1, 31)))
        await asyncio.gather(*(publish(counter, one, 3) for one in ids))
        await asyncio.gather(*(bundle.told(at, 4) for at in range(1, 31)))
        assert [bundle.versions(at) for at in range(1, 31)] == [[2, 3, 4]] * 30
        told = {one.event.escrow_id for one in bundle.news[7] if one.HasField("event")}
        assert told == {ids[6]}


async def test_what_was_missed_comes_from_the_table_for_many_at_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await counter.create()).escrow_id for _ in range(20)]
    for one in ids:
        await publish(counter, one, 3)
    feed = counter.core.rooms.feed
    feed._cache.clear()
    monkeypatch.setattr("core.live.fetch.EVENTS", 7)  # Fewer than one reading would find.
    async with open_bundle(counter) as bundle:
        await bundle.open(
            *(New(watch_id=at, escrow_id=one, after_version=0) for at, one in enumerate(ids, 1))
        )
        await asyncio.gather(*(bundle.told(at, 5) for at in range(1, 21)))
        assert [bundle.versions(at) for at in range(1, 21)] == [[1, 2, 3, 4]] * 20


async def test_each_watch_is_judged_by_its_own_token(lite: Counter) -> None:
    escrow_id = (await lite.create()).escrow_id
    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id), bearer=STRANGER)
        await bundle.open(New(watch_id=2, escrow_id=escrow_id))
        await bundle.open(New(watch_id=3, escrow_id=escrow_id), bearer="nonsense")
        await bundle.open(New(watch_id=4, escrow_id="no-such-escrow"))
        await bundle.open(New(watch_id=5))
        await bundle.open(New(watch_id=6, escrow_id=escrow_id, after_version=-1))
        await bundle.open(New(watch_id=7, escrow_id=escrow_id, known=True))
        late = token("buyer-1", exp=int(time.time()) - 1)
        await bundle.open(New(watch_id=8, escrow_id=escrow_id), bearer=late)
        assert await bundle.ended(1) == "ESCROW_NOT_FOUND"
        assert (await bundle.opened(2)).version == 1
        assert await bundle.ended(3) == "TOKEN_INVALID"
        assert await bundle.ended(4) == "ESCROW_NOT_FOUND"
        for wrong in (5, 6, 7):
            assert await bundle.ended(wrong) == "FIELD_INVALID"
        assert await bundle.ended(8) == "TOKEN_EXPIRED"
        await publish(lite, escrow_id)
        await bundle.told(2, 2)
        assert [len(bundle.news[at]) for at in range(1, 9)] == [1, 2, 1, 1, 1, 1, 1, 1]


async def test_asking_once_is_answered_and_watches_nothing(lite: Counter) -> None:
    escrow_id = (await lite.create()).escrow_id
    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id, once=True))
        await bundle.open(New(watch_id=2, escrow_id=escrow_id, once=True), bearer=STRANGER)
        await bundle.open(New(watch_id=3, escrow_id=escrow_id))
        opened = await bundle.opened(1)
        assert (opened.version, opened.HasField("snapshot")) == (1, False)
        assert await bundle.ended(2) == "ESCROW_NOT_FOUND"
        await bundle.opened(3)
        await publish(lite, escrow_id)
        await bundle.told(3, 2)
        assert len(bundle.news[1]) == len(bundle.news[2]) == 1


async def test_a_dropped_watch_is_told_nothing_more_and_leaves_nothing_behind(
    lite: Counter,
) -> None:
    escrow_id = (await lite.create()).escrow_id
    feed = lite.core.rooms.feed
    async with open_bundle(lite) as bundle:
        await bundle.open(
            New(watch_id=1, escrow_id=escrow_id), New(watch_id=2, escrow_id=escrow_id)
        )
        await bundle.opened(2)
        await bundle.drop(1, 99)
        await bundle.open(New(watch_id=3, escrow_id=escrow_id, once=True))
        await bundle.opened(3)
        await publish(lite, escrow_id)
        await bundle.told(2, 2)
        assert len(bundle.news[1]) == 1
        assert len(feed._watched) == 1
    await until(lambda: not feed._watched and not feed._bundles)


async def test_a_watch_ends_when_its_token_expires_and_the_others_go_on(lite: Counter) -> None:
    escrow_id = (await lite.create()).escrow_id
    short = token("buyer-1", exp=time.time() + 1.2)
    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id), bearer=short)
        await bundle.open(New(watch_id=2, escrow_id=escrow_id))
        await bundle.opened(1)
        begin_s = time.monotonic()
        assert await bundle.ended(1, after=1) == "TOKEN_EXPIRED"
        assert time.monotonic() - begin_s < 3
        await publish(lite, escrow_id)
        await bundle.told(2, 2)
        assert (len(bundle.news[1]), bundle.versions(2)) == (2, [2])


async def test_a_revoked_token_ends_its_watches_within_a_second(lite: Counter) -> None:
    escrow_id = (await lite.create()).escrow_id
    old = token("buyer-1", iat=int(time.time()) - 10)
    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id), bearer=old)
        await bundle.open(New(watch_id=2, escrow_id=escrow_id), bearer=token("seller-1"))
        await bundle.opened(2)
        await bundle.opened(1)
        begin_s = time.monotonic()
        await lite.call(admin.RevokeTokensRequest(user_id="buyer-1"), "boss", "admin")
        assert await bundle.ended(1, after=1) == "TOKEN_REVOKED"
        assert time.monotonic() - begin_s < 1
        await bundle.open(New(watch_id=3, escrow_id=escrow_id), bearer=old)
        assert await bundle.ended(3) == "TOKEN_REVOKED"
        await publish(lite, escrow_id)
        await bundle.told(2, 2)
        assert len(bundle.news[1]) == 2


@pytest.mark.parametrize("bearer", [token("buyer-1"), token("boss", "admin")])
async def test_the_stream_is_for_services(lite: Counter, bearer: str) -> None:
    async with open_bundle(lite, bearer) as bundle:
        assert (await bundle.failure()).reason == "ROLE_MISSING"


async def test_the_stream_ends_with_its_own_token(lite: Counter) -> None:
    async with open_bundle(lite, token("bridge", "service", exp=time.time() + 1)) as bundle:
        assert (await bundle.failure()).reason == "TOKEN_EXPIRED"
    async with open_bundle(lite, "nonsense") as bundle:
        assert (await bundle.failure()).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("numbers", [(0,), (2, 1), (3, 3)])
async def test_a_number_that_is_not_new_ends_the_stream(
    lite: Counter, numbers: tuple[int, ...]
) -> None:
    escrow_id = (await lite.create()).escrow_id
    async with open_bundle(lite) as bundle:
        for number in numbers:
            await bundle.open(New(watch_id=number, escrow_id=escrow_id))
        assert (await bundle.failure()).fields == {"watch_id": "must be larger than any before"}


async def test_bytes_that_are_no_request_end_the_stream(lite: Counter) -> None:
    call: Any = lite.channel.stream_stream(
        "/escrow.v1.EscrowService/WatchMany",
        response_deserializer=rpc.WatchManyResponse.FromString,
    )(metadata=[("authorization", f"Bearer {token('bridge', 'service')}")])
    await call.write(b"\xff\xff\xff")
    bundle = Bundle(call)
    assert (await bundle.failure()).reason == "REQUEST_MALFORMED"


async def test_only_so_many_watches_fit_a_stream(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "MAX_WATCHES", 2)
    escrow_id = (await lite.create()).escrow_id
    async with open_bundle(lite) as bundle:
        await bundle.open(*(New(watch_id=at, escrow_id=escrow_id) for at in (1, 2, 3)))
        assert await bundle.ended(3) == "TOO_MANY_WATCHES"
        await bundle.drop(1)
        await bundle.open(New(watch_id=4, escrow_id=escrow_id))
        assert (await bundle.opened(4)).version == 1


async def test_a_tally_says_what_was_sent(lite: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "TALLY_S", 0.05)
    first, second = [(await lite.create()).escrow_id for _ in range(2)]
    async with open_bundle(lite) as bundle:
        await until(lambda: bundle.tallies)
        assert (bundle.tallies[0].requests, bundle.tallies[0].watches) == (0, 0)
        await bundle.open(New(watch_id=1, escrow_id=first), New(watch_id=2, escrow_id=second))
        await publish(lite, first, 4)
        await bundle.told(1, 5)
        seen = len(bundle.tallies)
        await until(lambda: len(bundle.tallies) > seen + 1)
        last = bundle.tallies[-1]
        assert (last.requests, last.watches, last.versions) == (1, 2, 5 + 1)


async def test_the_stream_ends_when_the_server_goes(lite: Counter) -> None:
    escrow_id = (await lite.create()).escrow_id
    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id))
        await bundle.opened(1)
        await lite.core.rooms.feed.close()
        assert (await bundle.failure()).reason == "SHUTTING_DOWN"


async def test_a_caller_that_does_not_read_piles_up_nothing_and_misses_nothing(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "MESSAGE_BYTES", 1024)
    monkeypatch.setattr("core.live.feed.CACHE_EVENTS", 50)
    escrow_id = (await lite.create()).escrow_id
    data = {"text": "x" * 8_000}
    # Otherwise gRPC itself would read some megabytes ahead.
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{lite.core.port}", options=narrow)
    call = channel.stream_stream(
        "/escrow.v1.EscrowService/WatchMany",
        request_serializer=rpc.WatchManyRequest.SerializeToString,
        response_deserializer=rpc.WatchManyResponse.FromString,
    )(metadata=[("authorization", f"Bearer {token('bridge', 'service')}")])
    opening = rpc.OpenWatches(
        token=token("buyer-1"), watches=[New(watch_id=1, escrow_id=escrow_id)]
    )
    await call.write(rpc.WatchManyRequest(open=[opening]))
    await until(lambda: lite.core.rooms.feed._watched)
    for _ in range(300):
        request = rpc.PublishUpdateRequest(escrow_id=escrow_id, event_type="note")
        request.data.update(data)
        await lite.call(request, "svc", "service")
    (stream,) = lite.core.rooms.feed._bundles
    (watched,) = lite.core.rooms.feed._watched.values()
    # The flow of HTTP/2 has stopped it: neither all is sent, nor does anything wait in core.
    assert 1 < watched.cursors[0].version < 200
    assert not stream._fetched
    assert not stream._fetching
    bundle = Bundle(call)
    await bundle.told(1, 301)
    assert bundle.versions(1) == list(range(2, 302))
    await bundle.close()
    await channel.close()


async def test_while_the_table_is_away_a_watch_is_refused_and_open_ones_wait(
    lite: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    escrow_id = (await lite.create()).escrow_id
    store = lite.core.rooms.store
    several, after_each = store.several, store.events_after_each

    async def away(*_args: object) -> None:
        raise Refusal(Reason.STORAGE_UNAVAILABLE, "away")

    async with open_bundle(lite) as bundle:
        await bundle.open(New(watch_id=1, escrow_id=escrow_id))
        await bundle.opened(1)
        monkeypatch.setattr(store, "several", away)
        monkeypatch.setattr(store, "events_after_each", away)
        await bundle.open(New(watch_id=2, escrow_id=escrow_id))
        assert await bundle.ended(2) == "STORAGE_UNAVAILABLE"
        await publish(lite, escrow_id, 2)
        lite.core.rooms.feed._cache.clear()
        lite.core.rooms.feed.look()
        await publish(lite, escrow_id)
        await asyncio.sleep(0.2)
        monkeypatch.setattr(store, "several", several)
        monkeypatch.setattr(store, "events_after_each", after_each)
        await bundle.told(1, 4)
        assert bundle.versions(1) == [2, 3, 4]
