"""Who may do what: every RPC, every JSON route and every frame, as everybody, on every escrow.

A row says who may make the call. For them the escrow may still have the wrong status. Everybody
else is refused with the reason, and nothing happens.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from tests.fakes.deal import Deal
from tests.fakes.rpc import Caller, Refused
from tests.fakes.stack import Client, Stack

PARTIES = {"buyer", "seller", "arbiter"}
KEEPERS = {"service", "admin", "bridge"}
EVERYBODY = {"nobody", "stranger", *PARTIES, *KEEPERS}

# The answers that mean "not you".
DENIED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"}
HTTP_DENIED = {401, 403, 404}


@dataclass(frozen=True)
class Row:
    """Who may make the call on an escrow of theirs, and its fields beside the escrow's id.

    `alien` is the reason that a user gets for the escrow, payee or ledger of other people.
    """

    may: set[str]
    fields: dict[str, Any] = field(default_factory=dict)
    alien: str = "ESCROW_NOT_FOUND"
    takes_escrow: bool = True


READ = Row(PARTIES | KEEPERS)
BOOKS = Row(KEEPERS, alien="ROLE_MISSING", takes_escrow=False)
NEW = {"title": "A bicycle", "amount": {"amount_minor": 5_000, "currency": "INR"}}

ENDPOINT = {"endpoint_id": f"ep_{'0' * 32}"}
# Of which there is none.
FILE = {"file_id": "00000000-0000-4000-8000-000000000000"}

TABLE = {
    "CreateEscrow": Row(
        {"buyer", "seller"} | KEEPERS, {**NEW}, alien="NOT_A_PARTY", takes_escrow=False
    ),
    "GetEscrow": READ,
    "ListEvents": READ,
    "GetPayment": READ,
    "WatchEscrow": READ,
    "CancelEscrow": Row({"buyer", "seller"} | KEEPERS),
    # The buyer has created it.
    "AcceptEscrow": Row({"seller"}),
    "AddConfirmation": Row({"buyer", "seller"}),
    "ReleaseEscrow": Row({"buyer"} | KEEPERS),
    # The buyer too, because the seller has done nothing yet.
    "RefundEscrow": Row({"buyer", "seller"} | KEEPERS),
    "RaiseDispute": Row({"buyer", "seller"}, {"reason": "A wheel is missing."}),
    # For the party that raised it; here nobody has.
    "WithdrawDispute": Row(set()),
    "ResolveDispute": Row({"arbiter", "admin"}, {"refund_minor": 5_000, "note": "Both heard."}),
    "AddDisputeMessage": Row(PARTIES | {"admin"}, {"text": "It is dented."}),
    "UploadAttachment": Row(PARTIES | {"admin"}, {"name": "a.png", "size_bytes": 100}),
    "DownloadAttachment": Row(PARTIES | KEEPERS, FILE),
    "DeleteAttachment": Row(PARTIES | KEEPERS, FILE),
    "OverrideSettlement": Row({"admin"}, {"refund_minor": 5_000, "note": "She is ill."}),
    # The role is checked before the escrow is looked up.
    "PublishUpdate": Row({"service", "bridge"}, {"event_type": "parcel_sent"}, "ROLE_MISSING"),
    "StartPayment": Row({"buyer"} | KEEPERS),
    "ConfirmPayment": Row(
        {"buyer"} | KEEPERS,
        {"order_id": "order_A", "payment_id": "pay_A", "signature": "s"},
    ),
    "RegisterPayee": Row(
        {"seller"} | KEEPERS,
        {"account_id": "acc_AAAAAAAAAAAAAA"},
        alien="NOT_A_PARTY",
        takes_escrow=False,
    ),
    "GetPayee": Row({"seller"} | KEEPERS, alien="NOT_A_PARTY", takes_escrow=False),
    "CancelPayeeChange": Row({"seller"} | KEEPERS, alien="NOT_A_PARTY", takes_escrow=False),
    "ListPayeeEvents": Row({"seller"} | KEEPERS, alien="NOT_A_PARTY", takes_escrow=False),
    "WaivePayeeWait": Row({"admin"}, {"note": "Known."}, "ROLE_MISSING", takes_escrow=False),
    "ListEntries": READ,
    "GetBalance": Row(KEEPERS, {"account": "razorpay:balance"}, "ROLE_MISSING", False),
    "CheckBooks": BOOKS,
    "GetLastCheck": BOOKS,
    "IngestWebhook": Row(KEEPERS, {}, "ROLE_MISSING", False),
    "WatchMany": Row({"service", "bridge"}, {}, "ROLE_MISSING", False),
    "WatchRevocations": Row(KEEPERS, {}, "ROLE_MISSING", False),
    "WatchEvents": Row(KEEPERS, {}, "ROLE_MISSING", False),
    "FeedServiceListEvents": Row(KEEPERS, {}, "ROLE_MISSING", False),
    "InspectEscrow": Row({"admin"}, {}, "ROLE_MISSING"),
    "RetrySettlement": Row(KEEPERS, {}, "ROLE_MISSING"),
    "ListPayees": Row(KEEPERS, {}, "ROLE_MISSING", False),
    "PutProfile": Row(KEEPERS, {"user_id": "somebody-else"}, "ROLE_MISSING", False),
    "RevokeTokens": Row(
        KEEPERS,
        {"user_id": "somebody-else", "issued_before": "2020-01-01T00:00:00Z"},
        "ROLE_MISSING",
        False,
    ),
}
TABLE |= {
    rpc: Row(KEEPERS, fields, "ROLE_MISSING", False)
    for rpc, fields in {
        # No URL, so that nothing is sent anywhere.
        "CreateEndpoint": {"url": "none"},
        "ListEndpoints": {},
        "UpdateEndpoint": ENDPOINT,
        "DeleteEndpoint": ENDPOINT,
        "RotateSecret": ENDPOINT,
        "ListDeliveries": ENDPOINT,
        "Redeliver": {"delivery_id": f"msg_{'0' * 32}"},
    }.items()
}
# For everybody with a token, but only about themselves.
FOR_ALL = {"ListEscrows", "GetDefaults", "BatchGetProfiles"}
# Streams, and what only a door of its own passes on.
NO_ROUTE = {
    "WatchEscrow",
    "WatchMany",
    "WatchEvents",
    "WatchRevocations",
    "IngestWebhook",
    "UploadAttachment",
    "DownloadAttachment",
}


@pytest.fixture
async def deals(client: Client) -> tuple[Deal, Deal]:
    """An escrow of the callers' own, and one of other people."""
    own, alien = Deal(client), Deal(client)
    await own.agree()
    await alien.agree()
    return own, alien


def callers(client: Client, deal: Deal) -> dict[str, Caller]:
    return {
        "nobody": client.with_token(""),
        "stranger": client.caller("stranger"),
        "buyer": deal.buyer,
        "seller": deal.seller,
        "arbiter": deal.arbiter,
        "service": client.caller("service", "service"),
        "admin": client.caller("admin", "admin"),
        "bridge": client.caller("bridge", "service"),
    }


def fields_of(rpc: str, deal: Deal) -> dict[str, Any]:
    fields = dict(TABLE[rpc].fields)
    if TABLE[rpc].takes_escrow:
        fields["escrow_id"] = deal.escrow_id
    if rpc == "CreateEscrow":
        fields |= {"buyer_id": deal.buyer.user_id, "seller_id": deal.seller.user_id}
    if "Payee" in rpc and rpc != "ListPayees":
        fields["user_id"] = deal.seller.user_id
    return fields


async def outcome(caller: Caller, rpc: str, fields: dict[str, Any]) -> Refused:
    """Make the call; answer how it ended: the code is OK if it did not fail."""
    try:
        if rpc == "WatchEscrow":
            async for _ in caller.watch(fields["escrow_id"], 0):
                break
        elif rpc == "UploadAttachment":
            await caller.tell(rpc, [{"header": fields}])
        elif caller.api.methods[rpc].server_streaming:
            async for _ in caller.stream(rpc, **fields):
                break
        else:
            await caller.call(rpc, **fields)
    except Refused as refused:
        return refused
    return Refused("OK", "")


def is_let_in(who: str, rpc: str, *, is_own: bool) -> bool:
    return who in (TABLE[rpc].may if is_own else TABLE[rpc].may & KEEPERS)


def test_the_table_has_every_rpc(stack: Stack) -> None:
    assert {*TABLE, *FOR_ALL} == set(stack.api.methods)


@pytest.mark.parametrize("rpc", TABLE)
async def test_an_rpc_lets_in_whom_the_table_names(
    client: Client, deals: tuple[Deal, Deal], rpc: str
) -> None:
    for deal, is_own in ((deals[1], False), (deals[0], True)):
        people = callers(client, deals[0])
        for who in sorted(EVERYBODY, key=lambda one: is_let_in(one, rpc, is_own=is_own)):
            told = await outcome(people[who], rpc, fields_of(rpc, deal))
            case = f"{rpc} as {who}, own: {is_own}: {told}"
            if who == "nobody":
                assert (told.code, told.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING"), case
            elif is_let_in(who, rpc, is_own=is_own):
                is_missing = told.code == "NOT_FOUND" and told.reason != "ESCROW_NOT_FOUND"
                assert told.code not in DENIED or is_missing, case
            elif who == "stranger" or (not is_own and who in PARTIES):
                assert told.reason == TABLE[rpc].alien, case
            else:
                assert told.code == "PERMISSION_DENIED", case
                assert told.reason in ("NOT_A_PARTY", "ROLE_MISSING"), case
        assert (await deal.get()).version >= 1


async def test_nobody_is_refused_a_list_and_everybody_sees_only_their_own(
    client: Client, deals: tuple[Deal, Deal]
) -> None:
    own, alien = deals
    for who, caller in callers(client, own).items():
        if who == "nobody":
            assert (await caller.refusal("ListEscrows")).code == "UNAUTHENTICATED"
            continue
        fields = {} if who in PARTIES | {"stranger"} else {"party": own.buyer.user_id}
        ids = {escrow.escrow_id for escrow in (await caller.call("ListEscrows", **fields)).escrows}
        assert ids == (set() if who == "stranger" else {own.escrow_id}), who
        if who in KEEPERS:
            theirs = (await caller.call("ListEscrows", party=alien.buyer.user_id)).escrows
            assert {escrow.escrow_id for escrow in theirs} == {alien.escrow_id}


def route(method: MethodDescriptor) -> tuple[str, str, bool] | None:
    """Answer method, path template and whether the fields go into the body."""
    if not method.GetOptions().HasExtension(annotations_pb2.http):
        return None
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    return verb.upper(), getattr(rule, verb), rule.body == "*"


async def ask(client: Client, caller: Caller, rpc: str, fields: dict[str, Any]) -> tuple[int, Any]:
    """Make the same call over the JSON API; answers its status and its error."""
    found = route(stack_method(client, rpc))
    assert found is not None
    verb, template, has_body = found
    rest = dict(fields)
    path = re.sub(r"\{(\w+)\}", lambda match: str(rest.pop(match[1])), template)
    headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
    where: dict[str, Any] = {"json": rest} if has_body else {"params": rest}
    url = client.stack.bridge_url + path
    async with client.http.request(verb, url, headers=headers, **where) as answer:
        told = await answer.json()
        return answer.status, told.get("error", {})


def stack_method(client: Client, rpc: str) -> MethodDescriptor:
    return client.stack.api.methods[rpc]


def test_every_unary_rpc_but_the_webhooks_has_a_route(stack: Stack) -> None:
    without = {name for name, method in stack.api.methods.items() if route(method) is None}
    assert without == NO_ROUTE


@pytest.mark.parametrize("rpc", sorted(TABLE.keys() - NO_ROUTE))
async def test_a_route_lets_in_whom_the_table_names(
    client: Client, deals: tuple[Deal, Deal], rpc: str
) -> None:
    for deal, is_own in ((deals[1], False), (deals[0], True)):
        people = callers(client, deals[0])
        for who in sorted(EVERYBODY, key=lambda one: is_let_in(one, rpc, is_own=is_own)):
            status, error = await ask(client, people[who], rpc, fields_of(rpc, deal))
            case = f"{rpc} as {who}, own: {is_own}: {status} {error}"
            if who == "nobody":
                assert (status, error["reason"]) == (401, "TOKEN_MISSING"), case
            elif is_let_in(who, rpc, is_own=is_own):
                is_missing = status == 404 and error["reason"] != "ESCROW_NOT_FOUND"
                assert status not in HTTP_DENIED or is_missing, case
            elif who == "stranger" or (not is_own and who in PARTIES):
                assert error["reason"] == TABLE[rpc].alien, case
            else:
                assert status == 403, case
                assert error["reason"] in ("NOT_A_PARTY", "ROLE_MISSING"), case


@pytest.mark.parametrize("who", sorted(EVERYBODY - {"nobody"}))
async def test_a_subscription_shows_whom_the_table_names(
    client: Client, deals: tuple[Deal, Deal], who: str
) -> None:
    own, alien = deals
    caller = callers(client, own)[who]
    socket = await client.viewer(caller)
    for deal, is_own in ((own, True), (alien, False)):
        answer = await socket.ask("subscribe", escrow_id=deal.escrow_id, after=0)
        if is_let_in(who, "WatchEscrow", is_own=is_own):
            assert answer["type"] == "subscribed", answer
        else:
            assert (answer["type"], answer["code"]) == ("error", "ESCROW_NOT_FOUND"), answer
        # `unsubscribed` does not reveal whether there was a subscription.
        left = await socket.ask("unsubscribe", escrow_id=deal.escrow_id)
        assert left["type"] == "unsubscribed"
    assert (await socket.ask("ping"))["type"] == "pong"
    everything = await socket.ask("subscribe", escrow_id="*")
    assert everything["type"] == "subscribed"
    told = {frame["escrow_id"] for frame in socket.find(type="subscribed")} - {"*"}
    assert (alien.escrow_id in told) == (who in KEEPERS)


@pytest.mark.parametrize("who", sorted(EVERYBODY - {"nobody"}))
async def test_what_is_resumed_by_position_is_what_the_table_names(
    client: Client, deals: tuple[Deal, Deal], who: str
) -> None:
    own, alien = deals
    socket = await client.viewer(callers(client, own)[who])
    await socket.subscribe("*", after=0)
    told = {frame["escrow_id"] for frame in socket.find(type="escrow_update")}
    for deal, is_own in ((own, True), (alien, False)):
        assert (deal.escrow_id in told) == is_let_in(who, "WatchEscrow", is_own=is_own)


@pytest.mark.parametrize("other", ["buyer", "admin", "service"])
async def test_a_socket_takes_only_its_own_users_token(
    client: Client, deals: tuple[Deal, Deal], other: str
) -> None:
    own, _ = deals
    socket = await client.viewer(own.seller)
    answer = await socket.ask("auth", token=callers(client, own)[other].token)
    assert (answer["type"], answer["code"]) == ("error", "USER_MISMATCH")
    answer = await socket.ask("auth", token=secrets.token_hex(20))
    assert (answer["type"], answer["code"]) == ("error", "TOKEN_INVALID")
    assert (await socket.ask("subscribe", escrow_id=own.escrow_id))["type"] == "subscribed"


async def test_nobody_gets_no_socket(client: Client) -> None:
    async with client.http.ws_connect(f"{client.stack.bridge_url}/api/v1/ws") as socket:
        await socket.receive(timeout=10)
        assert socket.close_code == 4401
