"""Where the bytes of files are: the database, a directory, or a bucket (ATTACHMENTS_URL)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from core.errors import Reason, Refusal
from core.storage.store import Store

# A piece of a file, as it is stored in the database and sent to whoever downloads it.
PIECE_BYTES = 256 << 10


class Place(Protocol):
    """Keeps bytes under the id of their file.

    All raise Refusal ATTACHMENTS_UNAVAILABLE, or STORAGE_UNAVAILABLE, where it is away.
    Bytes may be deleted while they are written; what is written after that is kept.
    """

    # At most 16 characters: the row of each file has it.
    name: str

    async def write(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        """Keep the bytes of a new file; they are on disk when it answers.

        Raises Refusal UPLOAD_INCOMPLETE where it sees that they were deleted meanwhile.
        """

    def read(self, file_id: str) -> AsyncGenerator[bytes]:
        """Give the bytes in pieces of at most PIECE_BYTES; none where they are not there."""

    async def delete(self, file_id: str) -> None:
        """Forget the bytes; harmless where they are not there."""

    async def close(self) -> None:
        """Let go of what is open."""


class InDatabase:
    """Beside the records: several cores share it, and one backup has both."""

    name = "database"

    def __init__(self, store: Store) -> None:
        self._store = store
        # One piece at a time: SQLite has one writer, and a command must wait for no more than that.
        self._turn = asyncio.Lock()

    async def write(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        position = 0
        async for piece in pieces:
            # A transaction for each, so that no command waits for a whole file.
            async with self._turn, self._store.write() as transaction:
                await transaction.attachments.add_chunk(file_id, position, piece)
            position += 1

    async def read(self, file_id: str) -> AsyncGenerator[bytes]:
        position = 0
        while (piece := await self._store.attachments.chunk(file_id, position)) is not None:
            yield piece
            position += 1

    async def delete(self, file_id: str) -> None:
        async with self._store.write() as transaction:
            await transaction.attachments.forget_chunks(file_id)

    async def close(self) -> None:
        pass


def away(what: str) -> Refusal:
    """Make the refusal where a directory or a bucket does not do as it should."""
    return Refusal(Reason.ATTACHMENTS_UNAVAILABLE, f"{what}; try again later.")


def incomplete(what: str) -> Refusal:
    """Make the refusal of an upload that has to be made again."""
    return Refusal(Reason.UPLOAD_INCOMPLETE, f"{what}; send the file again.")


def dropped() -> Refusal:
    """Make the refusal of an upload that another try of the same has dropped."""
    return incomplete("The same file was sent again meanwhile")
