"""Who sees what: strangers learn nothing, services act for others, bad tokens are refused."""

import base64
import json
import secrets
import statistics
import time
import uuid
from typing import Any

import jwt
import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import Deal
from tests.fakes.rpc import Caller
from tests.fakes.stack import JWT_SECRET, Client, token

pytestmark = on_both("stack")

ROUNDS = 40
# One more database read would take this long; two answers of the same kind differ by far less.
SAME_TIME_S = 0.01
CALLS_ON_ONE_ESCROW = [
    "GetEscrow",
    "CancelEscrow",
    "AddConfirmation",
    "ReleaseEscrow",
    "RefundEscrow",
    "WithdrawDispute",
    "ListEvents",
    "StartPayment",
    "GetPayment",
]


async def timed(caller: Caller, escrow_id: str) -> float:
    start = time.perf_counter()
    await caller.refusal("GetEscrow", escrow_id=escrow_id)
    return time.perf_counter() - start


@pytest.mark.parametrize("rpc", CALLS_ON_ONE_ESCROW)
async def test_a_stranger_gets_the_answer_for_an_unknown_escrow(
    client: Client, deal: Deal, rpc: str
) -> None:
    await deal.agree()
    stranger = client.caller("stranger")
    real = await stranger.refusal(rpc, escrow_id=deal.escrow_id)
    unknown = await stranger.refusal(rpc, escrow_id=str(uuid.uuid4()))
    garbage = await stranger.refusal(rpc, escrow_id="no-such-thing")
    assert real == unknown == garbage
    assert (real.code, real.reason, real.domain) == ("NOT_FOUND", "ESCROW_NOT_FOUND", "holdfast")
    assert (await deal.get()).version == 1


async def test_a_strangers_watch_gets_the_answer_for_an_unknown_escrow(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    stranger = client.caller("stranger")
    seen: list[Any] = []
    real = await stranger.follow(deal.escrow_id, seen)
    unknown = await stranger.follow(str(uuid.uuid4()), seen)
    assert (seen, real) == ([], unknown)
    assert (real.code, real.reason) == ("NOT_FOUND", "ESCROW_NOT_FOUND")


async def test_a_strangers_subscribe_gets_the_answer_for_an_unknown_escrow(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    socket = await client.viewer(client.caller("stranger"))
    answers = []
    for escrow_id in (deal.escrow_id, str(uuid.uuid4()), "no such thing"):
        answer = await socket.ask("subscribe", escrow_id=escrow_id)
        assert answer.pop("escrow_id") == escrow_id
        answer.pop("id")
        answers.append(answer)
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["code"], answers[0]["retry"]) == ("ESCROW_NOT_FOUND", False)
    await deal.act(deal.service, "PublishUpdate", event_type="note")
    await socket.ask("ping")
    assert socket.find(type="escrow_update") == []


async def test_the_response_time_does_not_reveal_that_an_escrow_exists(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    stranger = client.caller("stranger")
    real, unknown = [], []
    for _ in range(ROUNDS):
        real.append(await timed(stranger, deal.escrow_id))
        unknown.append(await timed(stranger, str(uuid.uuid4())))
    assert abs(statistics.median(real) - statistics.median(unknown)) < SAME_TIME_S


async def test_a_service_creates_on_behalf_of_others(client: Client, deal: Deal) -> None:
    escrow = await deal.agree(by=deal.service)
    assert (escrow.buyer_id, escrow.seller_id) == (deal.buyer.user_id, deal.seller.user_id)
    assert (await deal.get(deal.seller)).escrow_id == escrow.escrow_id
    refusal = await client.caller("stranger").refusal("CreateEscrow", **deal.terms())
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "NOT_A_PARTY")


async def test_an_update_that_a_service_publishes_reaches_the_sockets(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    socket = await client.viewer(deal.seller)
    await socket.subscribe(deal.escrow_id)
    data = {"carrier": "ÖBB", "parcels": [1, 2], "insured": True}
    after = await deal.act(deal.service, "PublishUpdate", event_type="parcel_sent", data=data)
    frame = await socket.sees(type="escrow_update", version=after.version)
    assert frame["data"]["event_type"] == "parcel_sent"
    assert socket.find(version=after.version, type="status_change") == []
    event = (await deal.events())[-1]
    assert (event.update_type, dict(event.data)["carrier"]) == ("parcel_sent", "ÖBB")
    refusal = await deal.buyer.refusal(
        "PublishUpdate", escrow_id=deal.escrow_id, event_type="parcel_sent"
    )
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")


async def test_an_admin_acts_on_the_escrow_of_others(client: Client, deal: Deal) -> None:
    await deal.hold()
    admin = client.caller("admin", "admin")
    assert (await deal.get(admin)).status == deal.status("HELD")
    await deal.act(admin, "ReleaseEscrow", note="by order of the court")
    await deal.until_status("RELEASED")


async def test_the_arbiter_sees_the_escrow_and_moves_it_only_in_a_dispute(deal: Deal) -> None:
    await deal.hold()
    assert (await deal.get(deal.arbiter)).escrow_id == deal.escrow_id
    for rpc in ("ReleaseEscrow", "RefundEscrow", "AddConfirmation"):
        refusal = await deal.arbiter.refusal(rpc, escrow_id=deal.escrow_id)
        assert refusal.reason == "NOT_A_PARTY"
    refusal = await deal.arbiter.refusal(
        "ResolveDispute", escrow_id=deal.escrow_id, release_minor=0, refund_minor=123_457
    )
    assert refusal.reason == "WRONG_STATUS"


def bad_tokens() -> dict[str, str]:
    def coded(part: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    now = time.time()
    claims: dict[str, object] = {"sub": "mallory", "exp": now + 600}
    good = token("mallory")
    head, body, signature = good.split(".")
    other_body = coded({**claims, "roles": ["admin"]})
    return {
        "nothing": "",
        "no token": "rubbish",
        "not ASCII in its parts": "a.b.c",
        "unsigned": f"{coded({'alg': 'none'})}.{body}.",
        "signature cut off": f"{head}.{body}.",
        "other body": f"{head}.{other_body}.{signature}",
        "other secret": jwt.encode(claims, secrets.token_hex(32), "HS256"),
        "other algorithm": jwt.encode(claims, JWT_SECRET + "x" * 32, "HS512"),
        "expired": token("mallory", seconds=-1),
        "not yet valid": token("mallory", nbf=now + 600),
        "no sub": jwt.encode({"exp": now + 600}, JWT_SECRET, "HS256"),
        "no exp": jwt.encode({"sub": "mallory"}, JWT_SECRET, "HS256"),
        "empty sub": jwt.encode({**claims, "sub": ""}, JWT_SECRET, "HS256"),
        "roles no list": jwt.encode({**claims, "roles": "admin"}, JWT_SECRET, "HS256"),
        "exp no number": jwt.encode({"sub": "mallory", "exp": "soon"}, JWT_SECRET, "HS256"),
    }


@pytest.mark.parametrize("name", list(bad_tokens()))
async def test_a_bad_token_opens_neither_core_nor_a_socket(client: Client, name: str) -> None:
    text = bad_tokens()[name]
    refusal = await client.with_token(text).refusal("ListEscrows")
    assert refusal.code == "UNAUTHENTICATED"
    assert refusal.reason in ("TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED")
    url = f"{client.stack.bridge_url}/api/v1/ws?token={text}"
    async with client.http.ws_connect(url) as socket:
        await socket.receive(timeout=10)
        assert socket.close_code == 4401


async def test_a_stream_and_a_socket_end_when_their_token_does(client: Client, deal: Deal) -> None:
    await deal.agree()
    short = client.with_token(token(deal.buyer.user_id, seconds=2), deal.buyer.user_id)
    socket = await client.viewer(short)
    await socket.sees(type="error", code="TOKEN_EXPIRING")
    seen: list[Any] = []
    refusal = await short.follow(deal.escrow_id, seen)
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
    assert [message.event.version for message in seen] == [1]
    assert await socket.ends() == 4401


async def test_a_fresh_token_keeps_a_socket_alive(client: Client, deal: Deal) -> None:
    await deal.agree()
    short = client.with_token(token(deal.buyer.user_id, seconds=2), deal.buyer.user_id)
    socket = await client.viewer(short)
    await socket.subscribe(deal.escrow_id)
    wrong = await socket.ask("auth", token=deal.seller.token)
    assert wrong["type"] == "error"
    answer = await socket.ask("auth", token=deal.buyer.token)
    assert answer["type"] == "authenticated"
    await short.follow(deal.escrow_id, [])  # Until the first token has expired.
    await deal.act(deal.service, "PublishUpdate", event_type="still_here")
    await socket.sees(type="escrow_update", version=2)


async def test_the_tokens_of_the_demo_are_good_for_core_and_socket(client: Client) -> None:
    user_id = client.name("visitor")
    url = f"{client.stack.bridge_url}/api/v1/demo/token"
    async with client.http.post(url, json={"user_id": user_id, "roles": ["user"]}) as answer:
        assert answer.status == 200
        caller = client.with_token((await answer.json())["token"], user_id)
    assert list((await caller.call("ListEscrows")).escrows) == []
    socket = await client.viewer(caller)
    assert socket.frames[0]["user_id"] == user_id
