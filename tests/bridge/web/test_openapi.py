"""The OpenAPI document: valid, complete, and true to what the API does."""

import re
from typing import Any

import pytest
from escrow.v1 import (
    admin_service_pb2,
    attachment_service_pb2,
    escrow_service_pb2,
    feed_service_pb2,
    ledger_service_pb2,
    payment_service_pb2,
    profile_service_pb2,
    webhook_service_pb2,
)
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.web.api import ROUTES
from bridge.web.openapi import document
from tests.fakes.bridge import Bridge


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return document(ROUTES)


async def test_it_is_public_and_describes_the_routes(
    bridge: Bridge, openapi: dict[str, Any]
) -> None:
    async with bridge.http.get(f"{bridge.url}/api/v1/openapi.json") as answer:
        assert answer.status == 200
        assert await answer.json() == openapi


def test_a_validator_accepts_it(openapi: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(openapi).validate()


def test_it_has_every_unary_rpc_except_ingest_webhook(openapi: dict[str, Any]) -> None:
    services = [
        escrow_service_pb2.DESCRIPTOR.services_by_name["EscrowService"],
        payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"],
        ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"],
        admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
        feed_service_pb2.DESCRIPTOR.services_by_name["FeedService"],
        webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
        attachment_service_pb2.DESCRIPTOR.services_by_name["AttachmentService"],
        profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"],
    ]
    unary = {
        rpc.input_type.name.removesuffix("Request")
        for service in services
        for rpc in service.methods
        if not (rpc.server_streaming or rpc.client_streaming)
    }
    operations = {
        operation["operationId"]
        for path in openapi["paths"].values()
        for operation in path.values()
        if operation["tags"] != ["Bridge"]
    }
    assert operations == unary - {"IngestWebhook"}


async def test_every_endpoint_that_it_describes_exists(
    bridge: Bridge, openapi: dict[str, Any]
) -> None:
    doors = {
        (method, path, bool(operation["security"]))
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
        if operation["tags"] == ["Bridge"]
    }
    assert len(doors) == 7
    for method, path, takes_token in doors:
        url = bridge.url + re.sub(r"\{\w+\}", "some-id", path)
        async with bridge.http.request(method, url) as answer:
            # An endpoint that needs a body or a signature refuses the call, which is an answer too.
            refused = 401 if takes_token else 400
            assert answer.status == (200 if method == "get" and not takes_token else refused)


def test_a_call_can_be_made_from_the_document_alone(openapi: dict[str, Any]) -> None:
    cancel = openapi["paths"]["/api/v1/escrows/{escrow_id}:cancel"]["post"]
    assert {(p["name"], p["in"]) for p in cancel["parameters"]} == {
        ("escrow_id", "path"),
        ("Idempotency-Key", "header"),
    }
    body = cancel["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"note", "request_id"}
    listing = openapi["paths"]["/api/v1/escrows"]["get"]
    assert "requestBody" not in listing
    assert {p["name"] for p in listing["parameters"]} == {
        "page_size",
        "page_token",
        "status",
        "party",
        "query",
        "attention",
        "attention_code",
        "needs_me",
        "role",
        "create_time_from",
        "create_time_to",
        "update_time_from",
        "update_time_to",
        "order_by",
        "with_totals",
    }


def test_types_are_those_of_proto3_json(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    assert schemas["Money"]["properties"]["amount_minor"]["format"] == "int64"
    assert "string" in schemas["Money"]["properties"]["amount_minor"]["type"]
    assert schemas["Escrow"]["properties"]["create_time"]["format"] == "date-time"
    assert "ESCROW_STATUS_HELD" in schemas["EscrowStatus"]["enum"]
    assert schemas["EscrowEvent"]["properties"]["hash"]["contentEncoding"] == "base64"
    assert schemas["EscrowEvent"]["properties"]["data"]["type"] == "object"
    assert schemas["Escrow"]["properties"]["confirmations"]["items"] == {
        "$ref": "#/components/schemas/Confirmation"
    }


def test_the_comments_of_the_proto_are_its_descriptions(openapi: dict[str, Any]) -> None:
    create = openapi["paths"]["/api/v1/escrows"]["post"]
    assert "NOT_A_PARTY" in create["description"]
    assert create["summary"] == "Agrees an escrow"
    schemas = openapi["components"]["schemas"]
    assert schemas["Money"]["description"] == "An amount of money."
    assert "ISO 4217" in schemas["Money"]["properties"]["currency"]["description"]
    assert "`ESCROW_STATUS_HELD`: Paid" in schemas["EscrowStatus"]["description"]
