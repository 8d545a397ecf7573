"""The files themselves: takes one in under all limits, and gives it out as it came."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

from core.attachments.kind import kind_of
from core.attachments.place import (
    PIECE_BYTES,
    InDatabase,
    Place,
    away,
    dropped,
    incomplete,
)
from core.errors import Reason, Refusal, request_id_reused
from core.law.command import File
from core.storage.attachment import DROPPED, READY, SENT, UPLOADING, Stored, Used
from core.storage.store import Store

log = logging.getLogger(__name__)

# Bytes of a file that is shown in a dispute.
MAX_FILE_BYTES = 10 << 20
# Files of one person in one escrow, sent or not.
MAX_FILES_OF_ESCROW = 50
# Bytes of one person's files in one escrow.
MAX_BYTES_OF_ESCROW = 100 << 20
# Bytes of one person's files in all escrows together.
MAX_BYTES_OF_USER = 1 << 30
# Files that are being uploaded to this core; one more is refused with OVERLOADED.
MAX_UPLOADS = 64
# Those of one person among them.
MAX_UPLOADS_OF_USER = 4
# How long the next bytes of a file may take.
CHUNK_S = 30.0
# How long a whole file may take.
UPLOAD_S = 300.0
# How long what has come of a file that failed may take to be deleted; what is left is pruned.
DISCARD_S = 5.0


@dataclass(frozen=True, slots=True)
class Upload:
    """What is said of a file before its bytes come. `cause` is that of a request id, or random."""

    escrow_id: str
    uploader_id: str
    name: str
    content_type: str
    size_bytes: int
    cause: str


class Archive:
    """Files with their bytes. New ones go to `place`; each is read where it was put."""

    def __init__(
        self,
        store: Store,
        place: Place | None = None,
        *,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        database = InDatabase(store)
        self._place = place or database
        self._places: dict[str, Place] = {database.name: database, self._place.name: self._place}
        self._now_us = now_us
        self._new_id = new_id
        self._uploads: Counter[str] = Counter()

    async def take(self, upload: Upload, chunks: AsyncIterator[bytes]) -> File:
        """Take a file in; it then waits to be sent. The same upload again is answered the same.

        Raises Refusal ATTACHMENT_TOO_LARGE, ATTACHMENT_TYPE_REFUSED, TOO_MANY_ATTACHMENTS,
        UPLOAD_INCOMPLETE, REQUEST_ID_REUSED, OVERLOADED, and what the place raises.
        """
        with self._slot(upload.uploader_id):
            incoming = _Incoming(upload, chunks)
            known = await self._store.attachments.of_cause(upload.cause)
            if known is not None and known.state in (READY, SENT):
                return await _compared(known.file, incoming)
            if known is not None:  # An earlier try, which broke off.
                await self._discard(known)
            return await self._take(upload, incoming)

    async def file(self, file_id: str) -> Stored | None:
        return await self._store.attachments.file(file_id)

    async def read(self, stored: Stored) -> AsyncGenerator[bytes]:
        """Give a file's bytes. The last piece comes only if all of them match the hash.

        Raises Refusal ATTACHMENT_DAMAGED, and what the place raises.
        """
        file, digest, size, held = stored.file, hashlib.sha256(), 0, b""
        async with contextlib.aclosing(self._place_of(stored).read(file.file_id)) as pieces:
            async for piece in pieces:
                if held:
                    yield held
                digest.update(piece)
                size += len(piece)
                held = piece
        if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
            log.error("the file %s of escrow %s is damaged", file.file_id, file.escrow_id)
            raise Refusal(
                Reason.ATTACHMENT_DAMAGED,
                "This file is not what was uploaded, and cannot be shown. It has been reported.",
            )
        yield held

    async def drop(self, stored: Stored) -> bool:
        """Delete a file that was not sent; False where it has been sent."""
        return await self._discard(stored, (READY, UPLOADING))

    async def erase(self, stored: Stored) -> None:
        """Delete the bytes of a dropped file, and then its row."""
        file_id = stored.file.file_id
        await self._place_of(stored).delete(file_id)
        async with self._store.write() as transaction:
            await transaction.attachments.forget(file_id)

    async def close(self) -> None:
        for place in self._places.values():
            await place.close()

    async def _take(self, upload: Upload, incoming: _Incoming) -> File:
        stored = await self._begin(upload)
        file_id = stored.file.file_id
        try:
            await self._place.write(file_id, incoming.pieces())
            file = replace(stored.file, sha256=incoming.sha256, content_type=incoming.kind)
            async with self._store.write() as transaction:
                is_ours = await transaction.attachments.complete(file)
            if not is_ours:
                raise dropped()
        except BaseException:
            await self._give_up(stored)
            raise
        return file

    async def _give_up(self, stored: Stored) -> None:
        """Leave nothing of an upload that failed.

        Another try may have dropped it, and erased it before its last bytes came: they are erased
        again. A file that is complete stays: then the answer of its commit was lost.
        """
        with contextlib.suppress(Refusal, TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                if await self._discard(stored):
                    return
                left = await self.file(stored.file.file_id)
                if left is None or left.state == DROPPED:
                    await self.erase(stored)

    async def _begin(self, upload: Upload) -> Stored:
        file = File(
            file_id=self._new_id(),
            escrow_id=upload.escrow_id,
            uploader_id=upload.uploader_id,
            name=upload.name,
            content_type="",
            size_bytes=upload.size_bytes,
            sha256="",
        )
        place, now_us = self._place.name, self._now_us()
        async with self._store.write() as transaction:
            files = transaction.attachments
            _require_room(await files.used(upload.uploader_id, upload.escrow_id), upload.size_bytes)
            if not await files.add(file, place=place, cause=upload.cause, now_us=now_us):
                raise incomplete("The same file is being sent at this moment")
        return Stored(file, UPLOADING, place)

    async def _discard(self, stored: Stored, states: tuple[str, ...] = (UPLOADING,)) -> bool:
        async with self._store.write() as transaction:
            ids = await transaction.attachments.drop([stored.file.file_id], states)
        if ids:
            await self.erase(stored)
        return bool(ids)

    def _place_of(self, stored: Stored) -> Place:
        place = self._places.get(stored.place)
        if place is None:
            log.error(
                "the file %s is in the place %r, and ATTACHMENTS_URL names another one",
                stored.file.file_id,
                stored.place,
            )
            raise away("This file is kept where this server cannot read it")
        return place

    @contextlib.contextmanager
    def _slot(self, user_id: str) -> Iterator[None]:
        if self._uploads[user_id] >= MAX_UPLOADS_OF_USER:
            raise Refusal(Reason.OVERLOADED, "You are sending several files already; try again.")
        if self._uploads.total() >= MAX_UPLOADS:
            raise Refusal(Reason.OVERLOADED, "Too many files are being sent; try again.")
        self._uploads[user_id] += 1
        try:
            yield
        finally:
            self._uploads[user_id] -= 1
            if not self._uploads[user_id]:
                del self._uploads[user_id]


class _Incoming:
    """A file as it comes: cut into pieces of one size, hashed and judged on the way."""

    def __init__(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        self.upload = upload
        self._chunks = chunks
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.kind = ""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Give the pieces. Raises Refusal where they are not what was said of them."""
        buffer = bytearray()
        async for chunk in self._timely():
            buffer += chunk
            self.size_bytes += len(chunk)
            if self.size_bytes > self.upload.size_bytes:
                raise incomplete("More bytes came than size_bytes says")
            while len(buffer) >= PIECE_BYTES:
                yield self._seen(bytes(buffer[:PIECE_BYTES]))
                del buffer[:PIECE_BYTES]
        if self.size_bytes < self.upload.size_bytes:
            raise incomplete("Fewer bytes came than size_bytes says")
        if buffer:
            yield self._seen(bytes(buffer))

    def _seen(self, piece: bytes) -> bytes:
        if not self.kind:  # The first has all that it takes to tell.
            self.kind = _required_kind(piece, self.upload.content_type)
        self._digest.update(piece)
        return piece

    async def _timely(self) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + UPLOAD_S
        while True:
            try:
                async with asyncio.timeout_at(min(loop.time() + CHUNK_S, end_s)):
                    chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise incomplete("The file did not come in time") from None
            yield chunk


async def _compared(file: File, incoming: _Incoming) -> File:
    """Answer the file that the same call has stored before, if it is the same file."""
    async for _ in incoming.pieces():
        pass
    upload = incoming.upload
    given = (upload.escrow_id, upload.name, upload.size_bytes, incoming.sha256)
    if given != (file.escrow_id, file.name, file.size_bytes, file.sha256):
        raise request_id_reused()
    return file


def _required_kind(head: bytes, said: str) -> str:
    kind = kind_of(head)
    if not kind:
        raise Refusal(
            Reason.ATTACHMENT_TYPE_REFUSED,
            "This file cannot be used: it must be a PNG, JPEG or WebP picture, or a PDF.",
            {"content_type": "must be image/png, image/jpeg, image/webp or application/pdf"},
        )
    if said and said != kind:
        raise Refusal(
            Reason.ATTACHMENT_TYPE_REFUSED,
            f"This file is {kind}, and not {said:.60} as it is said to be.",
            {"content_type": f"must be {kind}, which the bytes are"},
        )
    return kind


def _require_room(used: Used, size_bytes: int) -> None:
    for wanted, most, text in (
        (used.files + 1, MAX_FILES_OF_ESCROW, f"{MAX_FILES_OF_ESCROW} files in this escrow"),
        (
            used.escrow_bytes + size_bytes,
            MAX_BYTES_OF_ESCROW,
            f"{MAX_BYTES_OF_ESCROW >> 20} MB of files in this escrow",
        ),
        (
            used.all_bytes + size_bytes,
            MAX_BYTES_OF_USER,
            f"{MAX_BYTES_OF_USER >> 20} MB of files in all your escrows",
        ),
    ):
        if wanted > most:
            sentence = f"You may have at most {text}, and this file would be too much."
            raise Refusal(Reason.TOO_MANY_ATTACHMENTS, sentence)
