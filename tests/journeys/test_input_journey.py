"""Wrong input to every call: a clear refusal of the catalogue, and nothing written."""

import random
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.rpc import Caller, Refused
from tests.fakes.stack import Client

# Like tests/core/service/test_input.py, but from outside the process.
pytestmark = [on_both("stack"), pytest.mark.full]

# Everything is running here, so that UNAVAILABLE would hide an error of our own.
NEVER = ("UNKNOWN", "INTERNAL", "DATA_LOSS", "UNAVAILABLE")
UNKNOWN_ID = "3f0e4bd2-0000-4000-8000-000000000000"
TEXTS = ["", " ", "\x00", "a\nb", "x" * 20_000, "ä€😀", "../../etc/passwd", "'; --", UNKNOWN_ID]
NUMBERS = [0, -1, 1, 99, 2**31 - 1, -(2**31)]
LARGE_NUMBERS = [*NUMBERS, 2**63 - 1, -(2**63), 10**12 + 1]
SEED = 20260214
FUZZ_ROUNDS = 15
MAX_MESSAGE_BYTES = 8 << 20
UNARY = [
    "CreateEscrow",
    "GetDefaults",
    "GetEscrow",
    "ListEscrows",
    "CancelEscrow",
    "AcceptEscrow",
    "AddConfirmation",
    "ReleaseEscrow",
    "RefundEscrow",
    "RaiseDispute",
    "WithdrawDispute",
    "ResolveDispute",
    "OverrideSettlement",
    "PublishUpdate",
    "ListEvents",
    "StartPayment",
    "ConfirmPayment",
    "GetPayment",
    "IngestWebhook",
    "RegisterPayee",
    "GetPayee",
    "CancelPayeeChange",
    "WaivePayeeWait",
    "ListPayeeEvents",
    "ListEntries",
    "GetBalance",
    "CheckBooks",
    "GetLastCheck",
    "RevokeTokens",
    "FeedServiceListEvents",
    "CreateEndpoint",
    "ListEndpoints",
    "UpdateEndpoint",
    "DeleteEndpoint",
    "RotateSecret",
    "ListDeliveries",
    "Redeliver",
]


def wrong_values(field: FieldDescriptor) -> list[Any]:
    """Values of the right type that may not be valid, in proto3's JSON."""
    kinds = FieldDescriptor
    if field.type == kinds.TYPE_STRING:
        return TEXTS
    if field.type == kinds.TYPE_INT32:
        return NUMBERS
    if field.type == kinds.TYPE_INT64:
        return LARGE_NUMBERS
    if field.type == kinds.TYPE_ENUM:
        return [0, 1, 99, -1]
    if field.type == kinds.TYPE_BYTES:
        return ["", "AA==", "////"]
    return []


def sane(refusal: Refused) -> None:
    assert refusal.code not in NEVER, refusal
    assert (refusal.domain, bool(refusal.reason)) == ("holdfast", True), refusal
    assert refusal.message
    if refusal.reason in ("FIELD_INVALID", "AMOUNT_INVALID"):
        assert refusal.fields, refusal


async def attempt(caller: Caller, rpc: str, body: bytes) -> str:
    """Send it; answer the reason of the refusal, or nothing if it was accepted."""
    try:
        await caller.send(rpc, body)
    except Refused as refusal:
        sane(refusal)
        return refusal.reason
    return ""


def base(deal: Deal, rpc: str) -> dict[str, Any]:
    """A well-formed request."""
    if rpc == "CreateEscrow":
        return deal.terms()
    names = deal.client.stack.api.methods[rpc].input_type.fields_by_name
    fields: dict[str, Any] = {
        "escrow_id": deal.escrow_id,
        "user_id": deal.seller.user_id,
        "account_id": "acc_ThisIsOfTheTes",
        "event_type": "note",
        "reason": "scratched",
        "order_id": "order_ThisIsNoOrder",
        "payment_id": "pay_ThisIsNoPaymen",
        "signature": "00",
        "account": "nobody",
    }
    return {name: value for name, value in fields.items() if name in names}


def test_every_unary_call_is_tried(client: Client) -> None:
    methods = client.stack.api.methods
    assert {name for name, method in methods.items() if not method.server_streaming} == set(UNARY)


@pytest.mark.parametrize("rpc", UNARY)
async def test_no_wrong_field_of_a_call_is_an_internal_error(
    client: Client, deal: Deal, rpc: str
) -> None:
    await deal.agree()
    callers = [deal.buyer, deal.service, client.caller("admin", "admin")]
    api = client.stack.api
    good = base(deal, rpc)
    for field in api.methods[rpc].input_type.fields:
        for value in [*wrong_values(field), None]:
            body = api.request(rpc, good)
            body.ClearField(field.name)
            if value is not None:
                json = {**good, field.name: [value] if field.is_repeated else value}
                body = api.request(rpc, json)
            for caller in callers:
                await attempt(caller, rpc, body.SerializeToString())


@pytest.mark.parametrize("rpc", UNARY)
async def test_bytes_that_are_not_a_message_are_refused_and_write_nothing(
    client: Client, deal: Deal, rpc: str
) -> None:
    await deal.agree()
    fields = client.stack.api.methods[rpc].input_type.fields
    tag = bytes([(fields[0].number if fields else 1) << 3 | 2])
    for body in (
        b"\xff",
        b"\xff" * 100,
        tag + b"\x7f",
        tag + b"\xff\xff\xff\xff\x0f",
        b"\x0b\x0c" * 3 + b"\x0b",
        b"\x00\x00",
    ):
        assert await attempt(deal.service, rpc, body) == "REQUEST_MALFORMED"
    if fields and fields[0].type == FieldDescriptor.TYPE_STRING:
        assert await attempt(deal.service, rpc, tag + b"\x02\xc3\x28") == "REQUEST_MALFORMED"
    assert (await deal.get()).version == 1


@pytest.mark.parametrize("rpc", UNARY)
async def test_random_bytes_never_make_an_internal_error(
    client: Client, deal: Deal, rpc: str
) -> None:
    rng = random.Random(SEED)
    await deal.agree()
    good = client.stack.api.request(rpc, base(deal, rpc)).SerializeToString()
    for _ in range(FUZZ_ROUNDS):
        body = bytearray(good or b"\x0a\x00")
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        await attempt(deal.service, rpc, bytes(body))
        await attempt(deal.buyer, rpc, rng.randbytes(rng.randint(1, 200)))


CREATE: list[tuple[str, Any, str]] = [
    ("buyer_id", "", "buyer_id"),
    ("seller_id", "", "seller_id"),
    ("seller_id", "a b", "seller_id"),
    ("seller_id", "x" * 129, "seller_id"),
    ("seller_id", "ä", "seller_id"),
    ("title", "", "title"),
    ("title", "x" * 201, "title"),
    ("title", "a\x00b", "title"),
    ("title", "a\x85b", "title"),
    ("title", "gpj.\u202eexe", "title"),
    ("title", "\u2066a\u2069", "title"),
    ("title", "\u200b\u200d\ufeff", "title"),
    ("title", "\u3164", "title"),
    ("description", "a\u202db", "description"),
    ("description", "x" * 5001, "description"),
    ("request_id", "x" * 129, "request_id"),
    ("request_id", "a b", "request_id"),
    ("amount", {}, "amount.currency"),
    ("amount", {"amount_minor": 100}, "amount.currency"),
    ("amount", {"currency": "INR"}, "amount.amount_minor"),
    ("amount", {"amount_minor": 99, "currency": "INR"}, "amount.amount_minor"),
    ("amount", {"amount_minor": -100, "currency": "INR"}, "amount.amount_minor"),
    ("amount", {"amount_minor": 10**12 + 1, "currency": "INR"}, "amount.amount_minor"),
    ("amount", {"amount_minor": 2**63 - 1, "currency": "INR"}, "amount.amount_minor"),
    ("amount", {"amount_minor": 1000, "currency": "USD"}, "amount.currency"),
    ("amount", {"amount_minor": 1000, "currency": "inr"}, "amount.currency"),
    ("terms", {"payment_window": "0s"}, "terms.payment_window"),
    ("terms", {"payment_window": "-5s"}, "terms.payment_window"),
    ("terms", {"payment_window": "2592001s"}, "terms.payment_window"),
    ("terms", {"inspection_period": "0.5s"}, "terms.inspection_period"),
    ("terms", {"inspection_period": "7776001s"}, "terms.inspection_period"),
    ("terms", {"inspection_period": "315576000000s"}, "terms.inspection_period"),
    ("milestones", [{"title": "a"}], "milestones[0].amount.currency"),
    (
        "milestones",
        [{"title": "", "amount": {"amount_minor": AMOUNT_MINOR, "currency": "INR"}}],
        "milestones[0].title",
    ),
    (
        "milestones",
        [{"title": "a", "amount": {"amount_minor": AMOUNT_MINOR - 1, "currency": "INR"}}],
        "milestones",
    ),
    (
        "milestones",
        [{"title": "a", "amount": {"amount_minor": 100, "currency": "INR"}}] * 21,
        "milestones",
    ),
]


@pytest.mark.parametrize(("field", "value", "named"), CREATE)
async def test_create_escrow_names_the_field_that_is_wrong(
    deal: Deal, field: str, value: Any, named: str
) -> None:
    refusal = await deal.service.refusal("CreateEscrow", **deal.terms(**{field: value}))
    sane(refusal)
    assert refusal.code == "INVALID_ARGUMENT"
    assert refusal.reason in ("FIELD_INVALID", "AMOUNT_INVALID")
    assert named in refusal.fields
    assert named in refusal.message
    assert not (await deal.buyer.call("ListEscrows")).escrows


async def test_all_wrong_fields_are_named_at_once(deal: Deal) -> None:
    amount = {"amount_minor": 1, "currency": "XXX"}
    refusal = await deal.service.refusal(
        "CreateEscrow", **deal.terms(title="", amount=amount, buyer_id="")
    )
    wanted = {"title", "amount.amount_minor", "amount.currency", "buyer_id"}
    assert wanted <= set(refusal.fields)


async def test_one_user_cannot_be_two_parties(deal: Deal) -> None:
    for fields in (
        {"seller_id": deal.buyer.user_id},
        {"arbiter_id": deal.buyer.user_id},
        {"arbiter_id": deal.seller.user_id},
    ):
        refusal = await deal.buyer.refusal("CreateEscrow", **deal.terms(**fields))
        assert list(fields) == list(refusal.fields)


@pytest.mark.parametrize(
    ("release", "refund"),
    [
        (0, 0),
        (AMOUNT_MINOR, 1),
        (AMOUNT_MINOR - 1, 0),
        (AMOUNT_MINOR - 1, 1),
        (99, AMOUNT_MINOR - 99),
        (-100, AMOUNT_MINOR + 100),
        (2**63 - 1, 1),
        (-(2**63), -(2**63)),
        (2**63 - 1, AMOUNT_MINOR - 2**63 + 1),
    ],
)
async def test_a_split_that_does_not_sum_up_to_what_is_held_is_refused(
    deal: Deal, release: int, refund: int
) -> None:
    await deal.agree()
    await deal.pay()
    await deal.until_status("HELD")
    await deal.act(deal.buyer, "RaiseDispute", reason="scratched")
    refusal = await deal.arbiter.refusal(
        "ResolveDispute", escrow_id=deal.escrow_id, release_minor=release, refund_minor=refund
    )
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "AMOUNT_INVALID")
    assert (await deal.get()).status == deal.status("DISPUTED")


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("", {}),
        ("Upper", {}),
        ("1st", {}),
        ("a-b", {}),
        ("x" * 65, {}),
        ("ä", {}),
        ("note", {"big": "x" * (16 << 10)}),
        ("note", {"n": float("nan")}),
        ("note", {"n": float("inf")}),
        ("note", {"text": "a\x9bb"}),
        ("note", {"list": [{"a\u202eb": 1}]}),
    ],
)
async def test_a_wrong_update_is_refused(deal: Deal, event_type: str, data: dict[str, Any]) -> None:
    await deal.agree()
    request = deal.client.stack.api.request(
        "PublishUpdate", {"escrow_id": deal.escrow_id, "event_type": event_type}
    )
    request.data.update(data)
    body = request.SerializeToString()
    assert await attempt(deal.service, "PublishUpdate", body) == "FIELD_INVALID"
    assert (await deal.get()).version == 1


@pytest.mark.parametrize(
    "account_id",
    ["", "acc_", "acc_short", "acc_" + "x" * 15, "ACC_" + "x" * 14, "acc_ääääääääääääää"],
)
async def test_a_wrong_account_is_refused(deal: Deal, account_id: str) -> None:
    user_id = deal.seller.user_id
    refusal = await deal.seller.refusal("RegisterPayee", user_id=user_id, account_id=account_id)
    assert (refusal.reason, list(refusal.fields)) == ("FIELD_INVALID", ["account_id"])
    unknown = await deal.seller.refusal("GetPayee", user_id=user_id)
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "PAYEE_NOT_FOUND")


async def test_an_unknown_rpc_is_refused_by_grpc_itself(client: Client) -> None:
    caller = client.caller("anyone")
    for path in ("/escrow.v1.EscrowService/NoSuchCall", "/no.such.Service/Call", "/"):
        call: Any = client.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(b"", timeout=10)
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(Refused, match="RESOURCE_EXHAUSTED"):
        await caller.send("GetEscrow", b"\x0a" * MAX_MESSAGE_BYTES)
