"""An archive on a real database, and a disputed escrow whose buyer shows files."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from core.attachments.archive import Archive, Upload
from core.attachments.place import Place
from core.law import command as c
from core.law.command import File
from core.storage.attachment import Stored
from tests.core.law.story import BUYER
from tests.core.room import Room
from tests.fakes.picture import picture


class Desk:
    """One core's archive."""

    def __init__(self, room: Room, place: Place | None = None) -> None:
        self.room = room
        self.archive = Archive(
            room.store, place, now_us=room.time, new_id=lambda: str(uuid.uuid4())
        )

    async def disputed(self) -> str:
        escrow_id = await self.room.paid()
        await self.room.tell(escrow_id, c.RaiseDispute("It is dented"))
        return escrow_id

    async def take(self, escrow_id: str, body: bytes | None = None, **more: Any) -> File:
        body = picture() if body is None else body
        said: dict[str, Any] = {
            "escrow_id": escrow_id,
            "uploader_id": BUYER.user_id,
            "name": "frame.png",
            "content_type": "",
            "size_bytes": len(body),
            "cause": f"once:{uuid.uuid4()}",
        }
        return await self.archive.take(Upload(**said | more), chunked(body))

    async def send(self, escrow_id: str, *files: File, **more: Any) -> Any:
        ids = tuple(file.file_id for file in files)
        return await self.room.tell(escrow_id, c.AddDisputeMessage("See", ids), **more)

    async def stored(self, file: File) -> Stored | None:
        return await self.archive.file(file.file_id)

    async def read(self, file: File) -> bytes:
        stored = await self.stored(file)
        assert stored is not None
        return b"".join([piece async for piece in self.archive.read(stored)])


def found(folder: Path, pattern: str = "*") -> list[Path]:
    """The files in a directory and below."""
    return [one for one in folder.rglob(pattern) if one.is_file()]


async def chunked(body: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]
