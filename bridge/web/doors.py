"""What openapi.json says of the doors under /api/v1 that are no RPC of core's, by path."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _json(description: str, **properties: Schema) -> Schema:
    schema = {"type": "object", "properties": properties}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _door(operation_id: str, summary: str, description: str, answer: Schema, **more: Any) -> Schema:
    refused = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {
        "operationId": operation_id,
        "tags": ["Bridge"],
        "summary": summary,
        "description": description,
        # None of them asks for a token.
        "security": [],
        "responses": {
            "200": answer,
            "default": {"description": "Refused.", "content": {"application/json": refused}},
        },
        **more,
    }


def _header(name: str, description: str, *, required: bool) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


_TEXT: Schema = {"type": "string"}
_ROLES: Schema = {"type": "array", "items": {"enum": ["user", "admin", "service"]}}

_WEBHOOK = _door(
    "TakeWebhook",
    "Takes one delivery of Razorpay",
    "The signature is over the body as it is. 400: a bad signature or body; 413: over 1 MiB; 503:"
    " core is away, send it again.",
    _json(
        "It has been taken.",
        outcome={"type": "string", "enum": ["applied", "duplicate", "ignored"]},
    ),
    parameters=[
        _header("X-Razorpay-Signature", "HMAC-SHA256 of the body, in hex.", required=True),
        _header("X-Razorpay-Event-Id", "The same for each try.", required=False),
    ],
    requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
)
_DEMO_TOKEN = _door(
    "GiveDemoToken",
    "Gives a token to whoever asks",
    "Only with DEMO_LOGIN=1; 404 otherwise.",
    _json("A token for `Authorization: Bearer`.", token=_TEXT),
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["user_id"],
                    "properties": {
                        "user_id": {"type": "string", "minLength": 1, "maxLength": 128},
                        "roles": {**_ROLES, "minItems": 1, "default": ["user"]},
                    },
                }
            }
        },
    },
)
_CONFIG = _door(
    "GetConfig",
    "Tells a page what it must know to begin",
    "Nothing of it is secret.",
    _json(
        "The settings that concern a page.",
        demo_login={"type": "boolean", "description": "Whether the demo token may be asked for."},
        sandbox_url={
            "type": "string",
            "description": "Where the Razorpay sandbox is; absent with the real Razorpay.",
        },
    ),
)
_OPENAPI = _door(
    "GetOpenApi", "Describes all of this", "This document.", _json("An OpenAPI 3.1 document.")
)

DOORS: Schema = {
    "/api/v1/webhooks/razorpay": {"post": _WEBHOOK},
    "/api/v1/demo/token": {"post": _DEMO_TOKEN},
    "/api/v1/config": {"get": _CONFIG},
    "/api/v1/openapi.json": {"get": _OPENAPI},
}
