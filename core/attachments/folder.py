"""A directory as the place of files: `file:///var/lib/holdfast`. Several cores must share it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from core.attachments.place import PIECE_BYTES, away, dropped
from core.errors import Refusal

log = logging.getLogger(__name__)

# Its owner's alone.
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_P = ParamSpec("_P")
_T = TypeVar("_T")


class InFolder:
    """A file there is whole: it gets its name when all its bytes are on disk."""

    name = "file"

    def __init__(self, path: Path) -> None:
        """Make the directory where its parent has none. Raises OSError where it cannot be used."""
        self._path = path
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{path} cannot be written")

    async def write(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        path = self._path_of(file_id)
        unfinished = path.with_suffix(".part")
        try:
            file = await _in_thread(_create, unfinished)
            try:
                async for piece in pieces:
                    await _in_thread(file.write, piece)
                await _in_thread(_finish, file, path)
            finally:
                file.close()
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    async def read(self, file_id: str) -> AsyncGenerator[bytes]:
        try:
            file = await asyncio.to_thread(self._path_of(file_id).open, "rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise _refusal(error) from None
        with file:
            while piece := await _in_thread(file.read, PIECE_BYTES):
                yield piece

    async def delete(self, file_id: str) -> None:
        path = self._path_of(file_id)
        for one in (path, path.with_suffix(".part")):
            await _in_thread(one.unlink, missing_ok=True)

    async def close(self) -> None:
        pass

    def _path_of(self, file_id: str) -> Path:
        # The end of an id is random: the files spread over 256 directories.
        return self._path / file_id[-2:] / file_id


async def _in_thread(act: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    try:
        return await asyncio.to_thread(act, *args, **kwargs)
    except OSError as error:
        raise _refusal(error) from None


def _refusal(error: OSError) -> Refusal:
    log.error("the directory of attachments cannot be used: %s", error)
    return away("Files cannot be stored or read right now")


def _create(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    opener = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, _FILE_MODE)
    return os.fdopen(opener, "wb")


def _finish(file: IO[bytes], path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    try:
        path.with_suffix(".part").rename(path)
    except FileNotFoundError:
        raise dropped() from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # The name too.
    finally:
        os.close(folder)
