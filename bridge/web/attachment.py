"""The files of disputes over HTTP: takes one in as it comes, and gives one out as it is.

Must never hold a whole file, nor serve one so that a browser runs anything of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from functools import partial
from urllib.parse import quote

from aiohttp import web
from escrow.v1 import attachment_service_pb2 as rpc
from google.protobuf import json_format

from bridge.door.body import Bodies, BodyRefused, require_plain
from bridge.limits import Limits
from bridge.upstream.core import Core
from bridge.upstream.error import CoreError
from bridge.web.caller import answered, of_unknown_outcome
from bridge.web.slot import Slots
from holdfast.tokens import Identity, Verifier

PATH = "/api/v1/escrows/{escrow_id}/attachments"
# How long a call waits for a connection to core.
CORE_WAIT_S = 5.0
# What clients say that do not know what they send.
_UNSAID = frozenset({"application/octet-stream", "binary/octet-stream"})
# What some say in place of the registered name.
_ALIASES = {"image/jpg": "image/jpeg"}
_HEADERS = {
    "Cache-Control": "private, no-store",
    # No browser may take it for a page, or run anything of it.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Attachments:
    """POST or PUT a file, GET a file."""

    def __init__(
        self,
        core_of: Callable[[web.Request], Core],
        verifier_of: Callable[[web.Request], Verifier],
        bodies: Bodies,
        limits: Limits,
    ) -> None:
        self._core_of = core_of
        self._verifier_of = verifier_of
        self._bodies = bodies
        self._limits = limits
        self._slots = Slots(limits.attachments, limits.attachments_per_user)

    def add_to(self, app: web.Application) -> None:
        """Add the routes; what else there is at these paths are RPCs."""
        app.router.add_post(PATH, self._upload)
        app.router.add_put(PATH, self._upload)
        app.router.add_get(PATH + "/{file_id}", self._download)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        return await answered(request, self._verifier_of(request), partial(self._take, request))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        return await answered(request, self._verifier_of(request), partial(self._give, request))

    async def _take(self, request: web.Request, who: Identity) -> web.StreamResponse:
        header, core = self._header(request), self._core_of(request)
        with self._slots.taken(who.user_id):
            await core.wait(CORE_WAIT_S)
            body = self._bodies.stream(
                request,
                chunk_s=self._limits.attachment_chunk_s,
                within_s=self._limits.attachment_s,
            )
            try:
                async with contextlib.aclosing(body) as chunks:
                    answer = await core.upload(header, chunks, who.token)
            except CoreError as error:
                raise of_unknown_outcome(error) from None
        text = json_format.MessageToJson(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return web.Response(text=text, content_type="application/json")

    def _header(self, request: web.Request) -> rpc.UploadHeader:
        require_plain(request)
        if request.content_type.startswith("multipart/"):
            text = "Send the bytes of the file as the body, and not a form."
            raise BodyRefused(415, "INVALID_ARGUMENT", "ATTACHMENT_TYPE_REFUSED", text)
        size = request.content_length
        if size is None:
            text = "The header Content-Length must say how many bytes the file has."
            raise BodyRefused(411, "INVALID_ARGUMENT", "LENGTH_MISSING", text)
        if size > self._limits.attachment_bytes:
            most = self._limits.attachment_bytes >> 20
            text = f"This file is too large: it may have at most {most} MB."
            raise BodyRefused(413, "INVALID_ARGUMENT", "ATTACHMENT_TOO_LARGE", text)
        kind = request.content_type
        return rpc.UploadHeader(
            escrow_id=_text(request.match_info["escrow_id"]),
            name=_text(request.query.get("name", "")),
            content_type="" if kind in _UNSAID else _ALIASES.get(kind, kind),
            size_bytes=size,
            request_id=_text(
                request.headers.get("Idempotency-Key") or request.query.get("request_id", "")
            ),
        )

    async def _give(self, request: web.Request, who: Identity) -> web.StreamResponse:
        core = self._core_of(request)
        with self._slots.taken(who.user_id):
            await core.wait(CORE_WAIT_S)
            file_id = _text(request.match_info["file_id"])
            parts = core.download(_text(request.match_info["escrow_id"]), file_id, who.token)
            async with contextlib.aclosing(parts):
                first = await anext(parts, rpc.DownloadAttachmentResponse())
                if first.WhichOneof("part") != "attachment":
                    raise CoreError("UNAVAILABLE", "Core's answer has no beginning. Try again.")
                return await self._send(request, first.attachment, parts)

    async def _send(
        self,
        request: web.Request,
        file: rpc.Attachment,
        parts: AsyncGenerator[rpc.DownloadAttachmentResponse],
    ) -> web.StreamResponse:
        tag = f'"{file.sha256}"'
        headers = _HEADERS | {"ETag": tag, "Content-Disposition": _disposition(file.name)}
        if request.headers.get("If-None-Match", "") in (tag, f"W/{tag}"):
            return web.Response(status=304, headers=headers)
        if request.method == "HEAD":
            headers |= {"Content-Length": str(file.size_bytes), "Content-Type": file.content_type}
            return web.Response(headers=headers)
        # The first piece comes before the head goes: what is refused until then is a plain error.
        piece = await anext(parts, None)
        response = web.StreamResponse(headers=headers)
        response.content_type = file.content_type
        response.content_length = file.size_bytes
        await response.prepare(request)
        try:
            async with asyncio.timeout(self._limits.attachment_s):
                while piece is not None:
                    await response.write(piece.chunk)
                    piece = await anext(parts, None)
        except (CoreError, TimeoutError):
            # It must not look whole: the peer has been told how long it is.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the file broke off") from None
        return response


def _disposition(name: str) -> str:
    """Name the file for whoever saves it (RFC 6266, with RFC 8187 for other than ASCII)."""
    plain = "".join(one if one.isascii() and one not in '"%' else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _text(value: str) -> str:
    """Answer a text as gRPC can carry it; what cannot be text is none, and core refuses it."""
    return value.encode("utf-8", "replace").decode()
