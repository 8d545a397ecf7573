"""The file of a SQLite database: its owner's alone, one core's alone, and still the same one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from core.storage.trouble import Gone, Unfit

# Readable and writable by the owner. SQLite gives its -wal and -shm files the same mode.
MODE = 0o600
# With less than this left, a disk that was full still counts as full.
ROOM_BYTES = 1 << 20


class File:
    """Empty `path` means a database in memory, of which there is nothing to look after."""

    def __init__(self, path: str) -> None:
        self._path = "" if path in ("", ":memory:") or path.startswith("file:") else path
        self._identity: tuple[int, int] | None = None

    def make(self) -> None:
        """Make the file where there is none. Raises OSError, Gone when there was one before."""
        if not self._path:
            return
        if self._identity is not None:
            self.require_same()
            return
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, MODE))

    def remember(self) -> None:
        """A connection is open: this file it is, from now on."""
        if self._path and self._identity is None:
            self._identity = _identity(self._path)

    def require_same(self) -> None:
        """Raise Gone when the path leads to another file now, or to none.

        SQLite would go on writing into the deleted one, and all of that would be lost.
        """
        if self._identity is None:
            return
        try:
            is_same = _identity(self._path) == self._identity
        except OSError:
            is_same = False
        if not is_same:
            raise Gone(
                "the database file was deleted or replaced while it was open: stop core, put the"
                " file back, and start again"
            )

    def lacks_room(self) -> bool:
        """Whether its disk has less than ROOM_BYTES left."""
        if not self._path:
            return False
        try:
            disk = os.statvfs(Path(self._path).parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < ROOM_BYTES

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other cores away from the file while the block runs. Raises Unfit.

        The kernel lets go of the lock when the process ends, however it ends.
        """
        if not self._path:
            yield
            return
        path = Path(f"{self._path}.lock")
        lock = os.open(path, os.O_CREAT | os.O_RDWR, MODE)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Unfit(
                    "another core is running on this file: SQLite is for one core alone; stop the"
                    " other, or use PostgreSQL"
                ) from None
            yield
        finally:
            os.close(lock)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
