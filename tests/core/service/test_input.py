"""Wrong input of every kind to every call: a clear refusal, and nothing written."""

from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as payments
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from tests.core.counter import (
    DESCRIPTORS,
    UNARY,
    Counter,
    Failed,
    messages_of,
    new_escrow,
    token,
)

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
EXPECTED_CODES = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "ALREADY_EXISTS",
    "UNAUTHENTICATED",
}
TEXTS = ["", " ", "\0", "a\0b", "x" * 100_000, "\u202e\ufeff", "'; DROP TABLE escrows; --", "%s{}"]
NUMBERS = [0, -1, 1, 2**31 - 1, -(2**31)]
LONGS = [*NUMBERS, 2**63 - 1, -(2**63)]


def request_of(name: str) -> Any:
    file = messages_of(name)
    return getattr(file, f"{name}Request")


async def outcome(counter: Counter, request: Message, *roles: str) -> str:
    """The code of the answer; every refusal must be one of the catalogue."""
    failed: Failed | None = None
    try:
        await counter.call(request, "buyer-1", *roles)
    except Failed as error:
        failed = error
    if failed is None:
        return "OK"
    assert failed.code in EXPECTED_CODES, failed
    assert failed.domain == "holdfast"
    assert failed.reason.isupper()
    assert len(failed.message) < 4_000
    return failed.code


def valid(name: str, escrow_id: str) -> Message:
    """A request that is right in form; whether the law allows it is another matter."""
    request: Message = request_of(name)()
    if name == "CreateEscrow":
        return new_escrow(request_id="again")
    for field, value in (
        ("escrow_id", escrow_id),
        ("user_id", "buyer-1"),
        ("account_id", "acc_12345678901234"),
        ("reason", "Broken"),
        ("text", "It is dented"),
        ("event_type", "parcel_sent"),
        ("order_id", "order_1"),
        ("payment_id", "pay_1"),
        ("signature", "0" * 64),
        ("body", b"{}"),
    ):
        if field in request.DESCRIPTOR.fields_by_name:
            setattr(request, field, value)
    return request


@pytest.mark.parametrize("name", UNARY)
async def test_no_field_of_any_call_takes_the_server_down(lite: Counter, name: str) -> None:
    escrow = await lite.create()
    for field in request_of(name).DESCRIPTOR.fields:
        if field.message_type is not None or field.is_repeated:
            continue
        for value in _values(field):
            request = valid(name, escrow.escrow_id)
            setattr(request, field.name, value)
            for role in ("user", "service"):
                await outcome(lite, request, role)
    # Whatever was done, it was done by the law.
    books = await lite.core.rooms.auditor.check(escrow_id="", with_razorpay=False)
    assert list(books.findings) == []


def _values(field: FieldDescriptor) -> list[Any]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXTS
    if field.type == FieldDescriptor.TYPE_BYTES:
        return [b"", b"\xff\0", b"[" * 100_000, b'{"event":1}', b"x" * (1 << 20)]
    return LONGS if field.type == FieldDescriptor.TYPE_INT64 else NUMBERS


# The first field of ListEscrows is a number, that of BatchGetProfiles may be absent, and the others
# have none: there, bytes are a field that nobody knows.
NO_TEXT_FIRST = (
    "ListEscrows",
    "GetDefaults",
    "ListEndpoints",
    "ListPayees",
    "BatchGetProfiles",
)


@pytest.mark.parametrize("name", [name for name in UNARY if name not in NO_TEXT_FIRST])
@pytest.mark.parametrize(
    "body",
    [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x08\x01" * 3, b"\0" * 50],
    ids=["no tag", "cut off", "not UTF-8", "wrong type", "zeros"],
)
async def test_bytes_that_are_no_request_are_refused(lite: Counter, name: str, body: bytes) -> None:
    with pytest.raises(Failed) as failed:
        await lite.send(name, body, token("service-1", "service"))
    assert failed.value.code in EXPECTED_CODES
    assert failed.value.reason
    assert await lite.count() == 0


ON_ONE_ESCROW = [
    name
    for name in UNARY
    # These are for roles that see all.
    if "escrow_id" in DESCRIPTORS[name].input_type.fields_by_name
    and name not in ("PublishUpdate", "ListDeliveries", "InspectEscrow", "RetrySettlement")
]


@pytest.mark.parametrize("name", ON_ONE_ESCROW)
async def test_what_does_not_exist_and_what_is_not_mine_look_alike(
    lite: Counter, name: str
) -> None:
    escrow = await lite.create(buyer_id="buyer-1")
    answers = []
    for escrow_id in (UNKNOWN_ID, escrow.escrow_id, "not even an id"):
        request = valid(name, escrow_id)
        if name == "ResolveDispute":
            request.release_minor = 100_000  # type: ignore[attr-defined]
        with pytest.raises(Failed) as failed:
            await lite.call(request, "stranger-1")
        answers.append((failed.value.code, failed.value.reason, failed.value.message))
    assert set(answers) == {("NOT_FOUND", "ESCROW_NOT_FOUND", "There is no such escrow.")}


INR = {"currency": "INR"}
BAD_CREATIONS: dict[str, dict[str, Any]] = {
    "buyer_id": {"buyer_id": "has a blank"},
    "seller_id": {"seller_id": "buyer-1"},
    "arbiter_id": {"arbiter_id": "seller-1"},
    "title": {"title": "   "},
    "description": {"description": "x" * 5_001},
    "amount.amount_minor": {"amount": pb.Money(amount_minor=99, currency="INR")},
    "amount.currency": {"amount": pb.Money(amount_minor=100, currency="inr")},
    "terms.payment_window": {"terms": pb.Terms(payment_window=Duration(seconds=-5))},
    "terms.inspection_period": {"terms": pb.Terms(inspection_period=Duration(seconds=2**62))},
    "milestones": {
        "milestones": [pb.NewMilestone(title="a", amount=pb.Money(amount_minor=500, **INR))]
    },
    "milestones[0].title": {
        "milestones": [pb.NewMilestone(amount=pb.Money(amount_minor=100_000, **INR))]
    },
    "milestones[0].amount.amount_minor": {
        "milestones": [
            pb.NewMilestone(title="a", amount=pb.Money(amount_minor=-5, **INR)),
            pb.NewMilestone(title="b", amount=pb.Money(amount_minor=100_005, **INR)),
        ]
    },
    "request_id": {"request_id": "x" * 129},
}


@pytest.mark.parametrize(
    ("field", "people"),
    [
        ("seller_id", {"seller_id": "Buyer-1"}),
        ("arbiter_id", {"arbiter_id": "SELLER-1"}),
        ("arbiter_id", {"arbiter_id": "buyer-1".upper()}),
    ],
)
async def test_ids_of_one_escrow_that_differ_only_in_case_are_refused(
    lite: Counter, field: str, people: dict[str, str]
) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(new_escrow(**people))
    assert "more than the case of letters" in failed.value.fields[field]
    assert await lite.count() == 0


async def test_an_id_is_free_to_use_whatever_ids_other_escrows_have(lite: Counter) -> None:
    await lite.call(new_escrow(request_id="squatter", seller_id="Seller-1"))
    await lite.call(new_escrow(request_id="owner", seller_id="seller-1"))
    assert await lite.count() == 2


@pytest.mark.parametrize("field", BAD_CREATIONS)
async def test_a_bad_creation_names_its_field(lite: Counter, field: str) -> None:
    request = new_escrow(**BAD_CREATIONS[field])
    with pytest.raises(Failed) as failed:
        await lite.call(request)
    assert failed.value.code == "INVALID_ARGUMENT"
    assert field in failed.value.fields
    assert await lite.count() == 0


async def test_every_bad_field_is_named_at_once(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        await lite.call(escrows.CreateEscrowRequest())
    assert {"buyer_id", "seller_id", "title", "amount.amount_minor"} <= set(failed.value.fields)


def _nested(depth: int, *, in_lists: bool) -> Struct:
    value = Value(string_value="deep")
    for _ in range(depth):
        if in_lists:
            value = Value(list_value=ListValue(values=[value]))
        else:
            value = Value(struct_value=Struct(fields={"a": value}))
    return Struct(fields={"a": value})


BAD_DATA = {
    "not a number": Struct(fields={"a": Value(number_value=float("nan"))}),
    "infinite": Struct(fields={"a": Value(number_value=float("-inf"))}),
    "too large": Struct(fields={"a": Value(string_value="x" * 20_000)}),
    "deep objects": _nested(25, in_lists=False),
    "deep lists": _nested(40, in_lists=True),
}


@pytest.mark.parametrize("kind", BAD_DATA)
async def test_data_that_nobody_could_read_again_is_refused(lite: Counter, kind: str) -> None:
    escrow = await lite.create()
    request = escrows.PublishUpdateRequest(
        escrow_id=escrow.escrow_id, event_type="news", data=BAD_DATA[kind]
    )
    with pytest.raises(Failed) as failed:
        await lite.call(request, "service-1", "service")
    assert (failed.value.code, list(failed.value.fields)) == ("INVALID_ARGUMENT", ["data"])


@pytest.mark.parametrize("in_lists", [False, True])
async def test_data_as_deep_as_allowed_reaches_every_reader(lite: Counter, in_lists: bool) -> None:
    escrow = await lite.create()
    data = _nested(19, in_lists=in_lists)
    request = escrows.PublishUpdateRequest(escrow_id=escrow.escrow_id, event_type="news", data=data)
    await lite.call(request, "service-1", "service")
    listed = await lite.call(escrows.ListEventsRequest(escrow_id=escrow.escrow_id))
    assert listed.events[1].data == data
    watching = lite.watch(
        escrows.WatchEscrowRequest(escrow_id=escrow.escrow_id, after_version=1), token("buyer-1")
    )
    async for response in watching:
        assert response.event.data == data
        break
    await watching.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page_token", ["x", "e30=", "WzEuNSwiYSIsImIiXQ==", "[" * 5_000, "\u20b9"])
async def test_a_page_token_that_is_not_ours_is_refused(counter: Counter, page_token: str) -> None:
    with pytest.raises(Failed) as failed:
        await counter.call(escrows.ListEscrowsRequest(page_token=page_token))
    assert failed.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "request_",
    [
        escrows.ListEscrowsRequest(page_size=-1),
        escrows.ListEscrowsRequest(page_size=201),
        escrows.ListEscrowsRequest(party="a b"),
        escrows.ListEscrowsRequest(status=99),  # type: ignore[arg-type]
        escrows.ListEventsRequest(escrow_id=UNKNOWN_ID, page_size=501),
        escrows.ListEventsRequest(escrow_id=UNKNOWN_ID, after_version=-1),
        payments.RegisterPayeeRequest(user_id="buyer-1", account_id="acc_short"),
        payments.GetPayeeRequest(user_id=""),
    ],
    ids=str,
)
async def test_a_number_or_name_out_of_its_range_is_refused(
    lite: Counter, request_: Message
) -> None:
    assert await outcome(lite, request_) == "INVALID_ARGUMENT"


async def test_text_of_any_script_is_kept_as_it_came(counter: Counter) -> None:
    title = "साइकिल 🚲 — ₹"
    escrow = await counter.create(title=title, description="a\nb\tc")
    read = await counter.call(escrows.GetEscrowRequest(escrow_id=escrow.escrow_id))
    assert (read.escrow.title, read.escrow.description) == (title, "a\nb\tc")
