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
        # Most of them need no token.
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
                        "name": {"type": "string", "maxLength": 80},
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

_ESCROW_ID: Schema = {"name": "escrow_id", "in": "path", "required": True, "schema": _TEXT}
_FILE_ID: Schema = {"name": "file_id", "in": "path", "required": True, "schema": _TEXT}
_BYTES: Schema = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("image/png", "image/jpeg", "image/webp", "application/pdf")
}
_BEARER: list[Schema] = [{"bearer": []}]


def _upload(operation_id: str) -> Schema:
    return _door(
        operation_id,
        "Uploads a file for an open dispute",
        "The body is the file itself: a PNG, JPEG or WebP picture or a PDF of at most 10 MiB, which"
        " is judged by its bytes. Only its uploader sees it until AddDisputeMessage has sent it;"
        " one that is not sent within 24 hours is deleted. 411: there is no Content-Length. 413: it"
        " is too large. 429: there is no room for more files.",
        _json(
            "The file, to be named in AddDisputeMessage.",
            attachment={
                "type": "object",
                "properties": {
                    "file_id": _TEXT,
                    "name": _TEXT,
                    "content_type": {"type": "string", "enum": list(_BYTES)},
                    "size_bytes": {"type": "integer"},
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                },
            },
        ),
        security=_BEARER,
        parameters=[
            _ESCROW_ID,
            {
                "name": "name",
                "in": "query",
                "required": True,
                "description": "The file's name, without its folder.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            },
            _header("Content-Length", "1 to 10,485,760 bytes.", required=True),
            _header("Idempotency-Key", "As request_id of a call.", required=False),
        ],
        requestBody={"required": True, "content": _BYTES},
    )


_DOWNLOAD = _door(
    "DownloadAttachment",
    "Sends a file of a dispute",
    "For the parties and admins once it is part of a message, before for its uploader alone; for"
    " all others 404. The ETag is the SHA-256 of the bytes. It is never sent so that a browser"
    " shows it as a page.",
    {"description": "The bytes, as they were uploaded.", "content": _BYTES},
    security=_BEARER,
    parameters=[
        _ESCROW_ID,
        _FILE_ID,
        _header("If-None-Match", "The ETag of what you have; then 304.", required=False),
    ],
)

ATTACHMENTS = "/api/v1/escrows/{escrow_id}/attachments"
DOORS: Schema = {
    ATTACHMENTS: {"post": _upload("UploadAttachment"), "put": _upload("PutAttachment")},
    # Beside the RPC DeleteAttachment.
    ATTACHMENTS + "/{file_id}": {"get": _DOWNLOAD},
    "/api/v1/webhooks/razorpay": {"post": _WEBHOOK},
    "/api/v1/demo/token": {"post": _DEMO_TOKEN},
    "/api/v1/config": {"get": _CONFIG},
    "/api/v1/openapi.json": {"get": _OPENAPI},
}
