"""Revocation: what was issued before a time is refused everywhere, and what is open ends."""

import asyncio
import time
from typing import Any

import jwt
import pytest
from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import escrow_service_pb2 as escrows
from google.protobuf.timestamp_pb2 import Timestamp

from core.live import revoke
from core.live.revoke import Revoker
from holdfast.revocation import Revocations
from tests.core.counter import SECRET, Counter, Failed, token
from tests.core.room import Room, open_room
from tests.fakes.wait import until

SECOND_US = 1_000_000


def issued(user_id: str, at_s: float | None, *roles: str) -> str:
    body: dict[str, Any] = {"sub": user_id, "exp": time.time() + 600, "roles": [*roles] or ["user"]}
    return jwt.encode(body | ({} if at_s is None else {"iat": at_s}), SECRET, "HS256")


def at(time_s: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(time_s * SECOND_US))
    return stamp


async def revoked(lite: Counter, user_id: str, **fields: Any) -> None:
    request = admin.RevokeTokensRequest(user_id=user_id, **fields)
    await lite.send("RevokeTokens", request.SerializeToString(), token("admin-1", "admin"))


async def reason(lite: Counter, bearer: str) -> str:
    try:
        await lite.send("ListEscrows", b"", bearer)
    except Failed as failed:
        return failed.reason
    return ""


async def test_older_tokens_of_that_user_are_refused_and_no_others(lite: Counter) -> None:
    now_s = time.time()
    old, new = issued("alice", now_s - 60), issued("alice", now_s + 1)
    unsaid, other = issued("alice", None), issued("bob", now_s - 60)
    for bearer in (old, new, unsaid, other):
        assert await reason(lite, bearer) == ""
    await revoked(lite, "alice", issued_before=at(now_s))
    assert await reason(lite, old) == "TOKEN_REVOKED"
    assert await reason(lite, unsaid) == "TOKEN_REVOKED"
    assert await reason(lite, new) == ""
    assert await reason(lite, other) == ""


async def test_the_time_never_goes_back(lite: Counter) -> None:
    now_s = time.time()
    old = issued("alice", now_s - 60)
    await revoked(lite, "alice", issued_before=at(now_s))
    await revoked(lite, "alice", issued_before=at(now_s - 3_600))
    assert await reason(lite, old) == "TOKEN_REVOKED"


async def test_without_a_time_all_that_were_issued_until_now_are_meant(lite: Counter) -> None:
    old = issued("alice", time.time() - 1)
    await revoked(lite, "alice")
    assert await reason(lite, old) == "TOKEN_REVOKED"


@pytest.mark.parametrize("time_s", [9e9, -5.0])
async def test_a_time_that_would_lock_a_user_out_is_refused(lite: Counter, time_s: float) -> None:
    with pytest.raises(Failed) as failed:
        await revoked(lite, "alice", issued_before=at(time_s))
    assert (failed.value.code, failed.value.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert await reason(lite, issued("alice", time.time())) == ""


async def test_a_request_id_is_for_one_revocation(lite: Counter) -> None:
    for _ in range(2):
        await revoked(lite, "alice", issued_before=at(1_000), request_id="r-1")
    with pytest.raises(Failed) as failed:
        await revoked(lite, "bob", issued_before=at(1_000), request_id="r-1")
    assert failed.value.reason == "REQUEST_ID_REUSED"


async def test_open_streams_end_also_in_a_backlog(lite: Counter) -> None:
    escrow = await lite.create()
    old = issued("buyer-1", time.time() - 60)
    waiting = lite.watch(
        escrows.WatchEscrowRequest(escrow_id=escrow.escrow_id, after_version=0), old
    )
    assert (await anext(waiting)).event.version == 1
    busy = lite.watch(escrows.WatchEscrowRequest(user_id="buyer-1"), old)
    await anext(busy)
    begin = time.monotonic()
    await revoked(lite, "buyer-1")
    for stream in (waiting, busy):
        with pytest.raises(Failed) as failed:
            async for _ in stream:
                pass
        assert (failed.value.code, failed.value.reason) == ("UNAUTHENTICATED", "TOKEN_REVOKED")
    assert time.monotonic() - begin < 5


async def test_a_watcher_hears_of_all_and_then_of_each(lite: Counter) -> None:
    await revoked(lite, "alice", issued_before=at(1_000))
    told: Any = lite.channel.unary_stream(
        "/escrow.v1.AdminService/WatchRevocations",
        request_serializer=admin.WatchRevocationsRequest.SerializeToString,
        response_deserializer=admin.WatchRevocationsResponse.FromString,
    )(
        admin.WatchRevocationsRequest(),
        metadata=[("authorization", f"Bearer {token('bridge', 'service')}")],
        timeout=30,
    )
    first = await told.read()
    assert [one.user_id for one in first.revocations] == ["alice"]
    await revoked(lite, "bob", issued_before=at(2_000))
    (new,) = (await told.read()).revocations
    assert (new.user_id, new.issued_before) == ("bob", at(2_000))
    told.cancel()


async def test_a_restart_forgets_none(room: Room) -> None:
    async with room.store.write() as transaction:
        await transaction.revoke(
            cause="once:1", fingerprint=b"", user_id="alice", issued_before_us=5, now_us=1
        )
    revocations = Revocations()
    await Revoker(room.store, revocations).start()
    assert revocations.covers("alice", 0.0)


@pytest.mark.postgres
async def test_another_replica_hears_within_its_look(postgres_url: str) -> None:
    async with open_room(postgres_url) as here, open_room(postgres_url) as there:
        revocations = Revocations()
        revoker = Revoker(there.store, revocations)
        await revoker.start()
        running = asyncio.create_task(revoker.run())
        async with here.store.write() as transaction:
            await transaction.revoke(
                cause="once:1", fingerprint=b"", user_id="alice", issued_before_us=9, now_us=1
            )
        await until(lambda: revocations.covers("alice", 0.0))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert revoke.LOOK_EVERY_S < 0.5
