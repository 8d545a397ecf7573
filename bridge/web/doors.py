"""The OpenAPI descriptions of the bridge's own endpoints under /api/v1, by path.

A *door* is an endpoint that the bridge answers itself, or that has a form of its own. All other
paths are RPCs of core, which openapi.py describes from the proto.
"""

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
        # None of them needs a token.
        "security": [],
        "responses": {
            "200": answer,
            "default": {"description": "An error.", "content": {"application/json": refused}},
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
    "Receives a webhook from Razorpay",
    "The signature covers the raw body. 400: the signature or the body is wrong. 413: the body is"
    " larger than 1 MiB. 503: core is unavailable; send the webhook again.",
    _json(
        "Core has stored the webhook, or has ignored it.",
        outcome={"type": "string", "enum": ["applied", "duplicate", "ignored"]},
    ),
    parameters=[
        _header("X-Razorpay-Signature", "HMAC-SHA256 of the raw body, in hex.", required=True),
        _header("X-Razorpay-Event-Id", "The event's id, the same in every retry.", required=False),
    ],
    requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
)
_DEMO_TOKEN = _door(
    "GiveDemoToken",
    "Issues a token to anybody, for demos",
    "Only with DEMO_LOGIN=1; otherwise 404.",
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
    "Returns the settings that a web page needs",
    "None of them is secret.",
    _json(
        "The settings.",
        demo_login={"type": "boolean", "description": "Whether demo tokens are issued."},
        sandbox_url={
            "type": "string",
            "description": "The address of the Razorpay sandbox; absent with the real Razorpay.",
        },
    ),
)
_OPENAPI = _door(
    "GetOpenApi", "Describes this API", "This document.", _json("An OpenAPI 3.1 document.")
)

DOORS: Schema = {
    "/api/v1/webhooks/razorpay": {"post": _WEBHOOK},
    "/api/v1/demo/token": {"post": _DEMO_TOKEN},
    "/api/v1/config": {"get": _CONFIG},
    "/api/v1/openapi.json": {"get": _OPENAPI},
}
