"""The JSON API over real HTTP, with a core behind it that takes every RPC."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as service
from escrow.v1 import payment_service_pb2 as payments
from yarl import URL

from bridge.web.api import BODY_LIMIT_BYTES
from tests.bridge.conftest import ORIGIN, StartBridge
from tests.fakes.anycore import AnyCore
from tests.fakes.bridge import Bridge, token
from tests.fakes.core import FakeCore
from tests.fakes.wait import until

ESCROWS = "/api/v1/escrows"


@pytest.fixture
async def anycore() -> AsyncIterator[AnyCore]:
    core = AnyCore()
    await core.start()
    yield core
    await core.stop()


class Client:
    """Sends requests as one user; answers the status, the JSON and the headers."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.token: str | None = token("buyer")

    async def send(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any, Any]:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        async with self.bridge.http.request(
            method, URL(self.bridge.url + path, encoded=True), data=body, headers=headers, **options
        ) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers


@pytest.fixture
async def client(start_bridge: StartBridge, anycore: AnyCore) -> Client:
    return Client(await start_bridge({"core_address": (f"127.0.0.1:{anycore.port}",)}))


def escrow() -> pb.Escrow:
    made = pb.Escrow(
        escrow_id="esc_1",
        amount=pb.Money(amount_minor=250_000, currency="INR"),
        status=pb.ESCROW_STATUS_HELD,
        version=3,
    )
    made.create_time.FromJsonString("2026-01-31T12:00:00Z")
    return made


async def test_a_body_becomes_the_request_and_the_answer_keeps_the_protos_names(
    client: Client, anycore: AnyCore
) -> None:
    anycore.answers["CreateEscrow"] = service.CreateEscrowResponse(escrow=escrow())
    status, answer, headers = await client.send(
        "POST",
        ESCROWS,
        {
            "buyer_id": "buyer",
            "sellerId": "seller",
            "title": "Ein Fahrrad 🚲",
            "amount": {"amount_minor": "250000", "currency": "INR"},
            "terms": {"payment_window": "3600s"},
            "milestones": [{"title": "half", "amount": {"amount_minor": 125000}}, {}],
            "arbiter_id": None,
        },
    )
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    request = anycore.last.read(service.CreateEscrowRequest)
    assert request.buyer_id == "buyer"
    assert request.seller_id == "seller"
    assert request.title == "Ein Fahrrad 🚲"
    assert request.amount == pb.Money(amount_minor=250_000, currency="INR")
    assert request.terms.payment_window.seconds == 3600
    assert [m.amount.amount_minor for m in request.milestones] == [125_000, 0]
    got = answer["escrow"]
    assert got["version"] == "3"
    assert got["status"] == "ESCROW_STATUS_HELD"
    assert got["create_time"] == "2026-01-31T12:00:00Z"
    assert got["amount"] == {"amount_minor": "250000", "currency": "INR"}
    assert got["attention"] == ""
    assert got["confirmations"] == []
    assert "dispute" not in got


async def test_the_callers_own_token_goes_on_to_core(client: Client, anycore: AnyCore) -> None:
    await client.send("GET", f"{ESCROWS}/esc_1")
    assert anycore.last.metadata["authorization"] == f"Bearer {client.token}"


@pytest.mark.parametrize(
    ("method", "path", "rpc"),
    [
        ("POST", "/api/v1/escrows", "CreateEscrow"),
        ("GET", "/api/v1/escrows", "ListEscrows"),
        ("GET", "/api/v1/defaults", "GetDefaults"),
        ("GET", "/api/v1/escrows/esc_1", "GetEscrow"),
        ("POST", "/api/v1/escrows/esc_1:cancel", "CancelEscrow"),
        ("POST", "/api/v1/escrows/esc_1:accept", "AcceptEscrow"),
        ("POST", "/api/v1/escrows/esc_1:confirm", "AddConfirmation"),
        ("POST", "/api/v1/escrows/esc_1:release", "ReleaseEscrow"),
        ("POST", "/api/v1/escrows/esc_1:refund", "RefundEscrow"),
        ("POST", "/api/v1/escrows/esc_1:dispute", "RaiseDispute"),
        ("POST", "/api/v1/escrows/esc_1:withdrawDispute", "WithdrawDispute"),
        ("POST", "/api/v1/escrows/esc_1:resolve", "ResolveDispute"),
        ("POST", "/api/v1/escrows/esc_1:override", "OverrideSettlement"),
        ("POST", "/api/v1/escrows/esc_1:publishUpdate", "PublishUpdate"),
        ("GET", "/api/v1/escrows/esc_1/events", "ListEvents"),
        ("POST", "/api/v1/escrows/esc_1:pay", "StartPayment"),
        ("POST", "/api/v1/escrows/esc_1:confirmPayment", "ConfirmPayment"),
        ("GET", "/api/v1/escrows/esc_1/payment", "GetPayment"),
        ("PUT", "/api/v1/payees/seller", "RegisterPayee"),
        ("GET", "/api/v1/payees/seller", "GetPayee"),
        ("GET", "/api/v1/payees/seller/events", "ListPayeeEvents"),
        ("POST", "/api/v1/payees/seller/change:cancel", "CancelPayeeChange"),
        ("POST", "/api/v1/payees/seller/change:waive", "WaivePayeeWait"),
    ],
)
async def test_every_unary_rpc_has_its_path(
    client: Client, anycore: AnyCore, method: str, path: str, rpc: str
) -> None:
    status, _, _ = await client.send(method, path)
    assert status == 200
    assert anycore.last.name == rpc


async def test_path_and_query_are_bound_with_enums_by_name_or_number(
    client: Client, anycore: AnyCore
) -> None:
    await client.send("GET", f"{ESCROWS}?page_size=20&status=ESCROW_STATUS_HELD&party=a%20b")
    request = anycore.last.read(service.ListEscrowsRequest)
    assert (request.page_size, request.status, request.party) == (20, 2, "a b")
    await client.send("GET", f"{ESCROWS}?status=3&pageSize=7&page_token=a%2Bb")
    request = anycore.last.read(service.ListEscrowsRequest)
    assert (request.page_size, request.status, request.page_token) == (7, 3, "a+b")
    await client.send("GET", f"{ESCROWS}/esc_1/events?after_version=9007199254740993")
    request = anycore.last.read(service.ListEventsRequest)
    assert (request.escrow_id, request.after_version) == ("esc_1", 2**53 + 1)


async def test_a_path_may_hold_any_id_when_it_is_escaped(client: Client, anycore: AnyCore) -> None:
    user_id = "a/b:ü|1"
    for escaped in ("a%2Fb%3A%C3%BC%7C1", "a%2fb:%C3%BC%7c1"):
        status, _, _ = await client.send("GET", f"/api/v1/payees/{escaped}")
        assert status == 200
        assert anycore.last.read(payments.GetPayeeRequest).user_id == user_id
    await client.send("GET", f"{ESCROWS}/a%3Acancel")
    assert anycore.last.read(service.GetEscrowRequest).escrow_id == "a:cancel"


async def test_the_idempotency_key_is_the_request_id(client: Client, anycore: AnyCore) -> None:
    headers = {"Idempotency-Key": "key-1"}
    await client.send("POST", f"{ESCROWS}/esc_1:cancel", {"note": "no"}, headers=headers)
    request = anycore.last.read(service.CancelEscrowRequest)
    assert (request.escrow_id, request.note, request.request_id) == ("esc_1", "no", "key-1")
    body = {"request_id": "key-1"}
    status, _, _ = await client.send("POST", f"{ESCROWS}/esc_1:cancel", body, headers=headers)
    assert status == 200


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        ({"request_id": "key-2"}, {"Idempotency-Key": "key-1"}, "request_id"),
        ({"escrow_id": "esc_2"}, {}, "escrow_id"),
    ],
)
async def test_a_body_may_not_contradict_the_path_or_the_header(
    client: Client, anycore: AnyCore, body: Any, headers: dict[str, str], field: str
) -> None:
    status, answer, _ = await client.send("POST", f"{ESCROWS}/esc_1:cancel", body, headers=headers)
    assert status == 400
    assert answer["error"]["fields"][0]["field"] == field
    assert not anycore.calls


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({"colour": "red"}, "colour", "no such field"),
        ({"amount": {"minor": 1}}, "amount.minor", "no such field"),
        ({"amount": {"amount_minor": "ten"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": 10.5}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": True}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": 2**63}}, "amount.amount_minor", "64 bits"),
        ({"amount": {"amount_minor": "1_000"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": "१०००"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": " 1000"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": "+1000"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": "1e3"}}, "amount.amount_minor", "whole number"),
        ({"amount": {"amount_minor": ""}}, "amount.amount_minor", "whole number"),
        ({"terms": {"payment_window": "3_600s"}}, "terms.payment_window", "duration"),
        (
            {"terms": {"payment_window": "\uff13\uff16\uff10\uff10s"}},
            "terms.payment_window",
            "duration",
        ),
        ({"amount": 100}, "amount", "expected an object"),
        ({"amount": [1]}, "amount", "expected an object"),
        ({"title": 7}, "title", "text"),
        ({"title": ["a"]}, "title", "text"),
        ({"title": "\ud800"}, "title", "text"),
        ({"milestones": {}}, "milestones", "list"),
        ({"milestones": [{}, {"title": 1}]}, "milestones[1].title", "text"),
        ({"milestones": [None]}, "milestones[0]", "object"),
        ({"terms": {"payment_window": 60}}, "terms.payment_window", "3600s"),
        ({"terms": {"payment_window": "an hour"}}, "terms.payment_window", "3600s"),
        ({"buyer_id": "a", "buyerId": "b"}, "buyerId", "twice"),
        ('{"title": "a", "title": "b"}', "title", "twice"),
    ],
)
async def test_a_bad_field_is_named_and_core_is_not_asked(
    client: Client, anycore: AnyCore, body: Any, field: str, problem: str
) -> None:
    status, answer, _ = await client.send("POST", ESCROWS, body)
    assert status == 400
    error = answer["error"]
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert error["fields"][0]["field"] == field
    assert problem in error["fields"][0]["message"]
    assert field in error["message"]
    assert not anycore.calls


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '"text"',
        "null",
        "NaN",
        b"\xff\xfe",
        b"\x00",
        "[" * 100_000,
        '{"a":' * 50_000,
        "9" * 5_000,
        '{"amount": {"amount_minor": NaN}}',
        '{"amount": {"amount_minor": 1e999}}',
    ],
    ids=range(12),
)
async def test_a_body_that_is_not_a_json_object_is_refused(
    client: Client, anycore: AnyCore, body: Any
) -> None:
    status, answer, _ = await client.send("POST", ESCROWS, body)
    assert status == 400
    assert answer["error"]["code"] == "INVALID_ARGUMENT"
    assert not anycore.calls


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("page_size=many", "page_size"),
        ("page_size=1&page_size=2", "page_size"),
        ("status=HELD", "status"),
        ("page_size.x=1", "page_size.x"),
        ("party=%ff", ""),
        ("&".join(f"a{n}=1" for n in range(101)), ""),
    ],
)
async def test_a_bad_query_is_refused_by_field(
    client: Client, anycore: AnyCore, query: str, field: str
) -> None:
    status, answer, _ = await client.send("GET", f"{ESCROWS}?{query}")
    assert status == 400
    assert answer["error"].get("fields", [{"field": ""}])[0]["field"] == field
    assert not anycore.calls


async def test_a_call_whose_body_is_the_request_takes_no_query(
    client: Client, anycore: AnyCore
) -> None:
    status, answer, _ = await client.send("POST", f"{ESCROWS}/esc_1:cancel?note=no", {})
    assert status == 400
    assert answer["error"]["fields"][0]["field"] == "note"
    assert not anycore.calls


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer a b", "Bearer ü"])
async def test_without_a_token_core_is_not_asked(
    client: Client, anycore: AnyCore, header: Any
) -> None:
    client.token = None
    headers = {} if header is None else {"Authorization": header}
    status, answer, got = await client.send("GET", f"{ESCROWS}/esc_1", headers=headers)
    assert status == 401
    assert answer["error"]["code"] == "UNAUTHENTICATED"
    assert got["WWW-Authenticate"] == "Bearer"
    assert not anycore.calls


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"seconds": -5}, "TOKEN_EXPIRED"), ({"nbf": 9e9}, "TOKEN_INVALID"), (None, "TOKEN_INVALID")],
)
async def test_with_a_bad_token_core_is_not_asked(
    client: Client, anycore: AnyCore, claims: Any, reason: str
) -> None:
    client.token = "rubbish" if claims is None else token(**claims)
    status, answer, got = await client.send("GET", f"{ESCROWS}/esc_1")
    assert status == 401
    assert (answer["error"]["code"], answer["error"]["reason"]) == ("UNAUTHENTICATED", reason)
    assert client.token not in answer["error"]["message"]
    assert got["WWW-Authenticate"].startswith("Bearer")
    assert not anycore.calls


async def test_while_keys_cannot_be_fetched_the_answer_is_503(
    start_bridge: StartBridge, anycore: AnyCore
) -> None:
    settings = {"jwt_secret": None, "demo_login": False, "jwt_jwks_url": "http://127.0.0.1:9/"}
    client = Client(await start_bridge(settings))
    key = ed25519.Ed25519PrivateKey.generate()
    client.token = jwt.encode({"sub": "buyer", "exp": time() + 60}, key, "EdDSA")
    status, answer, headers = await client.send("GET", f"{ESCROWS}/esc_1")
    assert (status, answer["error"]["reason"]) == (503, "KEYS_UNAVAILABLE")
    assert headers["Retry-After"] == "1"


PUBLISH = f"{ESCROWS}/esc_1:publishUpdate"


@pytest.mark.parametrize("depth", [10, 30, 50, 90, 99, 101, 400, 900])
async def test_free_data_is_taken_or_refused_at_any_depth(
    client: Client, anycore: AnyCore, depth: int
) -> None:
    data = '{"a":' * depth + "1" + "}" * depth
    status, answer, _ = await client.send("POST", PUBLISH, f'{{"data":{data}}}')
    if depth <= 30:
        assert status == 200
        assert anycore.last.read(service.PublishUpdateRequest).data.ByteSize() > depth
    else:
        assert (status, answer["error"]["fields"][0]["field"]) == (400, "data")
        assert not anycore.calls


@pytest.mark.parametrize(
    "data",
    [
        "NaN",
        "1",
        "[]",
        '"a"',
        '{"a":NaN}',
        '{"a":[-Infinity]}',
        '{"a":1e999}',
        '{"a":"\\ud800"}',
        '{"\\ud800":1}',
        '{"a":1,"a":2}',
        '{"a":' + "9" * 400 + "}",
    ],
    ids=range(11),
)
async def test_free_data_that_protobuf_cannot_hold_is_refused(
    client: Client, anycore: AnyCore, data: Any
) -> None:
    status, answer, _ = await client.send("POST", PUBLISH, f'{{"data":{data}}}')
    assert (status, answer["error"]["code"]) == (400, "INVALID_ARGUMENT")
    assert not anycore.calls


@pytest.mark.parametrize("value", ["ESCROW_STATUS_GONE", "held", "99", "-1", "2.0", "", "true"])
async def test_an_unknown_enum_is_refused_here_or_by_core(
    client: Client, anycore: AnyCore, value: Any
) -> None:
    status, answer, _ = await client.send("GET", f"{ESCROWS}?status={value}")
    # proto3 enums are open, so that core decides about an unknown number.
    if value in ("99", "-1"):
        assert anycore.last.read(service.ListEscrowsRequest).status == int(value)
    else:
        assert (status, answer["error"]["fields"][0]["field"]) == (400, "status")
        assert "ESCROW_STATUS_HELD" in answer["error"]["message"]


@pytest.mark.parametrize("body", [None, b"", b" \n", b"{}"])
@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
async def test_an_empty_body_is_an_empty_object_whatever_its_type(
    client: Client, anycore: AnyCore, body: Any, kind: Any
) -> None:
    headers = {"Content-Type": kind}
    status, _, _ = await client.send("POST", f"{ESCROWS}/esc_1:confirm", body, headers=headers)
    assert status == 200
    assert anycore.last.read(service.AddConfirmationRequest).escrow_id == "esc_1"


@pytest.mark.parametrize(
    "path", ["/esc_1%ff", "/%00", "/%0a", "/%", "/%zz", "/a%2", "/" + "a" * 7000]
)
async def test_a_path_of_any_bytes_gets_an_answer_in_json(
    client: Client, anycore: AnyCore, path: str
) -> None:
    status, answer, _ = await client.send("GET", ESCROWS + path)
    assert status in (200, 400, 404)
    assert answer is not None


@pytest.mark.parametrize("key", ["ü", "a b", "x" * 7000])
async def test_an_idempotency_key_of_any_bytes_gets_an_answer_in_json(
    client: Client, anycore: AnyCore, key: Any
) -> None:
    headers = {"Idempotency-Key": key}
    status, answer, _ = await client.send("POST", f"{ESCROWS}/esc_1:confirm", headers=headers)
    assert status in (200, 400)
    assert answer is not None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("INVALID_ARGUMENT", 400),
        ("FAILED_PRECONDITION", 400),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("ABORTED", 409),
        ("RESOURCE_EXHAUSTED", 429),
        ("INTERNAL", 500),
        ("UNIMPLEMENTED", 501),
    ],
)
async def test_a_refusal_of_core_keeps_its_code_and_reason(
    client: Client, anycore: AnyCore, code: str, status: int
) -> None:
    anycore.refuse("GetEscrow", code, "SOME_REASON")
    got, answer, _ = await client.send("GET", f"{ESCROWS}/esc_1")
    assert got == status
    assert answer == {
        "error": {"code": code, "reason": "SOME_REASON", "message": "refused: SOME_REASON"}
    }


async def test_the_bad_fields_that_core_names_come_through(
    client: Client, anycore: AnyCore
) -> None:
    anycore.refuse("CreateEscrow", "INVALID_ARGUMENT", "FIELD_INVALID", title="is empty")
    status, answer, _ = await client.send("POST", ESCROWS, {})
    assert status == 400
    assert answer["error"]["fields"] == [{"field": "title", "message": "is empty"}]


async def test_when_core_is_away_the_answer_is_503_with_retry_after(
    client: Client, anycore: AnyCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.send("GET", f"{ESCROWS}/esc_1")
    await anycore.stop()
    monkeypatch.setattr("bridge.web.api.CORE_WAIT_S", 0.1)
    monkeypatch.setattr("bridge.web.api.CALL_LIMIT_S", 0.1)
    status, answer, headers = await client.send("GET", f"{ESCROWS}/esc_1")
    assert status == 503
    assert answer["error"]["code"] == "UNAVAILABLE"
    assert headers["Retry-After"] == "1"


async def test_one_call_above_the_limit_is_refused(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    client = Client(await start_bridge(calls=1))
    await core.create("e1")
    core.answering.clear()
    first = asyncio.create_task(client.send("GET", f"{ESCROWS}/e1"))
    await until(lambda: core.calls["GetEscrow"])
    status, answer, headers = await client.send("GET", f"{ESCROWS}/e1")
    assert (status, answer["error"]["reason"], headers["Retry-After"]) == (503, "BUSY", "1")
    core.answering.set()
    assert (await first)[0] == 200
    assert (await client.send("GET", f"{ESCROWS}/e1"))[0] == 200


async def test_a_body_over_1_mib_is_refused(client: Client, anycore: AnyCore) -> None:
    body = b'{"title": "' + b"a" * BODY_LIMIT_BYTES + b'"}'
    status, answer, _ = await client.send("POST", ESCROWS, io.BytesIO(body))
    assert status == 413
    assert answer["error"]["reason"] == "BODY_TOO_LARGE"
    assert not anycore.calls


async def test_a_body_just_below_1_mib_is_taken(client: Client, anycore: AnyCore) -> None:
    frame = b'{"title": ""}'
    body = frame[:-2] + b"a" * (BODY_LIMIT_BYTES - len(frame)) + frame[-2:]
    status, _, _ = await client.send("POST", ESCROWS, io.BytesIO(body))
    assert status == 200
    assert len(anycore.last.request) > BODY_LIMIT_BYTES - 100


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "nonsense"])
async def test_a_compressed_body_is_refused(client: Client, anycore: AnyCore, coding: str) -> None:
    body, headers = gzip.compress(b'{"title": "a"}'), {"Content-Encoding": coding}
    status, answer, _ = await client.send("POST", ESCROWS, body, headers=headers)
    assert (status, answer["error"]["reason"]) == (415, "CODING_UNSUPPORTED")
    assert not anycore.calls


@pytest.mark.parametrize(
    "path", ["", "/", "/escrow", "/escrows/", "/escrows/a/b", "/escrows/a:fly", "/payee", "/a"]
)
async def test_an_unknown_path_is_404_in_json_without_a_token(client: Client, path: str) -> None:
    client.token = None
    status, answer, _ = await client.send("POST", f"/api/v1{path}")
    assert status == 404
    assert answer["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/escrows", "GET, HEAD, POST"),
        ("GET", "/api/v1/escrows/esc_1:cancel", "POST"),
        ("POST", "/api/v1/payees/a", "GET, HEAD, PUT"),
        ("GET", "/api/v1/webhooks/razorpay", "POST"),
        ("POST", "/api/v1/openapi.json", "GET, HEAD"),
        ("POST", "/api/v1/ws", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_names_the_right_ones(
    client: Client, method: str, path: str, allow: str
) -> None:
    status, answer, headers = await client.send(method, path)
    assert status == 405
    assert headers["Allow"] == allow
    assert answer["error"]["reason"] == "METHOD_NOT_ALLOWED"


async def test_ingest_webhook_is_not_part_of_the_json_api(client: Client, anycore: AnyCore) -> None:
    status, _, _ = await client.send("POST", "/api/v1/escrow.v1.PaymentService/IngestWebhook", {})
    assert status == 404
    assert not anycore.calls


async def test_a_page_of_an_allowed_origin_may_ask_and_read(client: Client) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    client.token = None
    status, _, headers = await client.send("OPTIONS", f"{ESCROWS}/esc_1:pay", headers=asked)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "Content-Type", "Idempotency-Key"):
        assert name in headers["Access-Control-Allow-Headers"]
    status, _, headers = await client.send("GET", ESCROWS, headers={"Origin": ORIGIN})
    assert status == 401
    assert headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_page_of_another_origin_may_not_read(client: Client) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, _, headers = await client.send("OPTIONS", ESCROWS, headers=asked)
    assert status == 405
    assert "Access-Control-Allow-Origin" not in headers


async def test_the_config_names_the_demo_login_and_a_sandbox_on_this_machine(
    start_bridge: StartBridge,
) -> None:
    for url, expected in [
        ("http://127.0.0.1:8001/", {"demo_login": True, "sandbox_url": "http://127.0.0.1:8001"}),
        ("http://localhost:1", {"demo_login": True, "sandbox_url": "http://localhost:1"}),
        ("https://razorpay.example", {"demo_login": True}),
        (None, {"demo_login": True}),
    ]:
        client = Client(await start_bridge({"razorpay_base_url": url}))
        client.token = None
        status, config, _ = await client.send("GET", "/api/v1/config")
        assert (status, config) == (200, expected)


async def test_large_bodies_of_one_user_wait_for_one_another_and_others_do_not(
    start_bridge: StartBridge, anycore: AnyCore
) -> None:
    settings = {"core_address": (f"127.0.0.1:{anycore.port}",)}
    client = Client(await start_bridge(settings, large_bodies_per_user=2))
    large = '{"milestones":[' + "{}," * 6_000 + "{}]}"
    sent = [asyncio.create_task(client.send("POST", ESCROWS, large)) for _ in range(10)]
    assert (await client.send("POST", ESCROWS, {}))[0] == 200
    answers = await asyncio.gather(*sent)
    assert {status for status, _, _ in answers} == {200, 429}
    refused = next(answer for answer in answers if answer[0] == 429)
    assert refused[1]["error"]["reason"] == "TOO_MANY_AT_ONCE"
    assert refused[2]["Retry-After"] == "1"
