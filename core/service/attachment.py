"""AttachmentService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from escrow.v1 import attachment_service_pb2 as rpc
from escrow.v1 import attachment_service_pb2_grpc as service

from core.attachments.archive import MAX_FILE_BYTES, Archive, Upload
from core.errors import Reason, Refusal
from core.law.command import Caller, File
from core.law.rules import require_may_talk
from core.service import check
from core.service.check import Check
from core.service.escrow import visible
from core.service.guard import caller
from core.storage.attachment import READY, SENT, Stored
from core.storage.store import Store

# Characters of a file's name.
MAX_NAME = 200
# How long the header of an upload may take.
HEADER_S = 10.0


class AttachmentService(service.AttachmentServiceServicer):
    """The files of disputes over gRPC."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    async def UploadAttachment(
        self, requests: AsyncIterator[rpc.UploadAttachmentRequest], context: Any
    ) -> rpc.UploadAttachmentResponse:
        header, who = await _header(requests), caller()
        _check_header(header)
        escrow = await visible(self._store, header.escrow_id, who)
        require_may_talk(escrow, who)
        upload = Upload(
            escrow_id=escrow.escrow_id,
            uploader_id=who.user_id,
            name=header.name,
            content_type=header.content_type,
            size_bytes=header.size_bytes,
            cause=check.cause(who, header.request_id),
        )
        async with contextlib.aclosing(_chunks(requests)) as chunks:
            file = await self._archive.take(upload, chunks)
        return rpc.UploadAttachmentResponse(attachment=_message(file))

    async def DownloadAttachment(
        self, request: rpc.DownloadAttachmentRequest, context: Any
    ) -> AsyncIterator[rpc.DownloadAttachmentResponse]:
        stored = await self._readable(request.escrow_id, request.file_id)
        yield rpc.DownloadAttachmentResponse(attachment=_message(stored.file))
        async with contextlib.aclosing(self._archive.read(stored)) as pieces:
            async for piece in pieces:
                yield rpc.DownloadAttachmentResponse(chunk=piece)

    async def DeleteAttachment(
        self, request: rpc.DeleteAttachmentRequest, context: Any
    ) -> rpc.DeleteAttachmentResponse:
        check_ = Check()
        check_.request_id(request.request_id)
        check_.done()
        who = caller()
        escrow = await visible(self._store, request.escrow_id, who)
        stored = await self._archive.file(check.file_id(request.file_id))
        if stored is None or not _is_of(stored, escrow.escrow_id):
            return rpc.DeleteAttachmentResponse()
        is_kept = _is_draft(stored, who) and not await self._archive.drop(stored)
        if stored.state == SENT or is_kept:
            text = "This file is part of a message, and stays in the record."
            raise Refusal(Reason.ATTACHMENT_NOT_FOUND, text)
        return rpc.DeleteAttachmentResponse()

    async def _readable(self, escrow_id: str, file_id: str) -> Stored:
        who = caller()
        escrow = await visible(self._store, escrow_id, who)
        stored = await self._archive.file(check.file_id(file_id))
        if stored is None or not _is_of(stored, escrow.escrow_id):
            raise _not_found()
        if stored.state == SENT or _is_draft(stored, who):
            return stored
        raise _not_found()


def _is_of(stored: Stored, escrow_id: str) -> bool:
    return stored.file.escrow_id == escrow_id


def _is_draft(stored: Stored, who: Caller) -> bool:
    """Whether this caller has uploaded it and not sent it yet."""
    return stored.state == READY and stored.file.uploader_id == who.user_id


def _not_found() -> Refusal:
    return Refusal(Reason.ATTACHMENT_NOT_FOUND, "There is no such file.")


async def _header(requests: AsyncIterator[rpc.UploadAttachmentRequest]) -> rpc.UploadHeader:
    try:
        async with asyncio.timeout(HEADER_S):
            first = await anext(requests, rpc.UploadAttachmentRequest())
    except TimeoutError:
        first = rpc.UploadAttachmentRequest()
    if first.WhichOneof("part") != "header":
        problem = "must come first, and in time"
        raise Refusal(Reason.FIELD_INVALID, f"header: {problem}", {"header": problem})
    return first.header


def _check_header(header: rpc.UploadHeader) -> None:
    check_ = Check()
    check_.request_id(header.request_id)
    check_.text("name", header.name, least=1, most=MAX_NAME)
    if any(one in "/\\\r\n\t" for one in header.name):
        check_.problem("name", "must be a file's name without its folder, on one line")
    if header.size_bytes < 1:
        check_.problem("size_bytes", f"must be from 1 to {MAX_FILE_BYTES}")
    check_.done()
    if header.size_bytes > MAX_FILE_BYTES:
        raise Refusal(
            Reason.ATTACHMENT_TOO_LARGE,
            f"This file is too large: it may have at most {MAX_FILE_BYTES >> 20} MB.",
            {"size_bytes": f"must be from 1 to {MAX_FILE_BYTES}"},
        )


async def _chunks(
    requests: AsyncIterator[rpc.UploadAttachmentRequest],
) -> AsyncGenerator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk":
            problem = "must come once only, and before all chunks"
            raise Refusal(Reason.FIELD_INVALID, f"header: {problem}", {"header": problem})
        yield request.chunk


def _message(file: File) -> rpc.Attachment:
    return rpc.Attachment(
        file_id=file.file_id,
        name=file.name,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
    )
